"""No job and no service keeps others waiting for a provider (design.md §3.3)."""

from collections import Counter
from dataclasses import replace

from notify.common.v1 import common_pb2
from notify.providers.v1 import dispatch_service_pb2 as pb
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common.enums import Channel, Lane
from notify_providers.store import dispatches
from notify_testing.rpc import InProcessServer

from .conftest import World
from .messages import OTHER_SERVICE_ID, SERVICE_ID, sms, sms_proto


def test_claims_are_divided_between_lanes_and_services(world: World) -> None:
    world.take_over(*(replace(sms(), lane=Lane.JOB) for _ in range(100)))
    code = replace(sms(), lane=Lane.PLATFORM)
    small = replace(sms(), lane=Lane.JOB, service_id=OTHER_SERVICE_ID)
    world.take_over(small, code)
    with world.uow.begin() as conn:
        rows = dispatches.claim_due(conn, Channel.SMS, 10)
    assert rows[0].id == code.id, "the fastest lane first"
    assert Counter(row.service_id for row in rows[1:]) == {SERVICE_ID: 8, OTHER_SERVICE_ID: 1}


def test_lane_comes_with_the_message_and_is_api_where_the_caller_knows_none(
    world: World, server: InProcessServer
) -> None:
    unset, job = sms_proto(), sms_proto()
    job.lane = common_pb2.LANE_JOB
    stub = DispatchServiceStub(server.channel("notifications"))
    stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=[unset, job]))
    lanes = {str(id): lane for id, lane in world.rows("SELECT id, lane FROM dispatches")}
    assert lanes == {unset.id: "api", job.id: "job"}

"""OpsService over the queues of this context."""

import json
from typing import Any

import pytest
from notify.common.v1 import ops_service_pb2 as pb
from notify.common.v1.ops_service_pb2_grpc import OpsServiceStub
from notify_common.callers import OPS_CALLERS
from notify_common.errors import NotifyError
from notify_common.ops.roll_call import RollCall
from notify_common.ops.servicer import ops_registration
from notify_common.rpc.paging import Pager
from notify_providers import bootstrap
from notify_providers.usecases.ops import OPS
from notify_testing.rpc import InProcessServer

from .conftest import PAGE_SECRET, World
from .messages import OTHER_SERVICE_ID, SERVICE_ID, email, letter, sms

CAUSE = "can't be planned: TypeError"


@pytest.fixture
def ops(server: InProcessServer) -> OpsServiceStub:
    return OpsServiceStub(server.channel("operator"))


def queues(ops: Any) -> dict[str, pb.Queue]:
    return {queue.name: queue for queue in ops.ListQueues(pb.ListQueuesRequest()).queues}


def park(world: World, count: int) -> list[str]:
    """Park texts that can't be read; return their ids, parked longest ago first."""
    made = [sms() for _ in range(count)]
    world.take_over(*made)
    world.run('UPDATE dispatches SET content = content || \'{"colour": "blue"}\'')
    world.workers(world.parts(), "dispatch").settle()
    for place, one in enumerate(made):
        world.run(
            "UPDATE dispatches SET parked_at = now() - make_interval(secs => :age) WHERE id = :id",
            age=100 - place,
            id=one.id,
        )
    return [one.id for one in made]


def mend(world: World) -> None:
    world.run("UPDATE dispatches SET content = content - 'colour'")


def test_queues_say_what_waits_and_since_when(world: World, ops: Any) -> None:
    world.take_over(sms(), sms(), email(), letter())
    world.run("UPDATE dispatches SET due_at = now() - interval '1 hour' WHERE channel = 'email'")
    world.run("UPDATE dispatches SET due_at = now() + interval '1 hour' WHERE channel = 'letter'")
    with world.uow.begin() as tx:
        OPS.find("dispatches/sms").queue.claim(tx, 1, channel="sms")
    found = queues(ops)
    assert list(found) == ["dispatches/email", "dispatches/letter", "dispatches/sms", "sandbox_receipts"]
    counts = {
        name: (queue.due_count, queue.leased_count, queue.scheduled_count) for name, queue in found.items()
    }
    assert counts == {
        "dispatches/email": (1, 0, 0),
        "dispatches/letter": (0, 0, 1),
        "dispatches/sms": (1, 1, 0),
        "sandbox_receipts": (0, 0, 0),
    }
    assert 3600 <= found["dispatches/email"].oldest_due_age.seconds < 3700
    assert found["dispatches/letter"].oldest_due_age.seconds == 0


def test_lists_are_paged(ops: Any) -> None:
    first = ops.ListQueues(pb.ListQueuesRequest(page_size=3))
    rest = ops.ListQueues(pb.ListQueuesRequest(page_size=3, page_token=first.next_page_token))
    assert [queue.name for queue in first.queues][-1] == "dispatches/sms"
    assert ([queue.name for queue in rest.queues], rest.next_page_token) == (["sandbox_receipts"], "")


def test_nothing_is_taken_from_a_paused_queue_and_all_of_it_after(world: World, ops: Any) -> None:
    world.take_over(sms(), email())
    request = pb.PauseQueueRequest(queue="dispatches/sms", reason="the provider asked")
    assert ops.PauseQueue(request).queue.paused
    assert ops.PauseQueue(request).queue.paused
    workers = world.workers(world.parts(), "dispatch")
    workers.settle()
    assert world.states() == {"queued": 1, "sent": 1}
    ops.ResumeQueue(pb.ResumeQueueRequest(queue="dispatches/sms", reason="over"))
    assert not queues(ops)["dispatches/sms"].paused
    workers.settle()
    assert world.states() == {"sent": 2}


def test_one_service_can_be_paused_alone(world: World, ops: Any) -> None:
    held, other = sms(), sms()
    world.take_over(held, other)
    world.run(
        "UPDATE dispatches SET service_id = CAST(:service AS uuid) WHERE id = CAST(:id AS uuid)",
        service=OTHER_SERVICE_ID,
        id=other.id,
    )
    request = pb.PauseQueueRequest(queue="dispatches/sms", service_id=SERVICE_ID, reason="a mistaken job")
    assert list(ops.PauseQueue(request).queue.paused_service_ids) == [SERVICE_ID]
    workers = world.workers(world.parts(), "dispatch")
    workers.settle()
    assert world.rows("SELECT service_id::text FROM dispatches WHERE state = 'queued'") == [(SERVICE_ID,)]
    ops.ResumeQueue(pb.ResumeQueueRequest(queue="dispatches/sms", service_id=SERVICE_ID, reason="mended"))
    workers.settle()
    assert world.states() == {"sent": 2}


def test_a_service_can_t_be_paused_where_queues_are_not_shared_out(ops: Any) -> None:
    with pytest.raises(NotifyError) as caught:
        ops.PauseQueue(pb.PauseQueueRequest(queue="sandbox_receipts", service_id=SERVICE_ID, reason="why"))
    assert caught.value.reason == "SERVICE_NOT_PAUSABLE"


def test_what_was_given_up_is_listed_by_cause_and_shown_masked(world: World, ops: Any) -> None:
    ids = park(world, 3)
    world.run("UPDATE dispatches SET park_reason = 'other' WHERE id = CAST(:id AS uuid)", id=ids[1])
    causes = ops.ListParkedCauses(pb.ListParkedCausesRequest(queue="dispatches/sms")).causes
    assert [(cause.cause, cause.count) for cause in causes] == [(CAUSE, 2), ("other", 1)]

    request = pb.ListParkedRowsRequest(queue="dispatches/sms", cause=CAUSE, page_size=1)
    first = ops.ListParkedRows(request)
    request.page_token = first.next_page_token
    second = ops.ListParkedRows(request)
    assert [row.key for row in (*first.rows, *second.rows)] == [ids[0], ids[2]]
    assert second.next_page_token == ""

    shown = ops.GetParkedRow(pb.GetParkedRowRequest(queue="dispatches/sms", key=ids[0]))
    assert (shown.row.key, shown.row.cause, shown.row.request_id) == (ids[0], CAUSE, "request-1")
    content = json.loads(shown.columns["content"])
    assert content["phone_number"] == "<text of 12>"
    assert content["body"] == "<text of 5>"
    assert json.loads(shown.columns["service_id"]) == SERVICE_ID
    everything = str(shown)
    assert "447700900123" not in everything
    assert "Hello" not in everything


@pytest.mark.parametrize("key", ["nonsense", "a/b", "", "00000000-0000-4000-8000-000000000009"])
def test_a_row_that_was_not_given_up_is_not_shown(ops: Any, key: str) -> None:
    with pytest.raises(NotifyError) as caught:
        ops.GetParkedRow(pb.GetParkedRowRequest(queue="dispatches/sms", key=key))
    assert caught.value.reason == ("PARKED_ROW_NOT_FOUND" if key else "INVALID_FIELD")


def test_rows_are_put_back_at_a_rate_and_then_sent(world: World, ops: Any) -> None:
    ids = park(world, 5)
    mend(world)
    request = pb.RedriveParkedRowsRequest(
        queue="dispatches/sms", rows_per_second=2, max_count=4, reason="mended"
    )
    done = ops.RedriveParkedRows(request)
    assert (done.redriven_count, done.parked_count) == (4, 1)
    waits = world.rows(
        "SELECT round((extract(epoch FROM due_at - min(due_at) OVER ()))::numeric, 1)::float8"
        " FROM dispatches WHERE due_at IS NOT NULL AND parked_at IS NULL ORDER BY due_at"
    )
    assert [wait for (wait,) in waits] == [0.0, 0.5, 1.0, 1.5]
    one = pb.RedriveParkedRowsRequest(queue="dispatches/sms", keys=[ids[4]], reason="mended")
    assert ops.RedriveParkedRows(one).redriven_count == 1
    assert ops.RedriveParkedRows(one).redriven_count == 0
    world.run("UPDATE dispatches SET due_at = now() WHERE due_at IS NOT NULL")
    world.workers(world.parts(), "dispatch").settle()
    assert world.states() == {"sent": 5}


def test_a_dropped_message_fails_and_whoever_sent_it_is_told(world: World, ops: Any) -> None:
    ids = park(world, 2)
    request = pb.DropParkedRowsRequest(
        queue="dispatches/sms", keys=[ids[0]], reason="asked for by its service"
    )
    done = ops.DropParkedRows(request)
    assert (done.dropped_count, done.parked_count) == (1, 1)
    assert ops.DropParkedRows(request).dropped_count == 0
    assert world.kinds(ids[0]) == ["technical-failure"]
    assert world.kinds(ids[1]) == []
    [(content, state)] = world.rows(
        "SELECT content, state FROM dispatches WHERE id = CAST(:id AS uuid)", id=ids[0]
    )
    assert (content, state) == (None, "failed")


def test_rows_are_dropped_by_key_or_cause_alone(ops: Any) -> None:
    with pytest.raises(NotifyError) as caught:
        ops.DropParkedRows(pb.DropParkedRowsRequest(queue="dispatches/sms", reason="all of it"))
    assert caught.value.reason == "INVALID_FIELD"


def test_everything_that_was_changed_is_kept_with_who_and_why(world: World, ops: Any) -> None:
    ids = park(world, 1)
    ops.PauseQueue(pb.PauseQueueRequest(queue="dispatches/email", reason="one"))
    ops.DropParkedRows(pb.DropParkedRowsRequest(queue="dispatches/sms", keys=ids, reason="two"))
    first = ops.ListActions(pb.ListActionsRequest(page_size=1))
    rest = ops.ListActions(pb.ListActionsRequest(page_size=1, page_token=first.next_page_token))
    assert rest.next_page_token == ""
    kept = [
        (one.action, one.queue, one.caller, one.reason, list(one.keys), one.count)
        for one in (*first.actions, *rest.actions)
    ]
    assert kept == [
        ("drop", "dispatches/sms", "operator", "two", ids, 1),
        ("pause", "dispatches/email", "operator", "one", [], 1),
    ]


def test_workers_show_while_they_run(world: World, ops: Any) -> None:
    parts = world.parts()
    workers = bootstrap.workers(parts, "dispatch")
    roll_call = RollCall(world.uow, OPS.tables, workers)
    roll_call.beat()
    roll_call.beat()
    found = ops.ListWorkers(pb.ListWorkersRequest()).workers
    assert [worker.name for worker in found] == ["dispatch-email", "dispatch-letter", "dispatch-sms"]
    assert {worker.process for worker in found} == {roll_call.process}
    roll_call.stop()
    assert not ops.ListWorkers(pb.ListWorkersRequest()).workers


def test_an_observer_sees_and_changes_nothing(world: World) -> None:
    registration = ops_registration(OPS, world.uow, Pager(PAGE_SECRET.encode()))
    with InProcessServer("providers", [registration], allowed_callers=OPS_CALLERS) as server:
        observer = OpsServiceStub(server.channel("observer"))
        assert queues(observer)
        with pytest.raises(NotifyError) as caught:
            observer.PauseQueue(pb.PauseQueueRequest(queue="dispatches/sms", reason="why"))
        assert caught.value.reason == "CALLER_NOT_ALLOWED"
        with pytest.raises(NotifyError):
            OpsServiceStub(server.channel("gateway-internal")).ListQueues(pb.ListQueuesRequest())
    assert world.value("SELECT count(*) FROM ops_actions") == 0

"""SuppressionsService."""

from datetime import UTC

import grpc
from notify.providers.v1 import suppressions_service_pb2 as pb
from notify.providers.v1.suppressions_service_pb2_grpc import SuppressionsServiceServicer
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.errors import FieldViolation, invalid_field
from notify_common.rpc.enums import from_proto, to_proto, to_text
from notify_common.rpc.tls import caller_name

from notify_providers.domain.suppression import AddressHash, Cause, Suppression
from notify_providers.servicers import convert
from notify_providers.usecases.suppress import (
    MAX_RELEASED,
    add_suppression,
    get_suppression,
    release_suppressions,
    remove_suppression,
)

SERVICE = pb.DESCRIPTOR.services_by_name["SuppressionsService"].full_name


class SuppressionsServicer(SuppressionsServiceServicer):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, hashed: AddressHash) -> None:
        self._uow = uow
        self._hashed = hashed

    def GetSuppression(
        self, request: pb.GetSuppressionRequest, context: grpc.ServicerContext
    ) -> pb.GetSuppressionResponse:
        found = get_suppression(self._uow, self._hashed, _channel(request.channel), request.address)
        return pb.GetSuppressionResponse(suppression=None if found is None else _to_proto(found))

    def AddSuppression(
        self, request: pb.AddSuppressionRequest, context: grpc.ServicerContext
    ) -> pb.AddSuppressionResponse:
        channel = _channel(request.channel)
        added = add_suppression(
            self._uow, self._hashed, channel, request.address, caller_name(context), request.reason
        )
        return pb.AddSuppressionResponse(suppression=_to_proto(added))

    def RemoveSuppression(
        self, request: pb.RemoveSuppressionRequest, context: grpc.ServicerContext
    ) -> pb.RemoveSuppressionResponse:
        channel = _channel(request.channel)
        removed = remove_suppression(
            self._uow, self._hashed, channel, request.address, caller_name(context), request.reason
        )
        return pb.RemoveSuppressionResponse(was_suppressed=removed)

    def ReleaseSuppressions(
        self, request: pb.ReleaseSuppressionsRequest, context: grpc.ServicerContext
    ) -> pb.ReleaseSuppressionsResponse:
        cause = Cause(to_text(pb.Suppression.Cause, request.cause)) if request.cause else None
        since, until = (moment.ToDatetime(UTC) for moment in (request.begin_time, request.end_time))
        count = release_suppressions(
            self._uow, _channel(request.channel), cause, since, until, caller_name(context), request.reason
        )
        return pb.ReleaseSuppressionsResponse(released_count=count, more=count == MAX_RELEASED)


def _channel(value: int) -> Channel:
    channel = from_proto(Channel, value)
    if channel is Channel.LETTER:
        raise invalid_field(FieldViolation("channel", "should be texts or emails"))
    return channel


def _to_proto(suppression: Suppression) -> pb.Suppression:
    return pb.Suppression(
        channel=to_proto(suppression.channel),
        cause=convert.enum_value(pb.Suppression.Cause, suppression.cause),
        reason=suppression.reason,
        dispatch_id=suppression.dispatch_id or "",
        create_time=suppression.create_time,
    )

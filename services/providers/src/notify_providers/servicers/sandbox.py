"""SandboxService."""

from typing import Any

import grpc
from notify.common.v1 import common_pb2
from notify.providers.v1 import sandbox_service_pb2 as pb
from notify.providers.v1.sandbox_service_pb2_grpc import SandboxServiceServicer
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager, page_size
from notify_common.rpc.validate import validating
from sqlalchemy import Row

from notify_providers.domain.message import content_from_json
from notify_providers.servicers import convert
from notify_providers.usecases import sandbox

SERVICE = pb.DESCRIPTOR.services_by_name["SandboxService"].full_name


class SandboxServicer(SandboxServiceServicer):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager) -> None:
        self._uow = uow
        self._pager = pager

    def ListSandboxMessages(
        self, request: pb.ListSandboxMessagesRequest, context: grpc.ServicerContext
    ) -> pb.ListSandboxMessagesResponse:
        """Paged by (receive time, id), newest first."""
        with validating() as check:
            wanted = check.text("recipient_contains", request.recipient_contains, 1_000)
        size = page_size(request.page_size)
        filters = {"list": "sandbox", "recipient_contains": wanted}
        before = convert.read_position(self._pager.decode(request.page_token, filters))
        rows = sandbox.list_messages(self._uow, wanted, before, size + 1)
        token = ""
        if len(rows) > size:
            last = rows[size - 1]
            token = self._pager.encode(convert.position_of(last.receive_time, last.id), filters)
        return pb.ListSandboxMessagesResponse(messages=map(_to_proto, rows[:size]), next_page_token=token)

    def GetSandboxMessage(
        self, request: pb.GetSandboxMessageRequest, context: grpc.ServicerContext
    ) -> pb.GetSandboxMessageResponse:
        """With its content."""
        with validating() as check:
            message_id = check.uuid("message_id", request.message_id)
        row = sandbox.get_message(self._uow, message_id)
        message = _to_proto(row)
        message.dispatch.id = message.id
        message.dispatch.service_id = message.service_id
        message.dispatch.key_type = convert.enum_value(common_pb2.KeyType, row.key_type)
        message.dispatch.origin_request_id = row.request_id
        message.dispatch.traceparent = row.traceparent
        convert.content_to_proto(content_from_json(row.channel, row.content), message.dispatch)
        return pb.GetSandboxMessageResponse(message=message)


def _to_proto(row: Row[Any]) -> pb.SandboxMessage:
    return pb.SandboxMessage(
        id=str(row.id),
        service_id=str(row.service_id),
        channel=convert.enum_value(common_pb2.Channel, row.channel),
        recipient=row.recipient,
        summary=row.summary,
        receive_time=convert.timestamp(row.receive_time),
        copy_count=row.copy_count,
    )

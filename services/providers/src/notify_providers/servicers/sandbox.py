"""SandboxService."""

from dataclasses import asdict

import grpc
from notify.providers.v1 import sandbox_service_pb2 as pb
from notify.providers.v1.sandbox_service_pb2_grpc import SandboxServiceServicer
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.rpc.enums import optional_from_proto, to_proto
from notify_common.rpc.paging import Pager, page_size, position_in_time, read_position_in_time

from notify_providers.domain.sandbox import FAULTS, KeptMessage, Wanted
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
        wanted = Wanted(
            recipient_contains=request.recipient_contains,
            contains=request.contains,
            channel=optional_from_proto(Channel, request.channel),
            outcome=request.outcome,
        )
        size = page_size(request.page_size)
        filters = {"list": "sandbox"} | {name: str(value) for name, value in asdict(wanted).items() if value}
        before = read_position_in_time(self._pager.decode(request.page_token, filters))
        found = sandbox.list_messages(self._uow, wanted, before, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = self._pager.encode(position_in_time(last.receive_time, last.id), filters)
        return pb.ListSandboxMessagesResponse(messages=map(_to_proto, found[:size]), next_page_token=token)

    def GetSandboxMessage(
        self, request: pb.GetSandboxMessageRequest, context: grpc.ServicerContext
    ) -> pb.GetSandboxMessageResponse:
        kept, content = sandbox.get_message(self._uow, request.message_id)
        message = _to_proto(kept)
        message.dispatch.id = kept.id
        message.dispatch.service_id = kept.service_id
        message.dispatch.key_type = to_proto(kept.key_type)
        message.dispatch.origin_request_id = kept.request_id
        message.dispatch.traceparent = kept.traceparent
        convert.content_to_proto(content, message.dispatch)
        return pb.GetSandboxMessageResponse(message=message)

    def ListSandboxFaults(
        self, request: pb.ListSandboxFaultsRequest, context: grpc.ServicerContext
    ) -> pb.ListSandboxFaultsResponse:
        size, filters = page_size(request.page_size), {"list": "sandbox-faults"}
        after = self._pager.decode(request.page_token, filters)
        first = int(after[0]) if after else 0
        more = first + size < len(FAULTS)
        return pb.ListSandboxFaultsResponse(
            faults=[
                pb.SandboxFault(
                    name=one.fault,
                    phone_number_ending=one.number,
                    email_address=one.address,
                    address_line=one.line,
                    happens=one.happens,
                    status=one.status,
                )
                for one in FAULTS[first : first + size]
            ],
            next_page_token=self._pager.encode((str(first + size),), filters) if more else "",
        )


def _to_proto(kept: KeptMessage) -> pb.SandboxMessage:
    return pb.SandboxMessage(
        id=kept.id,
        service_id=kept.service_id,
        channel=to_proto(kept.channel),
        recipient=kept.recipient,
        summary=kept.summary,
        receive_time=kept.receive_time,
        copy_count=kept.copy_count,
        outcome=kept.outcome or "",
    )

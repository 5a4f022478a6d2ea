"""ReceiptsService."""

from datetime import datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from notify.providers.v1 import receipts_service_pb2 as pb
from notify.providers.v1.receipts_service_pb2_grpc import ReceiptsServiceServicer
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.rpc.enums import from_proto, to_proto
from notify_common.rpc.paging import page_size

from notify_providers.clients.base import Callback
from notify_providers.clients.callbacks import CallbackReader
from notify_providers.servicers import convert
from notify_providers.usecases.history import list_events
from notify_providers.usecases.inbound import list_inbound, record_inbound
from notify_providers.usecases.record_receipt import record_callback

SERVICE = pb.DESCRIPTOR.services_by_name["ReceiptsService"].full_name
_MAX_EVENTS = 500
# each may be as large as a callback, and all of them go into one answer
_MAX_TEXTS = 50


class ReceiptsServicer(ReceiptsServiceServicer):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, reader: CallbackReader) -> None:
        self._uow = uow
        self._reader = reader

    def RecordReceipt(
        self, request: pb.RecordReceiptRequest, context: grpc.ServicerContext
    ) -> pb.RecordReceiptResponse:
        new, answer = record_callback(self._uow, self._reader, request.provider, _callback(request))
        return pb.RecordReceiptResponse(
            new_receipt=new,
            http_status=answer.status,
            http_content_type=answer.content_type,
            http_body=answer.body,
            http_headers=answer.headers,
        )

    def RecordInboundSms(
        self, request: pb.RecordInboundSmsRequest, context: grpc.ServicerContext
    ) -> pb.RecordInboundSmsResponse:
        new, answer = record_inbound(self._uow, self._reader, request.provider, _callback(request))
        return pb.RecordInboundSmsResponse(
            new_sms=new,
            http_status=answer.status,
            http_content_type=answer.content_type,
            http_body=answer.body,
            http_headers=answer.headers,
        )

    def ListInboundSmsEvents(
        self, request: pb.ListInboundSmsEventsRequest, context: grpc.ServicerContext
    ) -> pb.ListInboundSmsEventsResponse:
        limit = page_size(request.page_size, default=_MAX_TEXTS, maximum=_MAX_TEXTS)
        events, next_cursor = list_inbound(self._uow, request.cursor, limit)
        messages = [
            pb.InboundSmsEvent(
                id=event.id,
                provider=event.text.provider,
                provider_reference=event.text.reference,
                source_number=event.text.source_number,
                destination_number=event.text.destination_number,
                content=event.text.content,
                provider_time=event.text.provider_time,
                receive_time=event.receive_time,
            )
            for event in events
        ]
        return pb.ListInboundSmsEventsResponse(events=messages, next_cursor=next_cursor)

    def ListDeliveryEvents(
        self, request: pb.ListDeliveryEventsRequest, context: grpc.ServicerContext
    ) -> pb.ListDeliveryEventsResponse:
        limit = page_size(request.page_size, default=_MAX_EVENTS, maximum=_MAX_EVENTS)
        channels = [from_proto(Channel, channel) for channel in request.channels]
        events, next_cursor = list_events(self._uow, request.cursor, limit, channels)
        times: dict[datetime, Timestamp] = {}  # those of a transaction have the same
        for event in events:
            if event.event_time not in times:
                times[event.event_time] = made = Timestamp()
                made.FromDatetime(event.event_time)
        return pb.ListDeliveryEventsResponse(
            events=[
                pb.DeliveryEvent(
                    dispatch_id=event.dispatch_id,
                    kind=convert.enum_value(pb.DeliveryEvent.Kind, event.kind),
                    provider=event.provider,
                    event_time=times[event.event_time],
                    channel=to_proto(event.channel),
                )
                for event in events
            ],
            next_cursor=next_cursor,
        )


def _callback(request: pb.RecordReceiptRequest | pb.RecordInboundSmsRequest) -> Callback:
    headers = {**request.headers, "content-type": request.content_type}
    return Callback(request.body, headers, request.query, request.client_address)

"""ReceiptsService."""

import grpc
from notify.common.v1 import common_pb2
from notify.providers.v1 import receipts_service_pb2 as pb
from notify.providers.v1.receipts_service_pb2_grpc import ReceiptsServiceServicer
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import page_size
from notify_common.rpc.validate import validating

from notify_providers.domain.receipts import MAX_BODY_BYTES
from notify_providers.servicers import convert
from notify_providers.usecases.read_events import list_events
from notify_providers.usecases.record_receipt import record_receipt

SERVICE = pb.DESCRIPTOR.services_by_name["ReceiptsService"].full_name
_MAX_EVENTS = 500


class ReceiptsServicer(ReceiptsServiceServicer):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def RecordReceipt(
        self, request: pb.RecordReceiptRequest, context: grpc.ServicerContext
    ) -> pb.RecordReceiptResponse:
        """Parsed by the provider's own rules; the content type decides nothing (public-api.md §9.2)."""
        with validating() as check:
            provider = check.required("provider", request.provider, 64)
            check.size("body", request.body, 1, MAX_BODY_BYTES)
        return pb.RecordReceiptResponse(new_receipt=record_receipt(self._uow, provider, request.body))

    def ListDeliveryEvents(
        self, request: pb.ListDeliveryEventsRequest, context: grpc.ServicerContext
    ) -> pb.ListDeliveryEventsResponse:
        """The feed."""
        with validating() as check:
            channels = check.enums("channels", common_pb2.Channel, request.channels)
        limit = page_size(request.page_size, default=_MAX_EVENTS, maximum=_MAX_EVENTS)
        rows, next_cursor = list_events(self._uow, request.cursor, limit, channels)
        events = [
            pb.DeliveryEvent(
                dispatch_id=str(row.dispatch_id),
                kind=convert.enum_value(pb.DeliveryEvent.Kind, row.kind),
                provider=row.provider,
                event_time=convert.timestamp(row.event_time),
                channel=convert.enum_value(common_pb2.Channel, row.channel),
            )
            for row in rows
        ]
        return pb.ListDeliveryEventsResponse(events=events, next_cursor=next_cursor)

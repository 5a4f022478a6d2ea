"""What providers and letters report, as events (design.md §3.4)."""

from collections.abc import Sequence
from datetime import UTC
from typing import Final

import grpc
from notify.letters.v1 import letters_service_pb2 as letters_pb
from notify.letters.v1 import letters_service_pb2_grpc as letters_grpc
from notify.providers.v1 import receipts_service_pb2 as receipts_pb
from notify.providers.v1 import receipts_service_pb2_grpc as receipts_grpc
from notify_common.enums import Postage
from notify_common.rpc import enums

from notify_notifications.domain.notification import Event, Happening

PAGE_SIZE: Final = 500
"""Most events that are read at once."""
_DELIVERY = receipts_pb.DeliveryEvent
_LETTER = letters_pb.LetterEvent

_DELIVERY_HAPPENINGS: Final = {
    _DELIVERY.KIND_SENT: Happening.SENT,
    _DELIVERY.KIND_PENDING: Happening.PENDING,
    _DELIVERY.KIND_DELIVERED: Happening.DELIVERED,
    _DELIVERY.KIND_TEMPORARY_FAILURE: Happening.TEMPORARY_FAILURE,
    _DELIVERY.KIND_PERMANENT_FAILURE: Happening.PERMANENT_FAILURE,
    _DELIVERY.KIND_TECHNICAL_FAILURE: Happening.TECHNICAL_FAILURE,
    _DELIVERY.KIND_EXPIRED: Happening.EXPIRED,
    _DELIVERY.KIND_COMPLAINT: Happening.COMPLAINT,
}
_LETTER_HAPPENINGS: Final = {
    _LETTER.KIND_READY: Happening.LETTER_READY,
    _LETTER.KIND_VALIDATION_FAILED: Happening.LETTER_VALIDATION_FAILED,
    _LETTER.KIND_TECHNICAL_FAILURE: Happening.LETTER_TECHNICAL_FAILURE,
    _LETTER.KIND_VIRUS_SCAN_FAILED: Happening.LETTER_VIRUS_FOUND,
    _LETTER.KIND_CANCELLED: Happening.LETTER_CANCELLED,
    _LETTER.KIND_RETURNED: Happening.LETTER_RETURNED,
}


class DeliveryEvents:
    """The feed of providers. Kinds of a newer version that this one does not know are passed over."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = receipts_grpc.ReceiptsServiceStub(channel)

    def fetch(self, cursor: str) -> tuple[Sequence[Event], str]:
        """Return up to 500 events after `cursor`, and the next cursor. Raises NotifyError."""
        request = receipts_pb.ListDeliveryEventsRequest(cursor=cursor, page_size=PAGE_SIZE)
        response = self._stub.ListDeliveryEvents(request)
        events = [
            Event(
                notification_id=event.dispatch_id,
                happening=_DELIVERY_HAPPENINGS[event.kind],
                time=event.event_time.ToDatetime(UTC),
                provider=event.provider,
            )
            for event in response.events
            if event.kind in _DELIVERY_HAPPENINGS
        ]
        return events, response.next_cursor


class LetterEvents:
    """The feed of letters. Kinds of a newer version that this one does not know are passed over."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = letters_grpc.LettersServiceStub(channel)

    def fetch(self, cursor: str) -> tuple[Sequence[Event], str]:
        """Return up to 500 events after `cursor`, and the next cursor. Raises NotifyError."""
        response = self._stub.ListLetterEvents(
            letters_pb.ListLetterEventsRequest(cursor=cursor, page_size=PAGE_SIZE)
        )
        events = [
            Event(
                notification_id=event.letter_id,
                happening=_LETTER_HAPPENINGS[event.kind],
                time=event.event_time.ToDatetime(UTC),
                sheet_count=event.sheet_count,
                postage=enums.optional_from_proto(Postage, event.postage),
            )
            for event in response.events
            if event.kind in _LETTER_HAPPENINGS
        ]
        return events, response.next_cursor

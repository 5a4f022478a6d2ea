"""Texts that providers keep, and whose they are."""

from collections.abc import Sequence
from datetime import UTC
from typing import Final

import grpc
from notify.admin.v1 import inbound_numbers_service_pb2 as numbers_pb
from notify.admin.v1 import inbound_numbers_service_pb2_grpc as numbers_grpc
from notify.admin.v1.inbound_number_pb2 import InboundNumber
from notify.providers.v1 import receipts_service_pb2 as pb
from notify.providers.v1 import receipts_service_pb2_grpc as pb_grpc

from notify_notifications.domain.inbound_sms import InboundSms

PAGE_SIZE: Final = 50
"""Most texts that are read at once."""


class InboundSmsFeed:
    """The feed of providers."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = pb_grpc.ReceiptsServiceStub(channel)

    def read(self, cursor: str) -> tuple[Sequence[pb.InboundSmsEvent], str]:
        """Return up to 50 texts after `cursor`, and the next cursor. Raises NotifyError."""
        ask = pb.ListInboundSmsEventsRequest(cursor=cursor, page_size=PAGE_SIZE)
        answer = self._stub.ListInboundSmsEvents(ask)
        return answer.events, answer.next_cursor


class InboundNumbers:
    """Which number is whose, as admin has it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = numbers_grpc.InboundNumbersServiceStub(channel)

    def find(self, number: str) -> InboundNumber | None:
        """Return a number of the platform; None if it is none. Raises NotifyError."""
        ask = numbers_pb.ListInboundNumbersRequest(number=number, page_size=1)
        found: Sequence[InboundNumber] = self._stub.ListInboundNumbers(ask).inbound_numbers
        return next(iter(found), None)


def inbound_sms(event: pb.InboundSmsEvent, service_id: str) -> InboundSms:
    """Return a text of the feed as that of a service."""
    timed = event.HasField("provider_time")
    return InboundSms(
        id=event.id,
        service_id=service_id,
        notify_number=event.destination_number,
        user_number=event.source_number,
        content=event.content,
        provider=event.provider,
        provider_reference=event.provider_reference,
        provider_time=event.provider_time.ToDatetime(UTC) if timed else None,
        create_time=event.receive_time.ToDatetime(UTC),
    )

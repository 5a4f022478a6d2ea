"""Times as the contract writes them (public-api.md §0.3)."""

import re
from datetime import UTC, datetime
from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_WITH_ZONE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def moment(text: str) -> datetime:
    """Return the time that a client wrote, as RFC 3339 has it: date, time and zone. Raises ValueError."""
    if not _WITH_ZONE.fullmatch(text):
        raise ValueError("no date-time with a zone")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond all times") from None


def text(timestamp: Timestamp) -> str:
    """Return a time in UTC with six decimals: `2024-05-17T15:58:38.342838Z`."""
    return timestamp.ToDatetime().strftime(_FORMAT)


def again(written: str) -> str:
    """Return a time that a client wrote as the contract writes it."""
    return moment(written).strftime(_FORMAT)


def text_or_none(message: Message, field: str) -> str | None:
    """Return the time in a message's field, or None where it is absent."""
    return text(getattr(message, field)) if message.HasField(field) else None

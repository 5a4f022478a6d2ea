"""Times as the contract writes them (public-api.md §0.3)."""

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def text(timestamp: Timestamp) -> str:
    """Return a time in UTC with six decimals: `2024-05-17T15:58:38.342838Z`."""
    return timestamp.ToDatetime().strftime(_FORMAT)


def text_or_none(message: Message, field: str) -> str | None:
    """Return the time in a message's field, or None where it is absent."""
    return text(getattr(message, field)) if message.HasField(field) else None

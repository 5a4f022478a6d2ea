"""What providers report on messages, once it has been read."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from notify_common import ids
from notify_common.clock import LONDON
from notify_common.enums import Channel
from notify_common.records import record

from notify_providers.domain.suppression import Cause

_MAX_WORD = 64


class Kind(StrEnum):
    """What a delivery event says; a receipt makes one of all but `SENT` and `EXPIRED`."""

    SENT = "sent"
    PENDING = "pending"
    DELIVERED = "delivered"
    TEMPORARY_FAILURE = "temporary-failure"
    PERMANENT_FAILURE = "permanent-failure"
    TECHNICAL_FAILURE = "technical-failure"
    EXPIRED = "expired"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that was read.

    Attributes:
        reference: what the provider calls the message; with `status` and `provider_time` it makes a receipt
            the same as another.
        kind: the delivery event it stands for.
        provider_time: when the provider says it happened; None if it doesn't say.
        silent: it proves that the provider has the message and makes no event: a repeated hand-over was
            turned away because the message was there already.
        suppression: why its recipient shall get no more messages; None if that is not so.
        kind_after_pending: the event in place of `kind` if the provider had reported `pending` before.
    """

    provider: str
    dispatch_id: str
    reference: str
    status: str
    detail: str
    kind: Kind
    provider_time: datetime | None
    silent: bool = False
    suppression: Cause | None = None
    kind_after_pending: Kind | None = None


@dataclass(frozen=True, slots=True)
class RecordedReceipt:
    """A receipt as it is shown. `detail` may be empty."""

    provider: str
    status: str
    detail: str
    receive_time: datetime


@record()
class DeliveryEvent:
    """News of a dispatch. `provider` is empty if none was called."""

    dispatch_id: str
    channel: Channel
    kind: Kind
    provider: str
    event_time: datetime


def word(value: object) -> str:
    """Return a provider's number or text as a text that can be stored, of at most 64 characters.

    Anything else counts as absent and makes an empty text.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    text = str(value).replace("\0", "")[:_MAX_WORD].strip()
    return text.encode("utf-8", "replace").decode()  # JSON may name halves of characters


def message_id(reference: str) -> str | None:
    """Return the id of ours that a provider's reference is, or None."""
    lowered = reference.lower()
    return lowered if ids.is_uuid(lowered) else None


def london_time(value: object) -> datetime | None:
    """Return a provider's time, None if it can't be read. It is London time unless it has an offset."""
    return _time(value, LONDON)


def utc_time(value: object) -> datetime | None:
    """Read a time as `london_time` does, for a provider whose times are UTC."""
    return _time(value, UTC)


def _time(value: object, zone: tzinfo) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None

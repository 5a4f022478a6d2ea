"""Reading what providers report, each in its own words (public-api.md §9, pipeline.md §3.1)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

PENDING, DELIVERED = "pending", "delivered"
TEMPORARY_FAILURE, PERMANENT_FAILURE, TECHNICAL_FAILURE = (
    "temporary-failure",
    "permanent-failure",
    "technical-failure",
)
SENT = "sent"
"""Kinds of delivery events; a receipt makes one of all but `sent`."""

MAX_BODY_BYTES = 65_536
_LONDON = ZoneInfo("Europe/London")
_MMG_KINDS = {"2": PERMANENT_FAILURE, "3": DELIVERED, "4": TEMPORARY_FAILURE, "5": PERMANENT_FAILURE}
_MMG_DUPLICATE_ID = ("5", "23")
_MAX_WORD = 64


class InvalidReceipt(Exception):
    """A receipt that can't be read.

    Attributes:
        missing: names of required fields that are absent or empty, in the provider's order.
    """

    def __init__(self, text: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that was read.

    Attributes:
        reference: what the provider calls the message; with `status` and `provider_time` it makes a receipt
            the same as another.
        kind: the delivery event it stands for.
        provider_time: when the provider says it happened; None if it doesn't say.
        second_copy: it says that a repeated hand-over was turned away because the message was there already.
    """

    provider: str
    dispatch_id: UUID
    reference: str
    status: str
    detail: str
    kind: str
    provider_time: datetime | None
    second_copy: bool = False


def parse_receipt(provider: str, body: bytes) -> Receipt:
    """Reads the body of a receipt.

    Raises:
        InvalidReceipt: it can't be read; the text holds nothing of the body.
        KeyError: no provider of this name sends receipts.
    """
    parse = _PARSERS[provider]
    if len(body) > MAX_BODY_BYTES:
        raise InvalidReceipt("the body is too large")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidReceipt("the body is not JSON") from None
    if not isinstance(fields, dict):
        raise InvalidReceipt("the body is not a JSON object")
    return parse(provider, fields)


def _parse_mmg(provider: str, fields: Mapping[str, Any]) -> Receipt:
    status, reference = _required(fields, "status", "CID")
    detail = _word(fields.get("substatus"))
    return Receipt(
        provider=provider,
        dispatch_id=_message_id(reference),
        reference=reference.lower(),
        status=status,
        detail=detail,
        kind=_MMG_KINDS.get(status, TECHNICAL_FAILURE),
        provider_time=_time(fields.get("deliverytime")),
        second_copy=(status, detail) == _MMG_DUPLICATE_ID,
    )


def _parse_sandbox(provider: str, fields: Mapping[str, Any]) -> Receipt:
    status, reference = _required(fields, "status", "reference")
    known = status in (PENDING, DELIVERED, TEMPORARY_FAILURE, PERMANENT_FAILURE)
    return Receipt(
        provider=provider,
        dispatch_id=_message_id(reference),
        reference=reference.lower(),
        status=status,
        detail="",
        kind=status if known else TECHNICAL_FAILURE,
        provider_time=_time(fields.get("time")),
    )


_PARSERS: dict[str, Callable[[str, Mapping[str, Any]], Receipt]] = {
    "mmg": _parse_mmg,
    "sandbox-sms": _parse_sandbox,
    "sandbox-email": _parse_sandbox,
    "sandbox-print": _parse_sandbox,
}


def _required(fields: Mapping[str, Any], *names: str) -> list[str]:
    values = [_word(fields.get(name)) for name in names]
    missing = tuple(name for name, value in zip(names, values, strict=True) if not value)
    if missing:
        raise InvalidReceipt(f"{' and '.join(missing)} missing", missing)
    return values


def _word(value: object) -> str:
    """A number or text as text that can be stored; anything else counts as absent."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    text = str(value).replace("\0", "")[:_MAX_WORD].strip()
    return text.encode("utf-8", "replace").decode()  # JSON may name halves of characters


def _message_id(reference: str) -> UUID:
    try:
        return UUID(reference)
    except ValueError:
        raise InvalidReceipt("the reference is not an id of ours") from None


def _time(value: object) -> datetime | None:
    """A provider's time: London time unless it has an offset; None if there is none that can be read."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=_LONDON)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None

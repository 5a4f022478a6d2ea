"""What the sandbox does with a message: scripted by its recipient.

Messages of test keys end as public-api.md §5.4 says. A second script works with every key: recipients that
make the hand-over or the receipt go wrong, so that a person or a test can watch the platform cope. They are

| text message to | email to | letter, first line | what happens |
|---|---|---|---|
| …7700900901 | refused@sandbox.notify | Sandbox Refused | the hand-over is refused for good |
| …7700900902 | lost-answer@sandbox.notify | Sandbox Lost Answer | taken, but the first answer gets lost |
| …7700900903 | busy-twice@sandbox.notify | Sandbox Busy Twice | turned away twice, then taken |
| …7700900904 | down@sandbox.notify | Sandbox Down | never answers, never takes it |
| …7700900905 | no-receipt@sandbox.notify | Sandbox No Receipt | taken, no receipt follows |
| …7700900906 | repeated-receipt@sandbox.notify | Sandbox Repeated Receipt | the receipt comes three times |
| …7700900907 | mixed-receipts@sandbox.notify | Sandbox Mixed Receipts | `pending` comes after `delivered` |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notify_common.enums import Channel, KeyType

from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.message import Content, EmailContent, PrintContent, SmsContent
from notify_providers.domain.receipts import Kind


class Fault(StrEnum):
    """What goes wrong with a message to a scripted recipient, in the order of their numbers."""

    REFUSED = "refused"
    LOST_ANSWER = "lost-answer"
    BUSY_TWICE = "busy-twice"
    DOWN = "down"
    NO_RECEIPT = "no-receipt"
    REPEATED_RECEIPT = "repeated-receipt"
    MIXED_RECEIPTS = "mixed-receipts"


_FAULT_ADDRESSES = {f"{fault}@sandbox.notify": fault for fault in Fault}
_FAULT_NUMBERS = {f"77009009{number:02d}": fault for number, fault in enumerate(Fault, start=1)}
_FAULT_LINES = {f"sandbox {fault.replace('-', ' ')}": fault for fault in Fault}


@dataclass(frozen=True, slots=True)
class Script:
    """What becomes of one hand-over.

    Attributes:
        keeps: whether the sandbox keeps the message.
        outcome: what the caller is told.
        reason: word on why it is not `accepted`.
        receipts: what is reported later, in this order.
    """

    keeps: bool
    outcome: Outcome
    reason: str
    receipts: Sequence[Kind]


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message that the sandbox keeps, as lists show it.

    Attributes:
        summary: what a list shows of its content, at most 200 characters on one line.
        copy_count: how often it was handed over by calls that each claimed to be the first.
        outcome: what became of it as far as receipts say; None before the first.
    """

    id: str
    service_id: str
    key_type: KeyType
    channel: Channel
    recipient: str
    summary: str
    receive_time: datetime
    copy_count: int
    request_id: str
    traceparent: str
    outcome: Kind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which kept messages a list shows; nothing set means all."""

    recipient_contains: str = ""
    contains: str = ""
    """In the recipient, the summary or the wording, without regard to case."""
    channel: Channel | None = None
    outcome: str = ""
    """A Kind, or `none` for messages without a receipt."""


def script(content: Content, key_type: KeyType, attempt: int) -> Script:
    """Return what the sandbox does with a message.

    Args:
        key_type: type of the key that sent it.
        attempt: which try to hand it over this is, from 1.
    """
    receipts = (_test_key_outcome(content) if key_type is KeyType.TEST else Kind.DELIVERED,)
    match _fault(content):
        case Fault.REFUSED:
            return Script(False, Outcome.REFUSED, "refused", ())
        case Fault.LOST_ANSWER if attempt == 1:
            return Script(True, Outcome.UNKNOWN, "timeout", receipts)
        case Fault.BUSY_TWICE if attempt <= 2:
            return Script(False, Outcome.RETRYABLE, "http_503", ())
        case Fault.DOWN:
            return Script(False, Outcome.UNKNOWN, "timeout", ())
        case Fault.NO_RECEIPT:
            return Script(True, Outcome.ACCEPTED, "", ())
        case Fault.REPEATED_RECEIPT:
            return Script(True, Outcome.ACCEPTED, "", (Kind.DELIVERED,) * 3)
        case Fault.MIXED_RECEIPTS:
            return Script(True, Outcome.ACCEPTED, "", (Kind.DELIVERED, Kind.PENDING))
    return Script(True, Outcome.ACCEPTED, "", receipts)


def _test_key_outcome(content: Content) -> Kind:
    match content:
        case SmsContent():
            typed = content.phone_number_as_typed or content.phone_number
            if typed.endswith("7700900003"):
                return Kind.TEMPORARY_FAILURE
            return Kind.PERMANENT_FAILURE if typed.endswith("7700900002") else Kind.DELIVERED
        case EmailContent(to_address="temp-fail@simulator.notify"):
            return Kind.TEMPORARY_FAILURE
        case EmailContent(to_address="perm-fail@simulator.notify"):
            return Kind.PERMANENT_FAILURE
    return Kind.DELIVERED


def _fault(content: Content) -> Fault | None:
    match content:
        case SmsContent():
            return _FAULT_NUMBERS.get(content.phone_number[-10:])
        case EmailContent():
            return _FAULT_ADDRESSES.get(content.to_address.lower())
        case PrintContent():
            return _FAULT_LINES.get(content.address_lines[0].lower()) if content.address_lines else None

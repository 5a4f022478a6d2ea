"""What the sandbox does with a message: scripted by its recipient.

Messages of test keys end as public-api.md §5.4 says. A second script works with every key: recipients that
make the hand-over or the receipt go otherwise than well, so that a person or a test can watch the platform
cope. They are declared in FAULTS, which the console and the README show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from notify_common.enums import Channel, KeyType

from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.message import Content, EmailContent, PrintContent, SmsContent
from notify_providers.domain.receipts import Kind


class Fault(StrEnum):
    """What goes otherwise than well with a message to a scripted recipient."""

    REFUSED = "refused"
    LOST_ANSWER = "lost-answer"
    BUSY_TWICE = "busy-twice"
    DOWN = "down"
    NO_RECEIPT = "no-receipt"
    REPEATED_RECEIPT = "repeated-receipt"
    MIXED_RECEIPTS = "mixed-receipts"
    TEMPORARY_FAILURE = "temporary-failure"
    PERMANENT_FAILURE = "permanent-failure"
    DELAYED = "delayed"
    LATE_RECEIPT = "late-receipt"
    SLOW = "slow"


SLOW_SECONDS: Final = 3.0
DELAY_SECONDS: Final = 30.0
LATE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ScriptedFault:
    """A fault with the recipients that bring it about, for people to read.

    Attributes:
        happens: what the provider that the sandbox plays does.
        status: what a text or email ends as, in the words of the public API, live or of a test key.
    """

    fault: Fault
    happens: str
    status: str

    @property
    def number(self) -> str:
        """The last ten digits of the number that texts are sent to."""
        return f"77009009{list(Fault).index(self.fault) + 1:02d}"

    @property
    def address(self) -> str:
        """The address that emails are sent to."""
        return f"{self.fault}@sandbox.notify"

    @property
    def line(self) -> str:
        """The first line of the address that letters are sent to."""
        return f"Sandbox {self.fault.replace('-', ' ').title()}"


FAULTS: Final = (
    ScriptedFault(Fault.REFUSED, "the hand-over is refused for good", "technical-failure"),
    ScriptedFault(Fault.LOST_ANSWER, "taken, but the first answer gets lost", "delivered"),
    ScriptedFault(Fault.BUSY_TWICE, "turned away twice, then taken", "delivered"),
    ScriptedFault(Fault.DOWN, "never answers, never takes it", "created, after 48 tries technical-failure"),
    ScriptedFault(Fault.NO_RECEIPT, "taken, no receipt follows", "sending"),
    ScriptedFault(Fault.REPEATED_RECEIPT, "the receipt comes three times", "delivered"),
    ScriptedFault(Fault.MIXED_RECEIPTS, "`pending` comes after `delivered`", "delivered"),
    ScriptedFault(Fault.TEMPORARY_FAILURE, "the receipt says that it did not arrive", "temporary-failure"),
    ScriptedFault(Fault.PERMANENT_FAILURE, "the receipt says that it can't arrive", "permanent-failure"),
    ScriptedFault(
        Fault.DELAYED, f"`pending` comes first, the receipt {DELAY_SECONDS:.0f} s later", "pending, delivered"
    ),
    ScriptedFault(Fault.LATE_RECEIPT, f"the receipt comes {LATE_SECONDS:.0f} s later", "sending, delivered"),
    ScriptedFault(Fault.SLOW, f"the answer takes {SLOW_SECONDS:.0f} s", "delivered"),
)
"""Every fault, in the order of the numbers."""

_FAULT_ADDRESSES: Final = {one.address: one.fault for one in FAULTS}
_FAULT_NUMBERS: Final = {one.number: one.fault for one in FAULTS}
_FAULT_LINES: Final = {one.line.lower(): one.fault for one in FAULTS}


@dataclass(frozen=True, slots=True)
class Script:
    """What becomes of one hand-over.

    Attributes:
        keeps: whether the sandbox keeps the message.
        outcome: what the caller is told.
        reason: word on why it is not `accepted`.
        receipts: what is reported later, in this order.
        last_receipt_seconds: by how much later than others the last of them comes.
        answer_seconds: until the caller is told.
    """

    keeps: bool
    outcome: Outcome
    reason: str
    receipts: Sequence[Kind]
    last_receipt_seconds: float = 0.0
    answer_seconds: float = 0.0


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
        case Fault.TEMPORARY_FAILURE:
            return Script(True, Outcome.ACCEPTED, "", (Kind.TEMPORARY_FAILURE,))
        case Fault.PERMANENT_FAILURE:
            return Script(True, Outcome.ACCEPTED, "", (Kind.PERMANENT_FAILURE,))
        case Fault.DELAYED:
            return Script(True, Outcome.ACCEPTED, "", (Kind.PENDING, Kind.DELIVERED), DELAY_SECONDS)
        case Fault.LATE_RECEIPT:
            return Script(True, Outcome.ACCEPTED, "", (Kind.DELIVERED,), LATE_SECONDS)
        case Fault.SLOW:
            return Script(True, Outcome.ACCEPTED, "", receipts, answer_seconds=SLOW_SECONDS)
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

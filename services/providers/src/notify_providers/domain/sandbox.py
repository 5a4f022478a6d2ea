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

from notify_providers.domain.dispatch import ACCEPTED, REFUSED, RETRYABLE
from notify_providers.domain.message import TEST_KEY, Content, EmailContent, PrintContent, SmsContent
from notify_providers.domain.receipts import DELIVERED, PENDING, PERMANENT_FAILURE, TEMPORARY_FAILURE

REFUSE = "refused"
LOST_ANSWER = "lost-answer"
BUSY_TWICE = "busy-twice"
DOWN = "down"
NO_RECEIPT = "no-receipt"
REPEATED_RECEIPT = "repeated-receipt"
MIXED_RECEIPTS = "mixed-receipts"
FAULTS = (REFUSE, LOST_ANSWER, BUSY_TWICE, DOWN, NO_RECEIPT, REPEATED_RECEIPT, MIXED_RECEIPTS)

_FAULT_DOMAIN = "@sandbox.notify"
_FAULT_NUMBERS = {f"77009009{number:02d}": fault for number, fault in enumerate(FAULTS, start=1)}
_FAULT_LINES = {f"sandbox {fault.replace('-', ' ')}": fault for fault in FAULTS}


@dataclass(frozen=True, slots=True)
class Script:
    """What becomes of one hand-over.

    Attributes:
        keeps: whether the sandbox keeps the message.
        outcome: what the caller is told, as an attempt's outcome.
        reason: word on why it is not `accepted`.
        receipts: statuses that are reported later, in this order.
    """

    keeps: bool
    outcome: str
    reason: str
    receipts: Sequence[str]


def script(content: Content, key_type: str, attempt: int) -> Script:
    """Returns what the sandbox does with a message.

    Args:
        key_type: type of the key that sent it.
        attempt: which try to hand it over this is, from 1.
    """
    receipts: tuple[str, ...] = (_test_key_outcome(content),) if key_type == TEST_KEY else (DELIVERED,)
    match _fault(content):
        case "refused":
            return Script(False, REFUSED, "refused", ())
        case "lost-answer" if attempt == 1:
            return Script(True, RETRYABLE, "timeout", receipts)
        case "busy-twice" if attempt <= 2:
            return Script(False, RETRYABLE, "http_503", ())
        case "down":
            return Script(False, RETRYABLE, "timeout", ())
        case "no-receipt":
            receipts = ()
        case "repeated-receipt":
            receipts = (DELIVERED, DELIVERED, DELIVERED)
        case "mixed-receipts":
            receipts = (DELIVERED, PENDING)
    return Script(True, ACCEPTED, "", receipts)


def _test_key_outcome(content: Content) -> str:
    match content:
        case SmsContent():
            typed = content.phone_number_as_typed or content.phone_number
            if typed.endswith("7700900003"):
                return TEMPORARY_FAILURE
            return PERMANENT_FAILURE if typed.endswith("7700900002") else DELIVERED
        case EmailContent(to_address="temp-fail@simulator.notify"):
            return TEMPORARY_FAILURE
        case EmailContent(to_address="perm-fail@simulator.notify"):
            return PERMANENT_FAILURE
    return DELIVERED


def _fault(content: Content) -> str | None:
    match content:
        case SmsContent():
            return _FAULT_NUMBERS.get(content.phone_number[-10:])
        case EmailContent():
            name, at, domain = content.to_address.lower().partition("@")
            return name if at + domain == _FAULT_DOMAIN and name in FAULTS else None
        case PrintContent():
            return _FAULT_LINES.get(content.address_lines[0].lower()) if content.address_lines else None

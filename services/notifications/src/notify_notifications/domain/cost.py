"""What a notification costs, the free allowance left aside (public-api.md §3.1)."""

from dataclasses import dataclass
from typing import Final

from notify_common.enums import Channel, KeyType

from notify_notifications.domain.notification import State

_UNBILLED_LETTERS: Final = frozenset(
    {State.CANCELLED, State.TECHNICAL_FAILURE, State.VALIDATION_FAILED, State.VIRUS_SCAN_FAILED}
)
_NEVER_SENT: Final = frozenset({State.CANCELLED, State.EXPIRED})
_BEFORE_RECEIPT: Final = frozenset({State.CREATED, State.SENDING, State.SENT})


@dataclass(frozen=True, slots=True)
class Cost:
    """Money in millionths of a pound."""

    amount_micropounds: int = 0
    sms_fragments: int = 0
    international_rate_multiplier: int = 0
    sms_rate_micropounds: int = 0
    letter_sheets: int = 0


@dataclass(frozen=True, slots=True)
class Billable:
    """What the cost of a notification follows from."""

    channel: Channel
    key_type: KeyType
    state: State
    fragment_count: int | None
    """Texts: fragments as handed over; None before."""
    rate_multiplier: int
    """Texts: factor of the destination."""
    sms_rate_micropounds: int | None
    """Texts: rate of a fragment at the time of creation; None if there was none."""
    sheet_count: int | None
    """Letters: sheets of the PDF; None before it is made."""
    letter_rate_micropounds: int | None
    """Letters: rate for that many sheets and the postage at the time of creation; None if there was none."""


def cost(billable: Billable) -> Cost | None:
    """Return the cost, or None while it is not known."""
    match billable.channel:
        case Channel.EMAIL:
            return Cost()
        case Channel.SMS:
            return _sms_cost(billable)
        case Channel.LETTER:
            return _letter_cost(billable)


def _sms_cost(billable: Billable) -> Cost | None:
    if billable.state in _NEVER_SENT:
        return Cost()
    if billable.fragment_count is None and billable.state is State.CREATED:
        return None
    if billable.sms_rate_micropounds is None:
        return None
    fragments = billable.fragment_count or 0
    if billable.key_type is KeyType.TEST and billable.state in _BEFORE_RECEIPT:
        fragments = 0
    return Cost(
        amount_micropounds=fragments * billable.rate_multiplier * billable.sms_rate_micropounds,
        sms_fragments=fragments,
        international_rate_multiplier=billable.rate_multiplier,
        sms_rate_micropounds=billable.sms_rate_micropounds,
    )


def _letter_cost(billable: Billable) -> Cost | None:
    if billable.state in _UNBILLED_LETTERS or (billable.sheet_count == 0):
        return Cost()
    if billable.sheet_count is None or billable.letter_rate_micropounds is None:
        return None
    return Cost(amount_micropounds=billable.letter_rate_micropounds, letter_sheets=billable.sheet_count)

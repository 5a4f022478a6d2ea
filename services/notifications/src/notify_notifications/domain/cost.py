"""What a notification costs, the free allowance left aside (public-api.md §3.1).

Before it is stored, what it would cost is told by the same rules and the prices of the moment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from notify_common.enums import Channel, KeyType, Postage
from notify_common.errors import NotifyError

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
    """Texts: fragments as handed over."""
    rate_multiplier: int
    """Texts: factor of the destination."""
    sms_rate_micropounds: int | None
    """Texts: rate of a fragment at the time of creation; None if there was none."""
    sheet_count: int | None
    """Letters: sheets of the PDF; None before it is made."""
    letter_rate_micropounds: int | None
    """Letters: rate for that many sheets and the postage at the time of creation; None if there was none."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What messages cost at a moment, in millionths of a pound."""

    sms_micropounds: int
    """Of one fragment within the country."""
    letter_micropounds: Mapping[tuple[Postage, int], int]
    """Of a whole letter, by class of post and number of sheets."""

    def sms(self, key_type: KeyType, fragment_count: int, rate_multiplier: int) -> int:
        """Return what a text would cost; nothing with a test key."""
        return self._of(
            Billable(
                channel=Channel.SMS,
                key_type=key_type,
                state=State.SENDING,
                fragment_count=fragment_count,
                rate_multiplier=rate_multiplier,
                sms_rate_micropounds=self.sms_micropounds,
                sheet_count=None,
                letter_rate_micropounds=None,
            )
        )

    def letter(self, key_type: KeyType, postage: Postage, sheet_count: int) -> int:
        """Return what a letter would cost; nothing with a test key, which nobody prints for, and nothing with
        more sheets than are printed.
        """
        if key_type is KeyType.TEST or (postage, sheet_count) not in self.letter_micropounds:
            return 0
        return self._of(
            Billable(
                channel=Channel.LETTER,
                key_type=key_type,
                state=State.CREATED,
                fragment_count=None,
                rate_multiplier=0,
                sms_rate_micropounds=None,
                sheet_count=sheet_count,
                letter_rate_micropounds=self.letter_micropounds[postage, sheet_count],
            )
        )

    def dearest_letter(self, key_type: KeyType, postages: Iterable[Postage]) -> int:
        """Return the most that a letter of one of these classes can cost, however many sheets it has."""
        wanted = set(postages)
        return max(
            (self.letter(key_type, *key) for key in self.letter_micropounds if key[0] in wanted), default=0
        )

    @staticmethod
    def _of(billable: Billable) -> int:
        known = cost(billable)
        assert known is not None  # noqa: S101 - everything that it follows from is there
        return known.amount_micropounds


def too_dear(cost_micropounds: int, max_cost_micropounds: int) -> NotifyError:
    """Return the error for what could cost more than whoever sends it allows."""
    facts = {"cost": _pounds(cost_micropounds), "max_cost": _pounds(max_cost_micropounds)}
    return NotifyError("COST_ABOVE_MAXIMUM", metadata=facts)


def _pounds(micropounds: int) -> str:
    """Return an amount in pounds: two decimals, or as many as it takes."""
    whole, rest = divmod(micropounds, 1_000_000)
    return f"{whole}.{f'{rest:06}'.rstrip('0'):0<2}"


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
    if billable.state is State.CREATED:
        return (
            None  # what is handed over may yet be another text: the service may be called otherwise by then
        )
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

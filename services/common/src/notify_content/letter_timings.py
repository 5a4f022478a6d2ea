"""When a letter is printed and delivered, and until when it can be cancelled (content.md §12).

Rules are in London wall-clock time. Datetimes given must be aware; those returned are in UTC.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from notify_content import bank_holidays

_LONDON: Final = ZoneInfo("Europe/London")
_DEADLINE: Final = time(17, 30)
_PRINTED: Final = time(15)
_DELIVERED: Final = time(16)
_SATURDAY, _SUNDAY = 5, 6
_DAY: Final = timedelta(days=1)
# Added to a moment, moves those from the deadline on to the next day.
DEADLINE_TO_MIDNIGHT: Final = timedelta(hours=6, minutes=30)
"""What is added to a London time of acceptance: the day of the sum is that of the print run."""

_CANCELLABLE_STATUSES: Final = frozenset({"created", "pending-virus-check"})

FIRST_CLASS: Final = "first"
# (earliest, latest) delivery day after the print day.
_DELIVERY_DAYS: Final = {
    FIRST_CLASS: (1, 1),
    "second": (4, 5),
    "economy": (4, 7),
    "europe": (4, 6),
    "rest-of-world": (6, 8),
}
POSTAGE_CLASSES: Final = tuple(_DELIVERY_DAYS)

Holidays = Set[date]


@dataclass(frozen=True, slots=True)
class LetterTimings:
    """Moments of one letter, in UTC. The seconds of the upload time carry through to all of them."""

    printed_by: datetime
    earliest_delivery: datetime
    latest_delivery: datetime

    def is_printed(self, now: datetime) -> bool:
        return now > self.printed_by


def is_printing_day(day: date, holidays: Holidays = bank_holidays.ENGLAND_AND_WALES) -> bool:
    """Monday to Friday except bank holidays."""
    return day.weekday() < _SATURDAY and day not in holidays


def is_delivery_day(day: date, postage: str, holidays: Holidays = bank_holidays.ENGLAND_AND_WALES) -> bool:
    """Monday to Friday, for first class Monday to Saturday, except bank holidays."""
    last = _SUNDAY if postage == FIRST_CLASS else _SATURDAY
    return day.weekday() < last and day not in holidays


def timings(
    upload_time: datetime, postage: str, holidays: Holidays = bank_holidays.ENGLAND_AND_WALES
) -> LetterTimings:
    """When a letter uploaded at `upload_time` is printed and delivered by `postage`, one of POSTAGE_CLASSES.

    Raises KeyError for another postage and OverflowError where the calendar ends, in the year 9999.
    """
    earliest, latest = _DELIVERY_DAYS[postage]
    uploaded = _london(upload_time) + DEADLINE_TO_MIDNIGHT
    print_day = _nth_day_after(uploaded.date(), 1, partial(is_printing_day, holidays=holidays))
    counts = partial(is_delivery_day, postage=postage, holidays=holidays)
    earliest_day = _nth_day_after(print_day, earliest, counts)
    latest_day = _nth_day_after(earliest_day, latest - earliest, counts)
    seconds = uploaded - uploaded.replace(second=0, microsecond=0)
    return LetterTimings(
        printed_by=_instant(print_day, _PRINTED) + seconds,
        earliest_delivery=_instant(earliest_day, _DELIVERED) + seconds,
        latest_delivery=_instant(latest_day, _DELIVERED) + seconds,
    )


def print_deadline(day: date) -> datetime:
    """Return when the letters of a London day's print run have to be accepted (pipeline.md §4.6)."""
    return _instant(day, _DEADLINE)


def can_be_cancelled(status: str, created_at: datetime, now: datetime) -> bool:
    """Whether a letter of this status (content.md §12 "Cancelling") can still be cancelled."""
    return status in _CANCELLABLE_STATUSES and not _too_late_to_cancel(_london(created_at), _london(now))


def _too_late_to_cancel(created: datetime, now: datetime) -> bool:
    # The seconds of `now` count as part of today's deadline, those of `created` as part of an earlier day's.
    if _minute(now) >= _DEADLINE and created <= _at_deadline(now):
        return True
    if created.date() < now.date() and created <= _at_deadline(created):
        return True
    return now.date() - created.date() >= 2 * _DAY


def _london(moment: datetime) -> datetime:
    """London wall-clock time, naive."""
    return moment.astimezone(_LONDON).replace(tzinfo=None)


def _instant(day: date, wall_clock: time) -> datetime:
    return datetime.combine(day, wall_clock, _LONDON).astimezone(UTC)


def _minute(moment: datetime) -> time:
    return moment.time().replace(second=0, microsecond=0)


def _at_deadline(moment: datetime) -> datetime:
    return moment.replace(hour=_DEADLINE.hour, minute=_DEADLINE.minute)


def _nth_day_after(day: date, count: int, counts: Callable[[date], bool]) -> date:
    while count:
        day += _DAY
        count -= counts(day)
    return day

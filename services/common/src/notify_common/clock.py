"""Time, read in one place so that tests can set it (design.md §5 habit 22)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

LONDON: Final = ZoneInfo("Europe/London")
"""Days and deadlines are counted by it (pipeline.md §4.7, §6.3)."""


def _system_now() -> datetime:
    return datetime.now(UTC)


_now: Callable[[], datetime] = _system_now


def now() -> datetime:
    """Return the present as an aware datetime in UTC."""
    return _now()


def london_day(moment: datetime) -> date:
    """Return the day that it is in London at a moment."""
    return moment.astimezone(LONDON).date()


def monotonic() -> float:
    """Return seconds on a clock that never goes back; only differences mean something."""
    return time.monotonic()


@contextmanager
def set_for_tests(moment: datetime | Callable[[], datetime]) -> Iterator[None]:
    """Make `now()` return `moment` (aware), or what it returns when called, inside the `with` block.

    `monotonic()` goes on: it measures real waiting.
    """
    global _now
    before = _now
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("the moment needs a timezone")
        fixed = moment.astimezone(UTC)
        _now = lambda: fixed  # noqa: E731 - a def per branch says no more
    else:
        _now = moment
    try:
        yield
    finally:
        _now = before

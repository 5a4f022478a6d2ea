"""How long what was sent for a service is kept (public-api.md §8.4, pipeline.md §6.3)."""

from datetime import datetime, time, timedelta
from typing import Final

from notify_common.clock import LONDON

DEFAULT_DAYS: Final = 7
"""For a channel for which a service has no retention of its own."""

_LONGEST_DAYS: Final = 36_500
_LEAST_AGE: Final = timedelta(hours=25)


def kept_from(days: int, now: datetime) -> datetime:
    """Return the instant from which on things are kept: midnight in London, `days` days ago.

    What is not older than the idempotency keys that point at it is kept in any case.
    """
    day = now.astimezone(LONDON).date() - timedelta(days=min(days, _LONGEST_DAYS))
    return min(datetime.combine(day, time.min, LONDON), now - _LEAST_AGE)

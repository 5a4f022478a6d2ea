"""How long messages are kept (public-api.md §8.4, pipeline.md §6.3)."""

from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from notify_common.enums import Channel

from notify_notifications.domain.notification import State

DEFAULT_DAYS: Final = 7
"""For messages of a channel for which their service has no retention of its own."""

LONDON: Final = ZoneInfo("Europe/London")
_LONGEST_DAYS: Final = 36_500
_LEAST_AGE: Final = timedelta(hours=25)


def kept_from(days: int, now: datetime) -> datetime:
    """Return the instant from which on created messages are kept: midnight in London, `days` days ago.

    What is not older than the idempotency keys that point at it is kept in any case.
    """
    day = now.astimezone(LONDON).date() - timedelta(days=min(days, _LONGEST_DAYS))
    return min(datetime.combine(day, time.min, LONDON), now - _LEAST_AGE)


def is_kept_on(channel: Channel, state: State) -> bool:
    """Tell whether a message in this state is kept however old it is: there is still something to come of it.

    A letter until it is printed and reported, a text or email until a provider has it or it is given up.
    Those that a provider has had for days end with their retention.
    """
    return state is State.CREATED or (channel is Channel.LETTER and state is State.SENDING)

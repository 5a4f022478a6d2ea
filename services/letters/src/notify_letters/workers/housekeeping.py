"""Deleting what is kept for a time only."""

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork

from notify_letters.usecases.read_letters import trim_letter_events

_EVERY_SECONDS = 60.0


class Housekeeper:
    """Trims the feed, in bounded bites, once a minute. Doing it again, or twice at once, changes nothing."""

    def __init__(self, event_keep_days: float) -> None:
        self._event_keep_days = event_keep_days
        self._due = float("-inf")

    def step(self, uow: UnitOfWork) -> int:
        """Do one round if it is time; returns how many events it deleted: more than none asks for more."""
        if clock.monotonic() < self._due:
            return 0
        deleted = trim_letter_events(uow, self._event_keep_days)
        if not deleted:
            self._due = clock.monotonic() + _EVERY_SECONDS
        return deleted

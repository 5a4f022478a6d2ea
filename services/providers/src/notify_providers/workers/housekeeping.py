"""Deleting what is kept for a time only."""

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from prometheus_client import Gauge

from notify_providers.settings import Settings
from notify_providers.usecases.history import count_in_doubt, give_up_overdue, trim_history
from notify_providers.usecases.inbound import trim_inbound
from notify_providers.usecases.sandbox import trim_messages

_EVERY_SECONDS = 60.0

_IN_DOUBT = Gauge(
    "notify_dispatches_in_doubt",
    "Dispatches that a provider may or may not have, which wait for a receipt or a person; 10,000 at most.",
)


class Housekeeper:
    """Delete what is kept for a time only, in bounded bites, once a minute, and count what is in doubt.

    Doing it again, or twice at once, changes nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._due = float("-inf")

    def step(self, uow: UnitOfWork) -> int:
        """Do one round if it is time and return how many rows it changed; more than none asks for more."""
        if clock.monotonic() < self._due:
            return 0
        settings = self._settings
        deleted = trim_messages(uow, settings.sandbox_keep_count, settings.sandbox_keep_days)
        deleted += give_up_overdue(uow)
        deleted += trim_history(
            uow, settings.event_keep_days, settings.unmatched_keep_days, settings.unmatched_keep_count
        )
        deleted += trim_inbound(uow, settings.inbound_keep_days)
        _IN_DOUBT.set(count_in_doubt(uow))
        if not deleted:
            self._due = clock.monotonic() + _EVERY_SECONDS
        return deleted

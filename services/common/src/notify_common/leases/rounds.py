"""Going through all services once a day."""

from collections.abc import Callable
from datetime import date
from typing import Final

from prometheus_client import Gauge

from notify_common import clock
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.leases.table import NO_SERVICE

SERVICES_AT_ONCE: Final = 100
"""Services looked at in one step."""

_COMPLETED = Gauge(
    "notify_retention_completed_timestamp_seconds",
    "When all services were last gone through; 0 until this process has.",
    multiprocess_mode="max",
)


class DailyRound:
    """Goes through all services once a London day, in the order of their ids.

    Everything is found again by looking, so that one that died begins anew, and that of several at once each
    removes what the others have not. A failure leaves the position where it was.

    Args:
        next_service: the first service after an id, in their order, that has something; None at the end.
        remove_some: removes a bounded number of what is too old of a service, or does what else is due;
            returns for how many things, and 0 if it need not be called again that day.
        completed: says when the last round ended.
    """

    def __init__(
        self,
        next_service: Callable[[Tx, str], str | None],
        remove_some: Callable[[UnitOfWork, str], int],
        completed: Gauge = _COMPLETED,
    ) -> None:
        self._completed = completed
        self._next_service = next_service
        self._remove_some = remove_some
        self._after = NO_SERVICE
        self._begun: date | None = None
        self._done: date | None = None

    def step(self, uow: UnitOfWork) -> int:
        """Remove some of one service, or pass up to 100 of which there is nothing to remove.

        Returns how many removed things and services were dealt with; 0 when the day's round is done.
        """
        today = clock.now().astimezone(clock.LONDON).date()
        if self._done == today:
            return 0
        self._begun = self._begun or today
        for passed in range(SERVICES_AT_ONCE):
            with uow.autocommit() as tx:
                service_id = self._next_service(tx, self._after)
            if service_id is None:
                self._complete()
                return passed
            if removed := self._remove_some(uow, service_id):
                return passed + removed
            self._after = service_id
        return SERVICES_AT_ONCE

    def _complete(self) -> None:
        self._after, self._done, self._begun = NO_SERVICE, self._begun, None
        self._completed.set(clock.now().timestamp())

"""Counting messages again, so that what counts and usage facts say stays true (internal-api.md §4.13)."""

from datetime import date, timedelta
from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.rounds import DailyRound
from notify_common.logging import get_logger
from prometheus_client import Counter, Gauge

from notify_notifications.store.counts import compact, recount
from notify_notifications.store.platform_days import close_days
from notify_notifications.store.retention import next_service

RECOUNTED: Final = (timedelta(days=1), timedelta(days=4))
"""How long ago the days are that are counted again: the last one that is over, and one of which most messages
have reached their ends.
"""
STATEMENT_SECONDS: Final = 600
"""How long counting a day of one service may take: it looks at each message of that day."""

_CORRECTED: Final = Counter(
    "notify_counts_corrected_total", "Counts and usage facts that differed from the messages."
)
_COMPLETED: Final = Gauge(
    "notify_recount_completed_timestamp_seconds",
    "When messages of all services were last counted again; 0 until this process has.",
    multiprocess_mode="max",
)


class Recount:
    """Goes through all services once a London day, counts two of their days again, and compacts them.

    Then it sums up the days of the whole platform.
    """

    def __init__(self) -> None:
        self._round = DailyRound(next_service, _recount, _COMPLETED)
        self._closed: date | None = None

    def step(self, uow: UnitOfWork) -> int:
        """Count the days of some services again; return how many services, 0 when the round is done.

        `uow` is one whose statements may take STATEMENT_SECONDS.
        """
        done, today = self._round.step(uow), clock.london_day(clock.now())
        if not done and self._closed != today:
            with uow.begin() as tx:
                close_days(tx, today)
            self._closed = today
        return done


def recount_day(uow: UnitOfWork, service_id: str, day: date) -> int:
    """Set counts and usage facts of a service's London day right; return how many differed."""
    with uow.begin() as tx:
        corrected = recount(tx, service_id, day)
    if corrected:
        _CORRECTED.inc(corrected)
        get_logger().warning("counts corrected", service_id=service_id, count=corrected)
    return corrected


def _recount(uow: UnitOfWork, service_id: str) -> int:
    today = clock.london_day(clock.now())
    for ago in RECOUNTED:
        recount_day(uow, service_id, today - ago)
        with uow.begin() as tx:
            compact(tx, service_id, today - ago)
    return 0

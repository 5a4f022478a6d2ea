"""Deleting messages whose retention is over (public-api.md §8.4, pipeline.md §6.3)."""

from datetime import date
from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.leases.table import NO_SERVICE
from notify_common.logging import get_logger
from prometheus_client import Counter, Gauge

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.retention import LONDON, kept_from
from notify_notifications.domain.service import Service
from notify_notifications.store.retention import delete_created_before, next_service
from notify_notifications.usecases.hand_over import LEAST_ROWS, rows_at_once

MOST_ROWS: Final = 5_000
"""Most messages that are deleted in one transaction."""
SERVICES_AT_ONCE: Final = 100
"""Services looked at in one step."""

_DELETED = Counter(
    "notify_messages_deleted_total", "Messages deleted when their retention was over.", ["channel"]
)
_COMPLETED = Gauge(
    "notify_retention_completed_timestamp_seconds",
    "When all services were last gone through; 0 until this process has.",
    multiprocess_mode="max",
)


class Retention:
    """Goes through all services once a London day, in the order of their ids, and deletes what is too old.

    How long a service keeps messages of a channel is what admin says now, not what it said when they were
    accepted. Messages of a service that admin does not know are kept: what it said of them is not known.

    Everything is found again by looking, so that one that died begins anew, and that of several at once each
    deletes what the others have not. A failure leaves the position where it was.
    """

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._after = NO_SERVICE
        self._begun: date | None = None
        self._done: date | None = None
        self._rows_at_once = LEAST_ROWS

    def step(self, uow: UnitOfWork) -> int:
        """Delete messages of one service, or pass up to 100 that have none to delete.

        Returns how many messages and services were dealt with; 0 when the day's round is done. Raises
        NotifyError where a service's retention can't be read.
        """
        today = clock.now().astimezone(LONDON).date()
        if self._done == today:
            return 0
        self._begun = self._begun or today
        for passed in range(SERVICES_AT_ONCE):
            with uow.autocommit() as tx:
                service_id = next_service(tx, self._after)
            if service_id is None:
                self._complete()
                return passed
            service = self._snapshots.service(service_id)
            if service is None:
                get_logger().warning("messages of an unknown service are kept", service_id=service_id)
            elif deleted := self._delete_some(uow, service):
                return passed + deleted
            self._after = service_id
        return SERVICES_AT_ONCE

    def _complete(self) -> None:
        self._after, self._done, self._begun = NO_SERVICE, self._begun, None
        _COMPLETED.set(clock.now().timestamp())

    def _delete_some(self, uow: UnitOfWork, service: Service) -> int:
        """Delete as many messages of one channel as take a quarter of a second, at most 5,000."""
        for channel in Channel:
            time = kept_from(service.retention_days(channel), clock.now())
            limit, self._rows_at_once = self._rows_at_once, LEAST_ROWS
            started = clock.monotonic()
            with uow.begin() as tx:
                deleted = delete_created_before(tx, service.id, channel, time, limit)
            # one that failed is followed by a small one: messages may be two million bytes long
            self._rows_at_once = limit
            if deleted:
                self._rows_at_once = rows_at_once(deleted, clock.monotonic() - started, MOST_ROWS)
                _DELETED.labels(channel).inc(deleted)
                return deleted
        return 0

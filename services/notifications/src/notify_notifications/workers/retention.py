"""Deleting messages whose retention is over (public-api.md §8.4, pipeline.md §6.3)."""

from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.leases.rounds import DailyRound
from notify_common.logging import get_logger
from notify_common.retention import kept_from
from prometheus_client import Counter

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.store import inbound_sms
from notify_notifications.store.retention import delete_created_before, next_service
from notify_notifications.usecases.hand_over import LEAST_ROWS, rows_at_once
from notify_notifications.usecases.read_inbound_sms import kept_since

MOST_ROWS: Final = 5_000
"""Most messages that are deleted in one transaction."""

_DELETED = Counter(
    "notify_messages_deleted_total", "Messages deleted when their retention was over.", ["channel"]
)


class Retention:
    """Goes through all services once a London day and deletes what is too old.

    How long a service keeps messages of a channel is what admin says now, not what it said when they were
    accepted. Messages of a service that admin does not know are kept: what it said of them is not known.
    """

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._rows_at_once = LEAST_ROWS
        self._round = DailyRound(next_service, self._delete_some)

    def step(self, uow: UnitOfWork) -> int:
        """Delete messages of one service, or pass some that have none to delete.

        Returns how many messages and services were dealt with; 0 when the day's round is done. Raises
        NotifyError where a service's retention can't be read.
        """
        return self._round.step(uow)

    def _delete_some(self, uow: UnitOfWork, service_id: str) -> int:
        """Delete as many messages of one channel as take a quarter of a second, at most 5,000."""
        service = self._snapshots.service(service_id)
        if service is None:
            get_logger().warning("messages of an unknown service are kept", service_id=service_id)
            return 0
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


def inbound_sms_retention(snapshots: Snapshots) -> DailyRound:
    """Return what goes through all services once a London day and deletes the texts that are too old."""

    def delete_some(uow: UnitOfWork, service_id: str) -> int:
        since = kept_since(snapshots, service_id)
        with uow.begin() as tx:
            return inbound_sms.delete_created_before(tx, service_id, since, MOST_ROWS)

    return DailyRound(inbound_sms.next_service, delete_some)

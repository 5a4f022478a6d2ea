"""Removing letters whose retention is over (public-api.md §8.4, pipeline.md §6.3)."""

from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.rounds import DailyRound
from notify_common.logging import get_logger
from notify_common.retention import kept_from
from notify_common.snapshots.cache import SnapshotCache

from notify_letters.store.letters import next_service_to_remove_of
from notify_letters.usecases.change_letters import remove_old_letters


class Retention:
    """Goes through all services once a London day and removes what their letters said, and to whom.

    How long a service keeps letters is what admin says now. Letters of a service that admin does not know are
    kept: what it said of them is not known.
    """

    def __init__(self, blobs: BlobStore, retention_days: SnapshotCache[str, int]) -> None:
        self._blobs = blobs
        self._retention_days = retention_days
        self._round = DailyRound(next_service_to_remove_of, self._remove_some)

    def step(self, uow: UnitOfWork) -> int:
        """Remove letters of one service, or pass some that have none to remove.

        Returns how many letters and services were dealt with; 0 when the day's round is done. Raises
        NotifyError where a service's retention can't be read.
        """
        return self._round.step(uow)

    def _remove_some(self, uow: UnitOfWork, service_id: str) -> int:
        days = self._retention_days.get(service_id)
        if days is None:
            get_logger().warning("letters of an unknown service are kept", service_id=service_id)
            return 0
        return remove_old_letters(uow, self._blobs, service_id, kept_from(days, clock.now()))

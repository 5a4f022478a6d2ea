"""Removing the files of jobs, when the time of their messages is over."""

from datetime import timedelta
from typing import Final

from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import NO_SERVICE
from notify_common.retention import DEFAULT_DAYS

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.job import KEPT, key_of_file
from notify_notifications.store import jobs

EVERY_SECONDS: Final = 3600.0
_SHORTEST: Final = timedelta(days=3)
"""Shortest time for which a service may keep its messages."""
_AT_ONCE: Final = 500


class JobRetention:
    """Removes files of jobs once messages of their service and channel are kept no longer, and jobs 100 days
    after they were made. A job that did not end keeps its file, unless it was given up.
    """

    def __init__(self, snapshots: Snapshots, files: BlobStore) -> None:
        self._snapshots = snapshots
        self._files = files
        self._due_at = 0.0

    def step(self, uow: UnitOfWork) -> int:
        """Do what is due, once an hour; return 0 so that the worker waits between rounds. Repeating it is
        harmless."""
        if clock.monotonic() < self._due_at:
            return 0
        self._due_at = clock.monotonic() + EVERY_SECONDS
        now = clock.now()
        after = NO_SERVICE
        while True:
            with uow.begin() as tx:
                found = jobs.with_files(tx, now - _SHORTEST, after, _AT_ONCE)
            if not found:
                break
            after = found[-1].id
            gone = []
            for job in found:
                service = self._snapshots.service(job.service_id)
                days = DEFAULT_DAYS if service is None else service.retention_days(job.channel)
                if job.create_time < now - timedelta(days=days):
                    self._files.delete(key_of_file(job.service_id, job.id))
                    gone.append(job.id)
            if gone:
                with uow.begin() as tx:
                    jobs.mark_deleted(tx, gone, now)
        deleted = _AT_ONCE
        while deleted == _AT_ONCE:
            with uow.begin() as tx:
                deleted = jobs.delete_before(tx, now - KEPT, _AT_ONCE)
        return 0

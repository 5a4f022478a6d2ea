"""Removing what is left of archived contact lists."""

from typing import Final

from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork

from notify_notifications.domain.job import KEPT
from notify_notifications.store import contact_lists
from notify_notifications.usecases.contact_lists import remove_archived

EVERY_SECONDS: Final = 600.0
_AT_ONCE: Final = 500


class ContactListRemoval:
    """Removes files of archived lists that were left when they were archived, and lists 100 days after that,
    when no job that was made of one is known.
    """

    def __init__(self, files: BlobStore) -> None:
        self._files = files
        self._due_at = 0.0

    def step(self, uow: UnitOfWork) -> int:
        """Do what is due, every 10 minutes; return 0 so that the worker waits between rounds. Repeating it is
        harmless."""
        if clock.monotonic() < self._due_at:
            return 0
        self._due_at = clock.monotonic() + EVERY_SECONDS
        while remove_archived(uow, self._files, _AT_ONCE) == _AT_ONCE:
            pass
        deleted = _AT_ONCE
        while deleted == _AT_ONCE:
            with uow.begin() as tx:
                deleted = contact_lists.delete_before(tx, clock.now() - KEPT, _AT_ONCE)
        return 0

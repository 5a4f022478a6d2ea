"""Removing what is kept for a time only."""

from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork

from notify_letters.usecases.change_letters import delete_removed_letters, trim_letter_events
from notify_letters.usecases.upload_pdf import remove_untaken_uploads

_EVERY_SECONDS = 60.0


class Housekeeper:
    """Trims the feed, deletes the rows of letters removed long ago and uploads that no letter came for.

    In bounded bites, once a minute.

    Doing it again, or twice at once, changes nothing.
    """

    def __init__(
        self, blobs: BlobStore, event_keep_days: float, record_keep_days: float, upload_keep_days: float
    ) -> None:
        self._blobs = blobs
        self._event_keep_days = event_keep_days
        self._record_keep_days = record_keep_days
        self._upload_keep_days = upload_keep_days
        self._due = float("-inf")

    def step(self, uow: UnitOfWork) -> int:
        """Do one round if it is time; return how much it removed: more than nothing asks for more."""
        if clock.monotonic() < self._due:
            return 0
        removed = trim_letter_events(uow, self._event_keep_days)
        removed += delete_removed_letters(uow, self._record_keep_days)
        removed += remove_untaken_uploads(uow, self._blobs, self._upload_keep_days)
        if not removed:
            self._due = clock.monotonic() + _EVERY_SECONDS
        return removed

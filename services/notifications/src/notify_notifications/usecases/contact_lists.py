"""Contact lists as members keep, see and archive them (internal-api.md B22 to B25)."""

from datetime import UTC, datetime, time, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.retention import DEFAULT_DAYS

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.contact_list import CHANNELS, ContactList
from notify_notifications.domain.job import key_of_file
from notify_notifications.store import contact_lists

Counted = tuple[ContactList, int]
"""A list, and how many jobs were made of it in the days for which messages of its channel are kept."""


def create_contact_list(
    uow: UnitOfWork, snapshots: Snapshots, files: BlobStore | None, made: ContactList
) -> Counted:
    """Keep a list, whose file the admin web app has put into its bucket. Idempotent by its id: the same one
    again is the one that is kept.

    Raises:
        NotifyError: SERVICE_NOT_FOUND, INVALID_FIELD for a channel that has no lists, CONTACT_LIST_NOT_FOUND
            where another service has one with this id or it was archived, UNAVAILABLE without a bucket.
    """
    if files is None:
        raise NotifyError("UNAVAILABLE")
    if made.channel not in CHANNELS:
        raise invalid_field(FieldViolation("channel", "has no contact lists"))
    if snapshots.service(made.service_id) is None:
        raise NotifyError("SERVICE_NOT_FOUND")
    with uow.begin() as tx:
        contact_lists.add(tx, made)
    return get_contact_list(uow, snapshots, made.service_id, made.id)


def get_contact_list(uow: UnitOfWork, snapshots: Snapshots, service_id: str, list_id: str) -> Counted:
    """Return a list that is not archived. Raises NotifyError CONTACT_LIST_NOT_FOUND."""
    since = _recently(snapshots, service_id)
    with uow.begin() as tx:
        found = contact_lists.get(tx, service_id, list_id)
        if found is None:
            raise NotifyError("CONTACT_LIST_NOT_FOUND")
        return found, contact_lists.job_counts(tx, service_id, [list_id], since).get(list_id, 0)


def list_contact_lists(
    uow: UnitOfWork, snapshots: Snapshots, service_id: str, offset: int, limit: int
) -> tuple[list[Counted], int]:
    """Return lists of a service that are not archived, the latest first; and how many there are."""
    since = _recently(snapshots, service_id)
    with uow.begin() as tx:
        found, count = contact_lists.page(tx, service_id, offset, limit)
        jobs = contact_lists.job_counts(tx, service_id, [one.id for one in found], since)
        return [(one, jobs.get(one.id, 0)) for one in found], count


def archive_contact_list(uow: UnitOfWork, files: BlobStore | None, service_id: str, list_id: str) -> None:
    """Archive a list, then remove its file. Who dies in between, or can't reach the store, leaves the file to
    `remove_archived`. Raises NotifyError CONTACT_LIST_NOT_FOUND.
    """
    now = clock.now()
    with uow.begin() as tx:
        if not contact_lists.archive(tx, service_id, list_id, now):
            raise NotifyError("CONTACT_LIST_NOT_FOUND")
    if files is None:
        return
    try:
        files.delete(key_of_file(service_id, list_id))
    except (BotoCoreError, ClientError):
        return
    with uow.begin() as tx:
        contact_lists.mark_deleted(tx, [list_id], now)


def remove_archived(uow: UnitOfWork, files: BlobStore, limit: int) -> int:
    """Remove files of up to `limit` archived lists that are still there; return how many. Repeating it is
    harmless."""
    with uow.begin() as tx:
        found = contact_lists.with_files(tx, limit)
    for one in found:
        files.delete(key_of_file(one.service_id, one.id))
    if found:
        with uow.begin() as tx:
            contact_lists.mark_deleted(tx, [one.id for one in found], clock.now())
    return len(found)


def _recently(snapshots: Snapshots, service_id: str) -> dict[Channel, datetime]:
    """Return since when a job is recent: the start of the UTC day, less the days for which its messages are
    kept."""
    service = snapshots.service(service_id)
    today = datetime.combine(clock.now().date(), time(), UTC)
    return {
        channel: today - timedelta(days=DEFAULT_DAYS if service is None else service.retention_days(channel))
        for channel in CHANNELS
    }

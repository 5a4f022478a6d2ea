"""Jobs as members make, see and cancel them (internal-api.md B13 to B19, C3)."""

import re
from datetime import datetime
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from notify_common import clock, current, ids
from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.errors import NotifyError
from notify_content.letter_timings import can_be_cancelled

from notify_notifications.clients.letters import LettersClient
from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.job import Job, JobState, check_schedule, key_of_file
from notify_notifications.domain.notification import State
from notify_notifications.store import batches, contact_lists, jobs
from notify_notifications.store.jobs import JobFilters
from notify_notifications.store.limits import LimitStore
from notify_notifications.store.notifications import NotificationStore
from notify_notifications.usecases.cancel_letter import record_cancelled

Counts = dict[State, int]
"""How many messages stand in each state that has any."""

MOST_ROWS: Final = 100_000
_LETTERS_AT_ONCE: Final = 500
_LEAST_SECONDS: Final = 2.0
"""What must be left of a call's time for another slice."""
_CANCELLABLE: Final = frozenset(
    {
        *(State.CREATED, State.PENDING_VIRUS_CHECK, State.CANCELLED, State.VALIDATION_FAILED),
        *(State.TECHNICAL_FAILURE, State.VIRUS_SCAN_FAILED),
    }
)
"""Where the letters of a job may stand that is cancelled (pipeline.md §4.9)."""
_COUNT: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


def create_job(
    uow: UnitOfWork,
    snapshots: Snapshots,
    files: BlobStore | None,
    service_id: str,
    job_id: str,
    created_by_id: str,
    scheduled_time: datetime | None = None,
    contact_list_id: str | None = None,
) -> Job:
    """Make a job of a file that the admin web app has put into its bucket; what is to be sent stands in the
    file's metadata. Idempotent by the job's id: the same one again is the one that is kept.

    Raises:
        NotifyError: SERVICE_NOT_FOUND, JOB_SERVICE_INACTIVE, JOB_FILE_INVALID, TEMPLATE_NOT_FOUND,
            TEMPLATE_ARCHIVED, JOB_LETTERS_NOT_ALLOWED, JOB_IN_PAST, JOB_TOO_FAR_AHEAD, JOB_NOT_FOUND where
            another service has one with this id, CONTACT_LIST_NOT_FOUND where the service never had the list;
            UNAVAILABLE.
    """
    service = snapshots.service(service_id)
    if service is None:
        raise NotifyError("SERVICE_NOT_FOUND")
    if not service.active:
        raise NotifyError("JOB_SERVICE_INACTIVE")
    told = _metadata(files, service_id, job_id)
    template_id = told.get("template_id", "")
    count = told.get("notification_count", "")
    if told.get("valid") != "True" or not ids.is_uuid(template_id) or not _COUNT.fullmatch(count):
        raise NotifyError("JOB_FILE_INVALID")
    sender_id = told.get("sender_id", "")
    template = snapshots.template(service_id, ids.canonical_uuid(template_id))
    if template is None or template.hidden:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    if template.channel is Channel.LETTER and service.restricted:
        raise NotifyError("JOB_LETTERS_NOT_ALLOWED")
    if template.archived:
        raise NotifyError("TEMPLATE_ARCHIVED")
    now = clock.now()
    if scheduled_time is not None:
        check_schedule(scheduled_time, now)
    job = Job(
        id=job_id,
        service_id=service_id,
        template_id=template.id,
        template_version=template.version,
        channel=template.channel,
        file_name=told.get("original_file_name", "")[:500],
        row_count=min(int(count), MOST_ROWS),
        sender_id=ids.canonical_uuid(sender_id) if ids.is_uuid(sender_id) else None,
        contact_list_id=contact_list_id,
        created_by_id=created_by_id,
        state=JobState.PENDING if scheduled_time is None else JobState.SCHEDULED,
        create_time=now,
        scheduled_time=scheduled_time,
    )
    with uow.begin() as tx:
        if contact_list_id and not contact_lists.mark_used(tx, service_id, contact_list_id):
            raise NotifyError("CONTACT_LIST_NOT_FOUND")
        kept = jobs.add(tx, job)
    if kept.service_id != service_id:
        raise NotifyError("JOB_NOT_FOUND")
    return kept


def _metadata(files: BlobStore | None, service_id: str, job_id: str) -> dict[str, str]:
    if files is None:
        raise NotifyError("UNAVAILABLE")
    try:
        return dict(files.head(key_of_file(service_id, job_id)).metadata)
    except BlobNotFound:
        raise NotifyError("JOB_FILE_INVALID") from None
    except (BotoCoreError, ClientError):
        raise NotifyError("UNAVAILABLE") from None


def get_job(uow: UnitOfWork, service_id: str, job_id: str) -> tuple[Job, Counts]:
    """Return a job and how many of its messages stand in each state. Raises NotifyError JOB_NOT_FOUND."""
    with uow.begin() as tx:
        found = jobs.get(tx, service_id, job_id)
        if found is None:
            raise NotifyError("JOB_NOT_FOUND")
        return found, batches.state_counts(tx, [job_id])[job_id]


def list_jobs(
    uow: UnitOfWork, service_id: str, filters: JobFilters, offset: int, limit: int
) -> tuple[list[tuple[Job, Counts]], int]:
    """Return jobs of a service, those that did not start first, then the latest first, each with its counts;
    and how many there are.
    """
    with uow.begin() as tx:
        found, count = jobs.page(tx, service_id, filters, offset, limit)
        counts = batches.state_counts(tx, [job.id for job in found]) if found else {}
        return [(job, counts[job.id]) for job in found], count


def cancel_job(uow: UnitOfWork, service_id: str, job_id: str) -> tuple[Job, Counts]:
    """Cancel a job that waits for its time. Raises NotifyError JOB_NOT_FOUND for any other."""
    with uow.begin() as tx:
        if not jobs.cancel(tx, service_id, job_id, [JobState.SCHEDULED], clock.now()):
            raise NotifyError("JOB_NOT_FOUND")
    return get_job(uow, service_id, job_id)


def cancel_job_letters(
    uow: UnitOfWork,
    store: NotificationStore,
    limits: LimitStore,
    letters: LettersClient,
    service_id: str,
    job_id: str,
) -> tuple[int, bool]:
    """Cancel letters of a job that is worked off, before any of them is printed; return how many are
    cancelled, and whether there are more, for which there is no time left in this call.

    In slices: letters decide on each, and what a slice cancelled is recorded before the next. Dying in
    between leaves a job of which some letters are cancelled; asking again goes on with the rest.

    Raises:
        NotifyError: JOB_NOT_FOUND, JOB_NOT_OF_LETTERS, JOB_RUNNING, JOB_LETTERS_SENT, and what a call of
            letters raises.
    """
    job, counts = get_job(uow, service_id, job_id)
    if job.channel is not Channel.LETTER:
        raise NotifyError("JOB_NOT_OF_LETTERS")
    if job.state is not JobState.FINISHED:
        raise NotifyError("JOB_RUNNING" if job.state is not JobState.CANCELLED else "JOB_LETTERS_SENT")
    started = job.start_time or job.create_time
    if not (_CANCELLABLE.issuperset(counts) and can_be_cancelled(State.CREATED, started, clock.now())):
        raise NotifyError("JOB_LETTERS_SENT")
    after = -1
    while slice := store.cancellable_rows(job_id, after, _LETTERS_AT_ONCE):
        after = slice[-1].row_number
        cancelled = letters.cancel_all(service_id, [row.id for row in slice])
        record_cancelled(uow, limits, service_id, cancelled)
        if len(cancelled) < len(slice):
            raise NotifyError("JOB_LETTERS_SENT")
        left = current.time_left()
        if left is not None and left < _LEAST_SECONDS:
            return get_job(uow, service_id, job_id)[1].get(State.CANCELLED, 0), True
    with uow.begin() as tx:
        jobs.cancel(tx, service_id, job_id, [JobState.FINISHED], clock.now())
    return get_job(uow, service_id, job_id)[1].get(State.CANCELLED, 0), False

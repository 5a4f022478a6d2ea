"""Jobs: spreadsheets whose rows become messages (internal-api.md §4.10, pipeline.md §2.6)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from notify_common.enums import Channel
from notify_common.errors import NotifyError

MOST_AHEAD: Final = timedelta(days=7)
"""How far ahead a job may be scheduled."""
KEPT: Final = timedelta(days=100)
"""How long a job is known after it was made: longer than any of its messages is kept."""
HIDDEN_NAMES: Final = ("Test message", "Report")
"""Names of files whose jobs no list shows (internal-api.md B13)."""


class JobState(StrEnum):
    """Where a job stands, in the words that the admin web app reads and the database stores."""

    PENDING = "pending"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    FINISHED = "finished all notifications created"
    SENDING_LIMITS_EXCEEDED = "sending limits exceeded"
    CANCELLED = "cancelled"
    ERROR = "error"
    """Given up until an operator looks at it; the database stores where it stood before."""


UNSTARTED: Final = (JobState.PENDING, JobState.SCHEDULED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is kept."""

    id: str
    service_id: str
    template_id: str
    template_version: int
    channel: Channel
    file_name: str = field(repr=False)
    row_count: int
    """As the file's metadata say."""
    sender_id: str | None
    contact_list_id: str | None
    created_by_id: str
    state: JobState
    create_time: datetime
    scheduled_time: datetime | None
    start_time: datetime | None = None
    finish_time: datetime | None = None
    update_time: datetime | None = None
    delete_time: datetime | None = None
    """When its file was removed; None before."""


def check_schedule(time: datetime, now: datetime) -> None:
    """Raise NotifyError JOB_IN_PAST or JOB_TOO_FAR_AHEAD for a time at which no job may start."""
    if time < now:
        raise NotifyError("JOB_IN_PAST")
    if time > now + MOST_AHEAD:
        raise NotifyError("JOB_TOO_FAR_AHEAD")


def key_of_file(service_id: str, job_id: str) -> str:
    """Return where the admin web app puts a job's file in its bucket (internal-api.md §4.10)."""
    return f"service-{service_id}-notify/{job_id}.csv"

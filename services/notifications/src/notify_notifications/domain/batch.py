"""Messages that were sent in one request (docs/adr/0026)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from notify_common.enums import KeyType
from notify_common.errors import NotifyError

LEASE: Final = timedelta(seconds=30)
"""How long after its last sign of life a run keeps its batch: longer than one call and its repeats take."""
KEPT: Final = timedelta(days=100)
"""How long a batch is known after it was begun: longer than any of its messages is kept."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it is kept."""

    id: str
    service_id: str
    key_type: KeyType
    content_hash: bytes
    row_count: int
    create_time: datetime
    run_id: str
    """The run that works it off, or did last."""
    lease_time: datetime
    """Until when no other run may."""
    complete_time: datetime | None
    accepted_count: int | None
    """None before complete_time."""


def check_repeat(kept: Batch, asked: Batch, now: datetime) -> None:
    """Check that a request may go on with the batch that its key began, or be answered as it was.

    Raises NotifyError REQUEST_ID_REUSED for one that asks for something else, BATCH_RUNNING while another run
    works it off.
    """
    same = (kept.content_hash, kept.key_type) == (asked.content_hash, asked.key_type)
    if not same:
        raise NotifyError("REQUEST_ID_REUSED")
    if kept.complete_time is None and kept.run_id != asked.run_id and kept.lease_time > now:
        raise NotifyError("BATCH_RUNNING", retry_after=kept.lease_time - now)

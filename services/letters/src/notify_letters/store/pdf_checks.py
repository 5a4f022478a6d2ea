"""PDFs that come ready made: their uploads, and the queue in which their letters wait to be checked."""

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.leases.table import FairQueue, LeasedRow
from sqlalchemy.dialects.postgresql import insert

from notify_letters.domain.letter import LetterState
from notify_letters.store.tables import letters, ops, pdf_checks, pdf_uploads


def check_queue(lease_seconds: float) -> FairQueue:
    """The queue of letters to check."""
    return FairQueue(pdf_checks, ["letter_id"], lease_seconds, pauses=ops.pauses)


@dataclass(frozen=True, slots=True)
class WaitingCheck:
    """A letter whose PDF is to be checked, leased to whoever claimed it."""

    letter_id: str
    service_id: str
    allow_international: bool
    uploaded: bool
    """Whether the admin web app has a copy of it, which goes with the check."""
    attempt: int
    """Which try this is, from 1."""
    request_id: str
    traceparent: str
    row: LeasedRow


def claim(tx: Tx, queue: FairQueue) -> WaitingCheck | None:
    """Lease the next letter to check; None where none is due."""
    for row in queue.claim(tx, 1):
        return WaitingCheck(
            row.letter_id,
            row.service_id,
            row.allow_international,
            row.uploaded,
            row.attempt,
            row.request_id or "",
            row.traceparent or "",
            row,
        )
    return None


def is_pending(tx: Tx, letter_id: str) -> bool:
    """Whether a letter still waits for its check; one that was cancelled does not."""
    wanted = sa.select(letters.c.id).where(
        letters.c.id == letter_id, letters.c.state == LetterState.PENDING_VIRUS_CHECK.value
    )
    return tx.execute(wanted).first() is not None


def finish(tx: Tx, queue: FairQueue, waiting: WaitingCheck) -> bool:
    """Take a letter out of the queue, in the transaction of its outcome; False when it is another's by
    now."""
    return bool(queue.finish(tx, [waiting.row]))


def fail(tx: Tx, queue: FairQueue, waiting: WaitingCheck, reason: str) -> None:
    """Give a letter back for later, or park it after too many tries."""
    queue.fail(tx, [waiting.row], reason)


def postpone(tx: Tx, queue: FairQueue, waiting: WaitingCheck, after: timedelta) -> None:
    """Give a letter back for later without counting the try: the fault is not its own."""
    queue.set(tx, [waiting.row], each={"attempt": [waiting.attempt - 1]}, due_at=sa.func.now() + after)


@dataclass(frozen=True, slots=True)
class Upload:
    """A PDF that came, or is coming."""

    service_id: str
    sha256: str
    stored: bool
    """Whether all of it is in the blob store."""


def begin_upload(tx: Tx, letter_id: str, service_id: str, sha256: str) -> Upload:
    """Note that a PDF comes, before it is stored; returns what is known under this id, which may be older."""
    tx.execute(
        insert(pdf_uploads)
        .values(letter_id=letter_id, service_id=service_id, sha256=sha256)
        .on_conflict_do_nothing()
    )
    known = get_upload(tx, letter_id)
    assert known is not None  # noqa: S101 - it was there, or is now
    return known


def get_upload(tx: Tx, letter_id: str) -> Upload | None:
    """Return what is known of a PDF; None where none came, or is forgotten."""
    row = tx.execute(sa.select(pdf_uploads).where(pdf_uploads.c.letter_id == letter_id)).first()
    return None if row is None else Upload(row.service_id, row.sha256, row.store_time is not None)


def end_upload(tx: Tx, letter_id: str) -> None:
    """Note that a PDF is stored."""
    tx.execute(
        sa.update(pdf_uploads)
        .values(store_time=sa.func.now())
        .where(pdf_uploads.c.letter_id == letter_id, pdf_uploads.c.store_time.is_(None))
    )


def old_uploads(tx: Tx, keep: timedelta, limit: int) -> list[tuple[str, bool]]:
    """Uploads that are older than `keep`, the oldest first: id, and whether there is a letter for it."""
    known = sa.exists().where(letters.c.id == pdf_uploads.c.letter_id)
    rows = tx.execute(
        sa.select(pdf_uploads.c.letter_id, known.label("known"))
        .where(pdf_uploads.c.create_time < sa.func.now() - keep)
        .order_by(pdf_uploads.c.create_time)
        .limit(limit)
    )
    return [(row.letter_id, row.known) for row in rows]


def forget_uploads(tx: Tx, letter_ids: list[str]) -> None:
    """Delete the rows of uploads."""
    tx.execute(sa.delete(pdf_uploads).where(pdf_uploads.c.letter_id.in_(letter_ids)))

"""Queries over print runs and their batches."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Postage
from sqlalchemy import Row, Select

from notify_letters.domain.print_run import (
    AHEAD_LETTERS,
    MARGIN_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_LETTERS,
    SLICE_LETTERS,
    Counts,
    PrintBatch,
    PrintRun,
    PrintRunState,
    Volume,
)
from notify_letters.store.tables import letters, print_batches, print_runs

# One slice of a run: the next letters in the order of ix_letters_print_order after the run's own position,
# put into batches. The run's row is locked, so that slices of a run come one after the other; the position
# moves in the same transaction, so that a slice is either all done or not begun. Nothing passes through
# Python.
#
# Locked letters are those that another run takes or that are being cancelled at this moment: they are left
# alone. A letter that became ready behind the position, or was left alone and is free again, is found in the
# next round. A full slice leaves its last batch, which may be cut off, to the next slice, unless it is full.
_COLLECT_SLICE_SQL = sa.text("""
WITH due AS MATERIALIZED (
    SELECT id, postage, service_id, create_time, page_count, sheet_count, pdf_bytes FROM letters
    WHERE state = 'ready' AND key_type = 'normal' AND create_time < :deadline
        AND (postage, service_id, create_time, id)
            > (:last_postage, :last_service_id, :last_create_time, :last_letter_id)
    ORDER BY postage, service_id, create_time, id
    LIMIT :slice
    FOR UPDATE SKIP LOCKED
), counted AS (
    SELECT *, (row_number() OVER same - 1) / :size AS part FROM due
    WINDOW same AS (PARTITION BY postage, service_id ORDER BY create_time, id)
), weighed AS (
    SELECT *, floor(sum(pdf_bytes::bigint) OVER same / :bytes) AS weight FROM counted
    WINDOW same AS (PARTITION BY postage, service_id, part ORDER BY create_time, id)
), numbered AS (
    SELECT *, dense_rank() OVER (ORDER BY postage, service_id, part, weight) AS number FROM weighed
), taken AS MATERIALIZED (
    SELECT * FROM numbered
    WHERE (SELECT count(*) FROM due) < :slice
        OR number < (SELECT max(number) FROM numbered)
        OR (SELECT count(*) FROM numbered WHERE number = (SELECT max(number) FROM numbered)) = :size
        OR (SELECT max(number) FROM numbered) = 1
), batches AS MATERIALIZED (
    SELECT gen_random_uuid() AS id, number, postage, service_id, count(*) AS letter_count,
           sum(page_count) AS page_count, sum(sheet_count) AS sheet_count
    FROM taken GROUP BY number, postage, service_id
), made AS (
    INSERT INTO print_batches (id, print_run_id, number, postage, service_id, letter_count, page_count,
                               sheet_count, request_id, traceparent)
    SELECT id, :run_id, :batch_count + number, postage, service_id, letter_count, page_count, sheet_count,
           :request_id, :traceparent
    FROM batches
), marked AS (
    UPDATE letters l
    SET state = 'submitting', print_batch_id = b.id, update_time = now()
    FROM taken t JOIN batches b USING (number)
    WHERE l.id = t.id
    RETURNING 1
)
SELECT (SELECT count(*) FROM marked) AS letter_count, (SELECT count(*) FROM batches) AS batch_count,
       postage, service_id, create_time, id
FROM taken
ORDER BY postage DESC, service_id DESC, create_time DESC, id DESC
LIMIT 1
""").bindparams(
    sa.bindparam("run_id", type_=id_type()),
    sa.bindparam("last_service_id", type_=id_type()),
    sa.bindparam("last_letter_id", type_=id_type()),
)
_COLLECT_SLICE = _COLLECT_SLICE_SQL.columns(
    letter_count=sa.BigInteger,
    batch_count=sa.Integer,
    postage=sa.Text,
    service_id=id_type(),
    create_time=sa.DateTime(timezone=True),
    id=id_type(),
)

_BEFORE_ALL = {
    "last_postage": "",
    "last_service_id": "00000000-0000-0000-0000-000000000000",
    "last_create_time": datetime.min.replace(tzinfo=UTC),
    "last_letter_id": "00000000-0000-0000-0000-000000000000",
}


def insert(tx: Tx, run_id: str, deadline: datetime, request_id: str, traceparent: str) -> bool:
    """Insert a run whose letters are still to be collected; False when it exists."""
    inserted = tx.execute(
        sa.text(
            "INSERT INTO print_runs (id, deadline, state, request_id, traceparent)"
            " VALUES (:id, :deadline, 'collecting', :request_id, :traceparent) ON CONFLICT DO NOTHING"
        ).bindparams(
            sa.bindparam("id", run_id, type_=id_type()),
            deadline=deadline,
            request_id=request_id,
            traceparent=traceparent,
        )
    )
    return inserted.rowcount == 1


def exists(tx: Tx, run_id: str) -> bool:
    """Tell whether there is such a run."""
    return tx.execute(sa.select(print_runs.c.id).where(print_runs.c.id == run_id)).first() is not None


def count_ready(tx: Tx, deadline: datetime) -> int:
    """Return how many letters a run with this deadline would take, from its index alone."""
    ready = sa.and_(
        letters.c.state == sa.literal_column("'ready'"),
        letters.c.key_type == sa.literal_column("'normal'"),
        letters.c.create_time < deadline,
    )
    return int(tx.execute(sa.select(sa.func.count()).select_from(letters).where(ready)).scalar_one())


def expect(tx: Tx, run_id: str, letter_count: int) -> None:
    """Write down how many letters a run expects, unless that was done before."""
    tx.execute(
        sa.update(print_runs)
        .values(expected_letter_count=letter_count)
        .where(print_runs.c.id == run_id, print_runs.c.expected_letter_count.is_(None))
    )


def _one_to_collect() -> Select[Any]:
    """Batches that were tried do not count as ahead: what providers refuse must not hold up the rest.

    The lock lets others refer to the run: claiming its batches must not wait for a slice.
    """
    b = print_batches.c
    not_begun = (
        sa.select(sa.func.coalesce(sa.func.sum(b.letter_count), 0))
        .where(b.print_run_id == print_runs.c.id, b.submit_time.is_(None), b.attempt == 0)
        .scalar_subquery()
    )
    return (
        sa.select(print_runs)
        .where(
            print_runs.c.state == PrintRunState.COLLECTING.value,
            print_runs.c.pause_time.is_(None),
            not_begun < sa.bindparam("most_ahead"),
        )
        .order_by(print_runs.c.create_time)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
    )


_ONE_TO_COLLECT = _one_to_collect()


def lock_one_to_collect(tx: Tx) -> Row[Any] | None:
    """Lock the oldest run that collects, does not rest, is not far ahead of submitting, and is in no other
    transaction's hands.
    """
    return tx.execute(_ONE_TO_COLLECT, {"most_ahead": AHEAD_LETTERS}).one_or_none()


def collect_slice(tx: Tx, run: Row[Any]) -> int:
    """Put the next letters of a locked run into batches, at most SLICE_LETTERS of them; return how many.

    0: a round of the run has ended; when it took nothing, so has the collecting.
    """
    position = {name: run._mapping[name] for name in _BEFORE_ALL}
    last = tx.execute(
        _COLLECT_SLICE,
        {
            **(position if run.last_postage is not None else _BEFORE_ALL),
            "run_id": run.id,
            "deadline": run.deadline,
            "batch_count": run.batch_count,
            "slice": SLICE_LETTERS,
            "size": MAX_BATCH_LETTERS,
            "bytes": MAX_BATCH_BYTES - MARGIN_BYTES,
            "request_id": run.request_id,
            "traceparent": run.traceparent,
        },
    ).one_or_none()
    if last is None:
        changes: dict[str, Any] = {**dict.fromkeys(_BEFORE_ALL), "round_letter_count": 0}
        if not run.round_letter_count:
            changes |= {"state": PrintRunState.SUBMITTING.value, "collect_time": sa.func.now()}
        count = 0
    else:
        count = last.letter_count
        changes = {
            "last_postage": last.postage,
            "last_service_id": last.service_id,
            "last_create_time": last.create_time,
            "last_letter_id": last.id,
            "round_letter_count": run.round_letter_count + count,
            "letter_count": run.letter_count + count,
            "batch_count": run.batch_count + last.batch_count,
        }
    tx.execute(sa.update(print_runs).values(changes).where(print_runs.c.id == run.id))
    return count


def pause(tx: Tx, run_id: str) -> None:
    """Let a run rest that is not complete; one that rests already is left as it is."""
    tx.execute(
        sa.update(print_runs)
        .values(pause_time=sa.func.now())
        .where(
            print_runs.c.id == run_id,
            print_runs.c.pause_time.is_(None),
            print_runs.c.state.in_([PrintRunState.COLLECTING.value, PrintRunState.SUBMITTING.value]),
        )
    )


def resume(tx: Tx, run_id: str) -> None:
    """Let a run go on. Tasks that found it resting are sent anew at once."""
    resumed = tx.execute(
        sa.update(print_runs)
        .values(pause_time=None)
        .where(print_runs.c.id == run_id, print_runs.c.pause_time.is_not(None))
    )
    if resumed.rowcount:
        tx.execute(
            sa.update(print_batches)
            .values(enqueued_until=None)
            .where(
                print_batches.c.print_run_id == run_id,
                print_batches.c.submit_time.is_(None),
                print_batches.c.enqueued_until.is_not(None),
            )
        )


def release_batches(tx: Tx, run_id: str, batch_ids: Sequence[str]) -> int:
    """Put parked batches of a run back into the queue, with all their tries; no ids means all of them."""
    parked = sa.and_(print_batches.c.print_run_id == run_id, print_batches.c.parked_at.is_not(None))
    if batch_ids:
        parked = sa.and_(parked, print_batches.c.id.in_(batch_ids))
    return tx.execute(
        sa.update(print_batches)
        .values(due_at=sa.func.now(), parked_at=None, park_reason=None, attempt=0, enqueued_until=None)
        .where(parked)
    ).rowcount


def one_to_reconcile(tx: Tx) -> PrintRun | None:
    """Return the oldest run whose letters are all in batches that providers have, and that is not reconciled
    yet.
    """
    open_batch = sa.select(print_batches.c.id).where(
        print_batches.c.print_run_id == print_runs.c.id, print_batches.c.submit_time.is_(None)
    )
    found = tx.execute(
        sa.select(print_runs.c.id)
        .where(
            print_runs.c.state == PrintRunState.SUBMITTING.value,
            print_runs.c.pause_time.is_(None),
            ~open_batch.exists(),
        )
        .order_by(print_runs.c.create_time)
        .limit(1)
    ).scalar_one_or_none()
    return None if found is None else get(tx, found)


def complete(tx: Tx, run_id: str, state: PrintRunState) -> bool:
    """Write down how reconciling a run ended; False when another worker has done so."""
    done = tx.execute(
        sa.update(print_runs)
        .values(state=state.value, complete_time=sa.func.now())
        .where(print_runs.c.id == run_id, print_runs.c.state == PrintRunState.SUBMITTING.value)
    )
    return done.rowcount == 1


def get(tx: Tx, run_id: str) -> PrintRun | None:
    """Return a run as it stands, or None."""
    row = tx.execute(_runs().where(print_runs.c.id == run_id)).one_or_none()
    return _run(row) if row else None


def newest(tx: Tx, before: tuple[datetime, str] | None, limit: int) -> list[PrintRun]:
    """Return the runs older than the position `before` (create_time, id), newest first."""
    runs = _runs().order_by(print_runs.c.create_time.desc(), print_runs.c.id.desc()).limit(limit)
    if before is not None:
        position = sa.tuple_(sa.literal(before[0]), sa.literal(before[1], id_type()))
        runs = runs.where(sa.tuple_(print_runs.c.create_time, print_runs.c.id) < position)
    return [_run(row) for row in tx.execute(runs)]


def batches_after(tx: Tx, run_id: str, number: int, limit: int) -> list[PrintBatch]:
    """Return batches of a run whose number is above `number`, in order: a page by keyset."""
    b = print_batches.c
    rows = tx.execute(
        sa.select(
            b.id,
            b.number,
            b.postage,
            b.service_id,
            b.letter_count,
            b.page_count,
            b.sheet_count,
            b.taken_count,
            b.submit_time,
            b.parked_at.is_not(None).label("parked"),
            sa.func.coalesce(b.park_reason, "").label("park_reason"),
            b.manifest_sha256,
        )
        .where(b.print_run_id == run_id, b.number > number)
        .order_by(b.number)
        .limit(limit)
    )
    return [PrintBatch(row.id, row.number, Postage(row.postage), *row[3:]) for row in rows]


def volumes(tx: Tx, run_id: str) -> list[Volume]:
    """Return what a run holds by class of post."""
    b = print_batches.c
    rows = tx.execute(
        sa.select(
            b.postage,
            sa.func.count(),
            sa.func.sum(b.letter_count),
            sa.func.sum(b.page_count),
            sa.func.sum(b.sheet_count),
        )
        .where(b.print_run_id == run_id)
        .group_by(b.postage)
        .order_by(b.postage)
    )
    return [Volume(Postage(postage), *counts) for postage, *counts in rows]


def counts(tx: Tx, run_id: str) -> Counts:
    """Return the letters of a run as the run and its batches count them; `in_letters` is left at 0."""
    b = print_batches.c
    row = tx.execute(
        sa.select(
            print_runs.c.letter_count,
            sa.func.coalesce(sa.func.sum(b.letter_count), 0),
            sa.func.coalesce(sa.func.sum(b.taken_count), 0),
        )
        .select_from(print_runs.outerjoin(print_batches, b.print_run_id == print_runs.c.id))
        .where(print_runs.c.id == run_id)
        .group_by(print_runs.c.letter_count)
    ).one()
    return Counts(collected=row[0], in_batches=row[1], in_letters=0, taken=row[2])


def count_letters(tx: Tx, batch_ids: Sequence[str]) -> int:
    """Return how many letters say themselves that they are in one of these batches."""
    return int(
        tx.execute(
            sa.select(sa.func.count()).where(
                letters.c.print_batch_id.in_(batch_ids), letters.c.state == sa.literal_column("'submitting'")
            )
        ).scalar_one()
    )


def _run(row: Row[Any]) -> PrintRun:
    fields = dict(row._mapping)
    return PrintRun(**{**fields, "state": PrintRunState(row.state)})


def _runs() -> Select[Any]:
    # lateral: only the batches of the runs that are asked for are counted
    b = print_batches.c
    submitted = b.submit_time.is_not(None)
    counts = (
        sa.select(
            sa.func.coalesce(sa.func.sum(b.letter_count), 0).label("letter_count"),
            sa.func.count().label("batch_count"),
            sa.func.coalesce(sa.func.sum(b.letter_count).filter(submitted), 0).label(
                "submitted_letter_count"
            ),
            sa.func.count().filter(submitted).label("submitted_batch_count"),
            sa.func.count().filter(b.parked_at.is_not(None)).label("parked_batch_count"),
        )
        .where(b.print_run_id == print_runs.c.id)
        .lateral("counts")
    )
    return sa.select(
        print_runs.c.id,
        print_runs.c.state,
        print_runs.c.deadline,
        print_runs.c.create_time,
        print_runs.c.pause_time,
        print_runs.c.collect_time,
        print_runs.c.complete_time,
        sa.func.coalesce(print_runs.c.expected_letter_count, 0).label("expected_letter_count"),
        *counts.c,
    ).select_from(print_runs.join(counts, sa.true()))

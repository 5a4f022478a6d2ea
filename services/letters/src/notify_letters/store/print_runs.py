"""Queries over print runs and their batches."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, Select

from notify_letters.domain.print_run import PRINT_BATCH_SIZE, PrintRun
from notify_letters.store.tables import print_batches, print_runs

# Nothing passes through Python, whatever the number of letters. Locked rows are those that another run takes
# or that are being cancelled at this moment: they are not ours. Batches hold one class of post, and within it
# the letters of a service stay together.
_COLLECT = sa.text("""
WITH due AS (
    SELECT id, postage, service_id, create_time FROM letters
    WHERE state = 'ready' AND key_type = 'normal' AND create_time < :deadline
    FOR UPDATE SKIP LOCKED
), numbered AS (
    SELECT id, postage,
           (row_number() OVER same_postage - 1) / :size AS number
    FROM due
    WINDOW same_postage AS (PARTITION BY postage ORDER BY service_id, create_time, id)
), batches AS (
    SELECT gen_random_uuid() AS id, postage, number, count(*) AS letter_count
    FROM numbered GROUP BY postage, number
), made AS (
    INSERT INTO print_batches (id, print_run_id, postage, letter_count, request_id, traceparent)
    SELECT id, :run_id, postage, letter_count, :request_id, :traceparent FROM batches
)
UPDATE letters l
SET state = 'submitting', print_batch_id = b.id, update_time = now()
FROM numbered n JOIN batches b USING (postage, number)
WHERE l.id = n.id
""").bindparams(sa.bindparam("run_id", type_=sa.Uuid))


def insert(conn: Connection, run_id: UUID, deadline: datetime) -> bool:
    """Insert a run; False when it exists. Waits for another transaction that is inserting the same run."""
    inserted = conn.execute(
        sa.text(
            "INSERT INTO print_runs (id, deadline) VALUES (:id, :deadline) ON CONFLICT DO NOTHING"
        ).bindparams(sa.bindparam("id", run_id, type_=sa.Uuid), deadline=deadline)
    )
    return inserted.rowcount == 1


def collect(
    conn: Connection, run_id: UUID, deadline: datetime, request_id: str, traceparent: str, timeout_ms: int
) -> None:
    """Put every normal letter that is ready and was accepted before `deadline` into a batch of the run.

    Args:
        timeout_ms: how long the statement may take, in place of the engine's limit.
    """
    conn.execute(sa.text("SELECT set_config('statement_timeout', :ms, true)"), {"ms": str(timeout_ms)})
    conn.execute(
        _COLLECT,
        {
            "run_id": run_id,
            "deadline": deadline,
            "size": PRINT_BATCH_SIZE,
            "request_id": request_id,
            "traceparent": traceparent,
        },
    )


def get(conn: Connection, run_id: UUID) -> PrintRun | None:
    """A run as it stands, or None."""
    row = conn.execute(_runs().where(print_runs.c.id == run_id)).one_or_none()
    return PrintRun(*row) if row else None


def newest(conn: Connection, before: tuple[datetime, UUID] | None, limit: int) -> list[PrintRun]:
    """Runs older than the position `before` (create_time, id), newest first."""
    runs = _runs().order_by(print_runs.c.create_time.desc(), print_runs.c.id.desc()).limit(limit)
    if before is not None:
        runs = runs.where(
            sa.tuple_(print_runs.c.create_time, print_runs.c.id) < sa.tuple_(*map(sa.literal, before))
        )
    return [PrintRun(*row) for row in conn.execute(runs)]


def _runs() -> Select[Any]:
    # lateral: only the batches of the runs that are asked for are counted
    counts = (
        sa.select(
            sa.func.coalesce(sa.func.sum(print_batches.c.letter_count), 0).label("letters"),
            sa.func.count().label("batches"),
            sa.func.count(print_batches.c.submit_time).label("submitted"),
        )
        .where(print_batches.c.print_run_id == print_runs.c.id)
        .lateral("counts")
    )
    return sa.select(
        print_runs.c.id,
        print_runs.c.deadline,
        print_runs.c.create_time,
        counts.c.letters,
        counts.c.batches,
        counts.c.submitted,
    ).select_from(print_runs.join(counts, sa.true()))

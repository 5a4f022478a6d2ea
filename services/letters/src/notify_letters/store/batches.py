"""The two tables whose work Celery carries, as queues.

A batch passes through two hands: the relay takes it while it is due and tells Celery its id
(`take_to_enqueue`); the task leases it (`claim_render`, `claim_print`), does the work and finishes it. Either
may die or be doubled at any point: the row stays until its work is done, and only the task that holds the
lease can finish it. Batches of a run that is paused are neither taken nor leased.
"""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Postage
from notify_common.leases.table import Queue
from sqlalchemy import ColumnElement, Row, Table

from notify_letters.domain.batch import ClaimedBatch, ClaimedPrintBatch
from notify_letters.store.tables import print_batches, print_runs


def any_to_enqueue(tx: Tx, queue: Queue) -> bool:
    """Whether `take_to_enqueue` would find a batch."""
    return bool(tx.execute(sa.select(sa.exists().where(_to_enqueue(queue.table)))).scalar_one())


def take_to_enqueue(tx: Tx, queue: Queue, limit: int, resend_after: timedelta) -> list[str]:
    """Take up to `limit` due batches that no task is on its way for, those due longest first.

    Returns their ids. None is taken again until `resend_after` has passed or a task took it and gave it up.
    """
    table = queue.table
    picked = (
        sa.select(table.c.id)
        .where(_to_enqueue(table))
        .order_by(table.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    taken = (
        sa.update(table)
        .values(enqueued_until=sa.func.now() + resend_after)
        .where(table.c.id == picked.c.id)
        .returning(table.c.id)
    )
    return list(tx.execute(taken).scalars())


def _to_enqueue(table: Table) -> ColumnElement[bool]:
    now = sa.func.now()
    wanted = sa.and_(
        table.c.due_at <= now,
        table.c.parked_at.is_(None),
        sa.or_(table.c.leased_until.is_(None), table.c.leased_until < now),
        sa.or_(table.c.enqueued_until.is_(None), table.c.enqueued_until < now),
    )
    if table is print_batches:
        wanted = sa.and_(wanted, ~_resting())
    return wanted


def _resting() -> ColumnElement[bool]:
    """Whether a print batch's run is paused."""
    paused = sa.select(print_runs.c.id).where(
        print_runs.c.id == print_batches.c.print_run_id, print_runs.c.pause_time.is_not(None)
    )
    return paused.exists()


def give_back(tx: Tx, queue: Queue, batch_ids: list[str]) -> None:
    """Undo `take_to_enqueue` for batches whose task could not be sent."""
    table = queue.table
    tx.execute(sa.update(table).values(enqueued_until=None).where(table.c.id.in_(batch_ids)))


def claim_render(tx: Tx, queue: Queue, batch_id: str) -> ClaimedBatch | None:
    """Lease a render batch for the task at hand; None when it is done, parked, not due or another task's."""
    row = _claim_one(tx, queue, batch_id)
    if row is None:
        return None
    return ClaimedBatch(batch_id, row.attempt, row.request_id, row.traceparent, row)


def claim_print(tx: Tx, queue: Queue, batch_id: str) -> ClaimedPrintBatch | None:
    """Lease a print batch likewise; None also while its run is paused."""
    resting = sa.select(print_batches.c.id).where(print_batches.c.id == batch_id, _resting())
    if tx.execute(resting).first() is not None:
        return None
    row = _claim_one(tx, queue, batch_id)
    if row is None:
        return None
    return ClaimedPrintBatch(
        batch_id,
        row.attempt,
        row.request_id,
        row.traceparent,
        row,
        row.print_run_id,
        None if row.postage is None else Postage(row.postage),
        row.service_id,
        row.number,
        row.letter_count,
    )


def _claim_one(tx: Tx, queue: Queue, batch_id: str) -> Row[Any] | None:
    rows = queue.claim(tx, 1, id=batch_id)
    if not rows:
        return None
    # the message is used up: from here on the lease alone decides when the batch comes up again
    tx.execute(sa.update(queue.table).values(enqueued_until=None).where(queue.table.c.id == batch_id))
    return rows[0]


def heartbeat(tx: Tx, queue: Queue, batch: ClaimedBatch) -> bool:
    """Begin the batch's lease anew; False when it is another task's by now."""
    return bool(queue.heartbeat(tx, [batch.lease]))


def finish(tx: Tx, queue: Queue, batch: ClaimedBatch) -> bool:
    """Delete the batch, whose work is done in this transaction; False when it is another task's by now."""
    return bool(queue.finish(tx, [batch.lease]))


def fail(tx: Tx, queue: Queue, batch: ClaimedBatch, reason: str) -> None:
    """Give the batch back for later, or park it after too many tries.

    Args:
        reason: without personal data; operators see it.
    """
    queue.fail(tx, [batch.lease], reason)


def set_submitted(tx: Tx, queue: Queue, batch: ClaimedBatch, taken_count: int, manifest_sha256: str) -> bool:
    """Record that providers have the batch; False when it is another task's by now."""
    changed = queue.set(
        tx,
        [batch.lease],
        submit_time=sa.func.now(),
        taken_count=taken_count,
        manifest_sha256=manifest_sha256,
    )
    return bool(changed)

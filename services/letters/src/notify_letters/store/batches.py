"""The two tables whose work Celery carries, as queues.

A batch passes through two hands: the relay takes it while it is due and tells Celery its id
(`take_to_enqueue`); the task leases it (`claim_render`, `claim_print`), does the work and finishes it. Either
may die or be doubled at any point: the row stays until its work is done, and only the task that holds the
lease can finish it. Batches of a run that is paused are neither taken nor leased.
"""

from datetime import timedelta

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Postage
from notify_common.leases.table import FairQueue, Queue
from sqlalchemy import ColumnElement, Table

from notify_letters.domain.batch import ClaimedBatch, ClaimedPrintBatch
from notify_letters.store.tables import ops, print_batches, print_runs, render_batches


def queue_to_enqueue(table: Table, resend_after: timedelta) -> Queue:
    """Return the batches of a table as the relay sees them: due, and no task on its way for them.

    One that is claimed does not come up again until `resend_after` has passed or a task took it and gave it
    up. Render batches are claimed in fair shares of lanes and services; of print batches, which runs make of
    everybody's letters, those due longest come first.
    """
    until = table.c.enqueued_until
    no_task = sa.or_(until.is_(None), until < sa.func.now())
    marks = {"enqueued_until": sa.func.now() + resend_after}
    if table is render_batches:
        return FairQueue(table, ["id"], pauses=ops.pauses, free=no_task, marks=marks)
    free = sa.and_(no_task, ~_resting())
    return Queue(table, ["id"], pauses=ops.pauses, free=free, marks=marks)


def queue_to_work(table: Table, lease_seconds: float) -> Queue:
    """Return the batches of a table as the tasks see them.

    Claiming one uses up its message: from then on the lease alone decides when it comes up again. One update
    does both: after two in a transaction PostgreSQL would look up the batch's run, and wait for whoever is
    changing that.
    """
    free = None if table is render_batches else ~_resting()
    used_up = {"enqueued_until": sa.null()}
    return Queue(table, ["id"], lease_seconds, pauses=ops.pauses, free=free, also_marks=used_up)


def take_to_enqueue(tx: Tx, queue: Queue, limit: int) -> list[str]:
    """Take up to `limit` batches of a `queue_to_enqueue` and return their ids."""
    return [row.id for row in queue.claim(tx, limit)]


def _resting() -> ColumnElement[bool]:
    """Tell whether a print batch's run is paused."""
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
    row = queue.claim_row(tx, id=batch_id)
    if row is None:
        return None
    return ClaimedBatch(batch_id, row.attempt, row.request_id, row.traceparent, row)


def claim_print(tx: Tx, queue: Queue, batch_id: str) -> ClaimedPrintBatch | None:
    """Lease a print batch likewise; None also while its run is paused.

    The transaction does not wait for the disk: a crash of the database may forget the lease, and then
    whoever takes the batch next hands over letters that providers know.
    """
    tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
    row = queue.claim_row(tx, id=batch_id)
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

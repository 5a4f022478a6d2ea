"""The two tables whose work Celery carries, as queues.

A batch passes through two hands: the relay takes it while it is due and tells Celery its id
(`take_to_enqueue`); the task leases it (`claim_one`), does the work and finishes it. Either may die or be
doubled at any point: the row stays until its work is done, and only the task that holds the lease can finish
it.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from notify_common.leases.table import Queue
from sqlalchemy import ColumnElement, Connection, Row, Table


def any_to_enqueue(conn: Connection, table: Table) -> bool:
    """Whether `take_to_enqueue` would find a batch."""
    return bool(conn.execute(sa.select(sa.exists().where(_to_enqueue(table)))).scalar_one())


def take_to_enqueue(conn: Connection, table: Table, limit: int, resend_after: timedelta) -> list[UUID]:
    """Take up to `limit` due batches that no task is on its way for, those due longest first.

    Returns their ids. None is taken again until `resend_after` has passed or a task took it and gave it up.
    """
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
    return list(conn.execute(taken).scalars())


def _to_enqueue(table: Table) -> ColumnElement[bool]:
    now = sa.func.now()
    return sa.and_(
        table.c.due_at <= now,
        table.c.parked_at.is_(None),
        sa.or_(table.c.leased_until.is_(None), table.c.leased_until < now),
        sa.or_(table.c.enqueued_until.is_(None), table.c.enqueued_until < now),
    )


def give_back(conn: Connection, table: Table, batch_ids: list[UUID]) -> None:
    """Undo `take_to_enqueue` for batches whose task could not be sent."""
    conn.execute(sa.update(table).values(enqueued_until=None).where(table.c.id.in_(batch_ids)))


def claim_one(conn: Connection, queue: Queue, batch_id: UUID) -> Row[Any] | None:
    """Lease a batch for the task at hand; None when it is done, parked, not due or another task's."""
    rows = queue.claim(conn, 1, id=batch_id)
    if not rows:
        return None
    # the message is used up: from here on the lease alone decides when the batch comes up again
    conn.execute(sa.update(queue.table).values(enqueued_until=None).where(queue.table.c.id == batch_id))
    return rows[0]

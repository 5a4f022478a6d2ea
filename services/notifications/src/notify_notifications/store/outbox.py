"""The outbox: accepted messages that the next context does not have yet (design.md §3.3, §3.5)."""

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Lane
from notify_common.leases.table import MAX_CLAIM, LeasedRow
from notify_common.records import record
from sqlalchemy import ColumnElement

from notify_notifications.domain.hand_over import Destination
from notify_notifications.domain.record import Origin
from notify_notifications.store.tables import outbox, outbox_queue

MOST_ROWS: Final = MAX_CLAIM
"""Most messages that are claimed at once."""


@record()
class Waiting:
    """A message that waits in the outbox, leased to whoever claimed it."""

    notification_id: str
    attempt: int
    """Claims of it so far, this one included."""
    origin: Origin
    row: LeasedRow = field(repr=False)


def claim(tx: Tx, destination: Destination, limit: int = MOST_ROWS) -> list[Waiting]:
    """Lease up to `limit` (at most 500) due messages.

    In fair shares of lanes and services, the fastest lane first.
    """
    return [
        Waiting(
            notification_id=row.notification_id,
            attempt=row.attempt,
            origin=Origin(row.request_id or "", row.traceparent or "", Lane(row.lane)),
            row=row,
        )
        for row in outbox_queue.claim(tx, limit, destination=destination.value)
    ]


def keep(tx: Tx, messages: Sequence[Waiting]) -> None:
    """Begin the leases anew."""
    outbox_queue.heartbeat(tx, _rows(messages))


def remove(tx: Tx, messages: Sequence[Waiting]) -> int:
    """Take messages that are done with out of the outbox, where still leased; return how many."""
    return outbox_queue.finish(tx, _rows(messages))


def back_off(tx: Tx, messages: Sequence[Waiting], reason: str) -> None:
    """Give messages back for later, or park those that used up their attempts."""
    outbox_queue.fail(tx, _rows(messages), reason)


def give_back(tx: Tx, messages: Sequence[Waiting]) -> None:
    """Give messages back, due at once, as if they had not been claimed."""
    uncounted = {"attempt": [message.attempt - 1 for message in messages]}
    outbox_queue.set(tx, _rows(messages), each=uncounted, due_at=sa.func.now())


def take_back(tx: Tx, notification_id: str) -> bool:
    """Take a message out that was never claimed and whose time has not come; return whether it was there."""
    taken = sa.delete(outbox).where(*_waits_for_its_time(notification_id))
    return tx.execute(taken).rowcount == 1


def put_off(tx: Tx, notification_id: str, due_at: datetime) -> bool:
    """Let a message that was never claimed and whose time has not come be due at another time; return whether
    it was there.
    """
    moved = sa.update(outbox).values(due_at=due_at).where(*_waits_for_its_time(notification_id))
    return tx.execute(moved).rowcount == 1


def _waits_for_its_time(notification_id: str) -> list[ColumnElement[bool]]:
    """What is true of a row that no relay has ever had: what one had may be with the next context.

    A claim sets another due time and counts, and who gives up a claim sets a time that has come. The clock is
    read when the row is, which may be long after the transaction began.
    """
    return [
        outbox.c.notification_id == notification_id,
        outbox.c.due_at > sa.func.clock_timestamp(),
        outbox.c.attempt == 0,
        outbox.c.leased_until.is_(None),
        outbox.c.parked_at.is_(None),
    ]


def _rows(messages: Sequence[Waiting]) -> list[LeasedRow]:
    return [message.row for message in messages]

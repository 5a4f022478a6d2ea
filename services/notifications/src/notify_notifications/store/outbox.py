"""The outbox: accepted messages that the next context does not have yet (design.md §3.3, §3.5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Lane
from notify_common.leases.table import MAX_CLAIM, LeasedRow

from notify_notifications.domain.hand_over import Destination
from notify_notifications.domain.record import Origin
from notify_notifications.store.tables import outbox_queue

MOST_ROWS: Final = MAX_CLAIM
"""Most messages that are claimed at once."""


@dataclass(frozen=True, slots=True)
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


def _rows(messages: Sequence[Waiting]) -> list[LeasedRow]:
    return [message.row for message in messages]

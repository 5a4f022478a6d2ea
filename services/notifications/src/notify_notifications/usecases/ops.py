"""The queues of this context, as operators know them."""

from collections.abc import Sequence
from typing import Any, Final

from notify_common import clock
from notify_common.db.unit_of_work import Tx
from notify_common.enums import CallbackType
from notify_common.ops.queues import Ops, OpsQueue

from notify_notifications.domain.counts import DayCountKey
from notify_notifications.domain.hand_over import Destination
from notify_notifications.domain.notification import Event, Happening
from notify_notifications.store import jobs
from notify_notifications.store.counts import add_day_counts
from notify_notifications.store.tables import callback_queue, job_queue, ops, outbox_queue
from notify_notifications.usecases.record_events import record_events


def _fail(tx: Tx, rows: Sequence[Any]) -> None:
    """Take messages out of the outbox, which end as technical failures."""
    outbox_queue.drop(tx, rows)
    failed = (Event(row.notification_id, Happening.TECHNICAL_FAILURE, clock.now()) for row in rows)
    record_events(tx, list(failed))


def _give_up(tx: Tx, rows: Sequence[Any]) -> None:
    """Cancel jobs; the messages that their rows became stay, and the places of the rest are given back."""
    jobs.give_up(tx, [str(row.id) for row in rows], clock.now())
    left = (
        (
            DayCountKey(str(row.service_id), row.day, row.channel),
            row.chunk_rows[-1] - row.chunk_rows[row.next_chunk],
        )
        for row in rows
        if row.day is not None
    )
    for key, count in left:
        add_day_counts(tx, {key: -count})


OPS: Final = Ops(
    ops,
    [
        OpsQueue(
            outbox_queue,
            {"destination": destination.value},
            shown=frozenset({"service_id", "lane"}),
            drop=_fail,
        )
        for destination in Destination
    ]
    + [
        OpsQueue(
            callback_queue,
            {"type": type.value},
            shown=frozenset({"service_id", "lane", "subject_id", "state", "create_time", "earlier_attempts"}),
            drop=callback_queue.drop,
        )
        for type in CallbackType
    ]
    + [
        OpsQueue(
            job_queue,
            shown=frozenset({"service_id", "state", "create_time", "next_chunk", "row_count"}),
            drop=_give_up,
        )
    ],
)

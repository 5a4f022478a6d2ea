"""The feed of delivery events, and how long history is kept."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.feeds.producer import trim_feed
from notify_common.logging import get_logger

from notify_providers.domain.dispatch import State
from notify_providers.domain.receipts import DeliveryEvent, Kind
from notify_providers.store import dispatches, health, print_drops, receipts
from notify_providers.store.dispatches import Change, Event
from notify_providers.store.tables import delivery_events

_MOST_COUNTED: Final = 10_000
_DROP_DAYS: Final = 400
"""For which it is known in which file a letter was: longer than any dispatch is kept."""


def list_events(
    uow: UnitOfWork, cursor: str, limit: int, channels: Sequence[Channel]
) -> tuple[list[DeliveryEvent], str]:
    """Return at most `limit` (0: 500) events after a cursor, oldest first, and the cursor to go on from.

    With `channels`, events of others are left out: a page may be empty although its cursor moved on.

    Raises:
        NotifyError: INVALID_FIELD, the cursor is none of this feed.
    """
    with uow.autocommit() as conn:
        return dispatches.list_events(conn, cursor, limit, channels)


def trim_history(uow: UnitOfWork, event_days: float, unmatched_days: float, unmatched_count: int) -> int:
    """Delete a bounded number of old events and unmatched receipts, and of ended dispatches past their time.

    Return how many. A message that is handed over again after its dispatch was deleted would be sent again:
    keep dispatches for longer than an outbox row can wait.
    """
    with uow.begin() as conn:
        deleted = trim_feed(conn, delivery_events, timedelta(days=event_days))
        deleted += health.trim_calls(conn)
        deleted += print_drops.trim(conn, _DROP_DAYS)
        deleted += receipts.trim_unmatched(conn, unmatched_days, unmatched_count)
        return deleted + dispatches.trim(conn)


def count_in_doubt(uow: UnitOfWork) -> int:
    """Return how many dispatches are in doubt; 10,000 where they are more."""
    with uow.autocommit() as tx:
        return dispatches.count_in_doubt(tx, _MOST_COUNTED)


def give_up_overdue(uow: UnitOfWork) -> int:
    """End a bounded number of dispatches that are not sent although their time is over; return how many.

    Their content goes, and the news is that they failed, in one transaction: again, it changes nothing.
    """
    with uow.begin() as conn:
        overdue = dispatches.lock_overdue(conn)
        dispatches.change_states(
            conn, [Change(id, State.FAILED, None, keeps_content=False) for id, _ in overdue]
        )
        dispatches.append_events(
            conn, [Event(id, channel, Kind.TECHNICAL_FAILURE, "") for id, channel in overdue]
        )
    for id, channel in overdue:
        get_logger().warning("dispatch given up: its time is over", dispatch_id=id, channel=channel)
    return len(overdue)

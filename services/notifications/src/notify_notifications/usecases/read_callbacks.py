"""What services were told of, and telling them again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.logging import get_logger

from notify_notifications.store import callbacks
from notify_notifications.store.callbacks import Attempt, Callback, Filters, Position

MOST_AT_ONCE: Final = 500
"""Events that are asked for again in one transaction."""


def list_callbacks(
    uow: UnitOfWork, service_id: str, filters: Filters, before: Position | None, limit: int
) -> tuple[list[Callback], bool]:
    """Return up to `limit` events of a service, newest first, older than a position; and whether there are
    more.
    """
    with uow.autocommit() as tx:
        found = callbacks.page(tx, service_id, filters, before, limit + 1)
    return found[:limit], len(found) > limit


def get_callback(uow: UnitOfWork, service_id: str, callback_id: str) -> tuple[Callback, list[Attempt]]:
    """Return an event with its attempts. Raises NotifyError CALLBACK_NOT_FOUND, for another service's too."""
    with uow.autocommit() as tx:
        found = callbacks.get(tx, service_id, callback_id)
        if found is None:
            raise NotifyError("CALLBACK_NOT_FOUND")
        return found, callbacks.attempts(tx, callback_id)


def replay_ids(uow: UnitOfWork, service_id: str, callback_ids: Sequence[str]) -> int:
    """Have a service told again of up to 500 events; return how many. What waits already is left."""
    with uow.begin() as tx:
        count = callbacks.replay_ids(tx, service_id, callback_ids)
    return _noted(service_id, count)


def replay_range(
    uow: UnitOfWork,
    service_id: str,
    type: str,
    start: datetime,
    end: datetime,
    with_delivered: bool,
    after: Position | None,
) -> tuple[int, Position | None]:
    """Have a service told again of events of a time, oldest first, from behind a position on.

    Returns how many of the up to 500 looked at are told again, and where to go on; None at the end. What
    waits already is left.
    """
    with uow.begin() as tx:
        seen = callbacks.ids_of_range(tx, service_id, type, start, end, with_delivered, after, MOST_AT_ONCE)
        count = callbacks.replay_ids(tx, service_id, [id for _, id in seen]) if seen else 0
    return _noted(service_id, count), seen[-1] if len(seen) == MOST_AT_ONCE else None


def _noted(service_id: str, count: int) -> int:
    get_logger().info("callbacks replayed", service_id=service_id, count=count)
    return count

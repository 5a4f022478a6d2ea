"""Deleting what services were told of, when its time is over."""

from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.logging import get_logger
from prometheus_client import Counter

from notify_notifications.domain.calls import KEPT, CallbackState
from notify_notifications.store.callbacks import delete_before

MOST_ROWS: Final = 1_000
"""Most events that are deleted in one transaction."""

_EXPIRED = Counter(
    "notify_callbacks_expired_total", "Events whose time was over before their service was told of them."
)


def delete_old_callbacks(uow: UnitOfWork) -> int:
    """Delete up to 1,000 events that happened more than three days ago, with their attempts; return how many.

    Repeating it is harmless. One whose service was not reached in all that time is counted.
    """
    with uow.begin() as tx:
        deleted = delete_before(tx, clock.now() - KEPT, MOST_ROWS)
    if expired := deleted.get(CallbackState.WAITING, 0):
        _EXPIRED.inc(expired)
        get_logger().warning("callbacks expired", count=expired)
    return sum(deleted.values())

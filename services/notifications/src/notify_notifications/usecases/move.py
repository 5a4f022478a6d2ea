"""The one door by which a message's state changes after it was accepted (design.md §3.8).

Accepting is the other beginning: its statement counts what it stores (`store/acceptance.py`).
"""

from collections.abc import Sequence

from notify_common.db.unit_of_work import Tx

from notify_notifications.domain.counts import (
    Move,
    batch_differences,
    count_differences,
    day_count_differences,
    deleted_differences,
    processing_differences,
    time_differences,
    usage_differences,
)
from notify_notifications.store import posted_letters
from notify_notifications.store.counts import (
    add_batch_counts,
    add_counts,
    add_day_counts,
    add_deleted,
    add_usage,
)
from notify_notifications.store.notifications import save_progress
from notify_notifications.store.platform_days import add_processing, add_times


def move(tx: Tx, moves: Sequence[Move]) -> None:
    """Write what became of messages, and with it, in the same transaction, all that follows from it: counts
    and usage facts.

    Args:
        tx: the transaction in which `lock_progress` locked the messages, so that each move truly happens, and
            once.
        moves: one a message, those alone that change something.
    """
    save_progress(tx, [one.after for one in moves])
    _count(tx, moves)
    add_processing(tx, processing_differences(moves))
    add_times(tx, time_differences(moves))


def move_posted(tx: Tx, moves: Sequence[Move]) -> None:
    """Do the same for letters that are past their retention, which `posted_letters.lock` locked."""
    if not moves:
        return
    posted_letters.save(tx, [one.after for one in moves])
    add_deleted(tx, deleted_differences(moves))
    _count(tx, moves)


def _count(tx: Tx, moves: Sequence[Move]) -> None:
    add_counts(tx, count_differences(moves))
    add_day_counts(tx, day_count_differences(moves))
    add_batch_counts(tx, batch_differences(moves))
    add_usage(tx, usage_differences(moves))

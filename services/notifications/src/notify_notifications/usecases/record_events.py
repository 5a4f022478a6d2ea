"""Applying what providers and letters report (design.md §3.8 step 5)."""

from collections.abc import Sequence

from notify_common.db.unit_of_work import Tx
from prometheus_client import Counter

from notify_notifications.domain.notification import Event, Progress, advance
from notify_notifications.store.notifications import lock_progress, save_progress

_UNKNOWN = Counter("notify_events_unknown_total", "Events about messages that are not (or no longer) here.")


def record_events(conn: Tx, events: Sequence[Event]) -> list[Progress]:
    """Move the notifications that a page of events is about forward: one read and one write for all of them.

    Returns those whose state is another one since.

    Idempotent: an event that was applied before changes nothing, whatever came after it.
    """
    by_id: dict[str, list[Event]] = {}
    for event in events:
        by_id.setdefault(event.notification_id, []).append(event)
    before = lock_progress(conn, list(by_id))
    _UNKNOWN.inc(len(by_id) - len(before))
    after = [advance(progress, by_id[id_]) for id_, progress in before.items()]
    save_progress(conn, [progress for progress in after if progress != before[progress.id]])
    return [progress for progress in after if progress.state is not before[progress.id].state]

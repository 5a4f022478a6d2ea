"""Applying what providers and letters report (design.md §3.8 step 5)."""

from collections.abc import Sequence

from notify_common.db.unit_of_work import Tx
from prometheus_client import Counter

from notify_notifications.domain.counts import Move
from notify_notifications.domain.notification import Event, Happening, Progress, advance
from notify_notifications.store import posted_letters
from notify_notifications.store.notifications import lock_progress
from notify_notifications.usecases.move import move, move_posted

_UNKNOWN = Counter("notify_events_unknown_total", "Events about messages that are not (or no longer) here.")


def record_events(conn: Tx, events: Sequence[Event]) -> list[Progress]:
    """Move the notifications that a page of events is about forward: one read and one write for all of them,
    and one more for letters that came back after their retention (pipeline.md §4.11).

    Returns those whose state is another one since.

    Idempotent: an event that was applied before changes nothing, whatever came after it.
    """
    by_id: dict[str, list[Event]] = {}
    for event in events:
        by_id.setdefault(event.notification_id, []).append(event)
    found = lock_progress(conn, list(by_id))
    late = [
        event.notification_id
        for event in events
        if event.happening is Happening.LETTER_RETURNED and event.notification_id not in found
    ]
    posted = posted_letters.lock(conn, late) if late else {}
    _UNKNOWN.inc(len(by_id) - len(found) - len(posted))
    moves = [Move(before, advance(before, by_id[id])) for id, before in (found | posted).items()]
    changed = [one for one in moves if one.after != one.before]
    move(conn, [one for one in changed if one.after.id in found])
    move_posted(conn, [one for one in changed if one.after.id in posted])
    return [one.after for one in moves if one.after.state is not one.before.state]

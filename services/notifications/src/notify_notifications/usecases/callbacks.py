"""Queueing what services are told of over HTTP, together with the change itself (design.md §3.8 step 6)."""

from collections.abc import Iterable, Sequence
from typing import Final

from notify_common.db.unit_of_work import Tx
from notify_common.enums import CallbackType

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.callback import (
    CallbackEvent,
    complaint,
    delivery_status,
    returned_letter,
    type_told,
)
from notify_notifications.domain.notification import Event, Happening
from notify_notifications.store import callbacks, posted_letters
from notify_notifications.usecases.record_events import record_events

_MAKES: Final = {
    CallbackType.DELIVERY_STATUS: delivery_status,
    CallbackType.RETURNED_LETTER: returned_letter,
}


def record_and_tell(snapshots: Snapshots, tx: Tx, events: Sequence[Event]) -> None:
    """Apply a page of events, and queue what services are told of it.

    Where no service of the page is told anything, it costs no further round trip.
    """
    asked = {
        progress.id: (progress.service_id, type)
        for progress in record_events(tx, events)
        if (type := type_told(progress)) is not None
    }
    wanting = who_want(snapshots, asked.values()) if asked else set()
    if ids := [id for id, pair in asked.items() if pair in wanting]:
        found = callbacks.told(tx, ids)
        if late := set(ids) - {told.id for told in found}:
            found += posted_letters.told(tx, late)
        callbacks.add(tx, [_MAKES[asked[told.id][1]](told) for told in found])
    complaints = {
        event.notification_id: event.time for event in events if event.happening is Happening.COMPLAINT
    }
    if complaints:
        about = callbacks.told(tx, list(complaints))
        enqueue(snapshots, tx, [complaint(told, complaints[told.id]) for told in about])


def enqueue(snapshots: Snapshots, tx: Tx, events: Sequence[CallbackEvent]) -> None:
    """Queue events for the services that want to be told of them; call it in the transaction of the event.

    Idempotency key: the event's id. It asks nobody but the database: a service of which this process does not
    know at the moment whether it has a callback counts as one that has, and the worker finds out.
    """
    wanting = who_want(snapshots, ((event.service_id, event.type) for event in events))
    callbacks.add(tx, [event for event in events if (event.service_id, event.type) in wanting])


def who_want(
    snapshots: Snapshots, asked: Iterable[tuple[str, CallbackType]]
) -> set[tuple[str, CallbackType]]:
    """Return those of the pairs of service and type that have a callback, or may have one."""
    pairs = set(asked)
    known = snapshots.known_services({service_id for service_id, _ in pairs})
    return {
        (service_id, type)
        for service_id, type in pairs
        if service_id not in known or type in known[service_id].callback_types
    }

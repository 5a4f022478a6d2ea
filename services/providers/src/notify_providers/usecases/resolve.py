"""Looking at dispatches, and deciding those in doubt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError

from notify_providers.domain.dispatch import Attempt, Dispatch, State
from notify_providers.domain.receipts import Kind, RecordedReceipt
from notify_providers.store import dispatches, receipts
from notify_providers.store.dispatches import Change, Event

MAX_TIMELINE = 100
"""Attempts, and receipts, of one dispatch that are shown."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A dispatch with what was done about it, oldest first."""

    dispatch: Dispatch
    attempts: Sequence[Attempt]
    receipts: Sequence[RecordedReceipt]


def get_timeline(uow: UnitOfWork, service_id: str, dispatch_id: str) -> Timeline:
    """Return a dispatch with its attempts and receipts.

    Raises:
        NotifyError: DISPATCH_NOT_FOUND.
    """
    with uow.begin() as conn:
        found = dispatches.get(conn, service_id, dispatch_id)
        if found is None:
            raise NotifyError("DISPATCH_NOT_FOUND")
        return Timeline(
            dispatch=found,
            attempts=dispatches.list_attempts(conn, dispatch_id, MAX_TIMELINE),
            receipts=receipts.list_receipts(conn, dispatch_id, MAX_TIMELINE),
        )


def list_dispatches(
    uow: UnitOfWork, state: State, after: tuple[datetime, str] | None, limit: int
) -> list[Dispatch]:
    """Return dispatches in a state, oldest first, from behind `after` on."""
    with uow.autocommit() as conn:
        return dispatches.list_in_state(conn, state, after, limit)


def resolve_dispatch(uow: UnitOfWork, service_id: str, dispatch_id: str, *, retry: bool) -> Dispatch:
    """Decide a dispatch in doubt: it is sent again, or counts as sent. Return it as it stands then.

    Idempotency: a decided dispatch is not in doubt any more, so a second decision is refused.

    Raises:
        NotifyError: DISPATCH_NOT_FOUND, NOT_IN_DOUBT.
    """
    with uow.begin() as conn:
        locked = dispatches.lock(conn, [dispatch_id])
        found = dispatches.get(conn, service_id, dispatch_id)
        if found is None:
            raise NotifyError("DISPATCH_NOT_FOUND")
        if found.state is not State.IN_DOUBT:
            raise NotifyError("NOT_IN_DOUBT")
        if retry:
            dispatches.queue_again(conn, dispatch_id)
            return replace(found, state=State.QUEUED)
        last = dispatches.list_attempts(conn, dispatch_id, MAX_TIMELINE)[-1]
        dispatches.change_states(conn, [Change(dispatch_id, State.SENT, None, keeps_content=False)])
        channel = locked[dispatch_id].channel
        dispatches.append_events(conn, [Event(dispatch_id, channel, Kind.SENT, last.provider)])
        return replace(found, state=State.SENT)

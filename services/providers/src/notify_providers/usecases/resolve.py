"""Looking at dispatches, and deciding those in doubt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from sqlalchemy import Row

from notify_providers.domain.dispatch import IN_DOUBT, SENT
from notify_providers.domain.receipts import SENT as SENT_EVENT
from notify_providers.store import dispatches, receipts
from notify_providers.store.dispatches import Change, Event

MAX_TIMELINE = 100
"""Attempts, and receipts, of one dispatch that are shown."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A dispatch with what was done about it, oldest first. Rows have the columns of their tables."""

    dispatch: Row[Any]
    attempts: Sequence[Row[Any]]
    receipts: Sequence[Row[Any]]


def get_timeline(uow: UnitOfWork, service_id: UUID, dispatch_id: UUID) -> Timeline:
    """Returns a dispatch with its attempts and receipts.

    Raises:
        NotifyError: DISPATCH_NOT_FOUND.
    """
    with uow.begin() as conn:
        row = dispatches.get(conn, service_id, dispatch_id)
        if row is None:
            raise NotifyError("DISPATCH_NOT_FOUND")
        return Timeline(
            dispatch=row,
            attempts=dispatches.list_attempts(conn, dispatch_id, MAX_TIMELINE),
            receipts=receipts.list_receipts(conn, dispatch_id, MAX_TIMELINE),
        )


def list_dispatches(
    uow: UnitOfWork, state: str, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row[Any]]:
    """Returns dispatches in a state without their content, oldest first, from behind `after` on."""
    with uow.autocommit() as conn:
        return dispatches.list_in_state(conn, state, after, limit)


def resolve_dispatch(uow: UnitOfWork, service_id: UUID, dispatch_id: UUID, *, retry: bool) -> Row[Any]:
    """Decides a dispatch in doubt: it is sent again, or counts as sent. Returns it as it stands then.

    Idempotency: a decided dispatch is not in doubt any more, so a second decision is refused.

    Raises:
        NotifyError: DISPATCH_NOT_FOUND, NOT_IN_DOUBT.
    """
    with uow.begin() as conn:
        dispatches.lock(conn, [dispatch_id])
        row = dispatches.get(conn, service_id, dispatch_id)
        if row is None:
            raise NotifyError("DISPATCH_NOT_FOUND")
        if row.state != IN_DOUBT:
            raise NotifyError("NOT_IN_DOUBT")
        if retry:
            dispatches.queue_again(conn, dispatch_id)
        else:
            last = dispatches.list_attempts(conn, dispatch_id, MAX_TIMELINE)[-1]
            dispatches.change_states(conn, [Change(dispatch_id, SENT, None, keeps_content=False)])
            dispatches.append_events(conn, [Event(dispatch_id, row.channel, SENT_EVENT, last.provider)])
        return dispatches.get(conn, service_id, dispatch_id) or row

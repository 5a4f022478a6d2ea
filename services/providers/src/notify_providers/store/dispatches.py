"""Statements on dispatches, their attempts and the feed of delivery events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from notify_common import clock
from notify_common.feeds.producer import read_feed
from sqlalchemy import Connection, Row
from sqlalchemy.dialects.postgresql import insert

from notify_providers.domain.dispatch import (
    FAILED,
    PROCESS_DIED,
    QUEUED,
    RELEASED,
    SENT,
    UNKNOWN,
    CallResult,
    EarlierAttempt,
)
from notify_providers.domain.message import NewDispatch, content_to_json
from notify_providers.store.arrays import unnest, unnest_rows
from notify_providers.store.tables import attempts, delivery_events, dispatch_queue, dispatches, receipts

_SECOND: sa.ColumnElement[timedelta] = sa.literal_column("interval '1 second'", sa.Interval)


@dataclass(frozen=True, slots=True)
class Change:
    """The new state of a dispatch. `delay` is the seconds until its next try, None if none follows.

    `content` is kept while a try may follow, in doubt included.
    """

    id: UUID
    state: str
    delay: float | None
    keeps_content: bool


@dataclass(frozen=True, slots=True)
class Event:
    """A delivery event to append. `provider` is empty if none was called."""

    dispatch_id: UUID
    channel: str
    kind: str
    provider: str


def insert_new(conn: Connection, new: Sequence[NewDispatch]) -> int:
    """Inserts those whose id is not known yet, due at once, and returns how many they were. One statement."""
    rows = unnest_rows(
        "new",
        {
            "id": sa.Uuid(),
            "service_id": sa.Uuid(),
            "key_type": sa.Text(),
            "channel": sa.Text(),
            "content": sa.Text(),
            "request_id": sa.Text(),
            "traceparent": sa.Text(),
        },
        [
            (
                d.id,
                d.service_id,
                d.key_type,
                d.channel,
                json.dumps(content_to_json(d.content), ensure_ascii=False),
                d.request_id,
                d.traceparent,
            )
            for d in new
        ],
    )
    columns = [
        sa.cast(column, dispatches.c.content.type) if column.key == "content" else column for column in rows.c
    ]
    names = [column.key for column in rows.c]
    statement = insert(dispatches).from_select(names, sa.select(*columns)).on_conflict_do_nothing()
    return conn.execute(statement).rowcount


def claim_due(conn: Connection, channel: str, limit: int) -> list[Row[Any]]:
    """Leases up to `limit` due dispatches of a channel and returns them whole, longest due first."""
    return dispatch_queue.claim(conn, limit, channel=channel)


def park(conn: Connection, row: Row[Any], reason: str) -> None:
    """Takes a claimed dispatch out of the queue for an operator to look at."""
    dispatch_queue.park(conn, [row], reason)


def lock(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    """Locks dispatches until the transaction ends, in the order of their ids, and returns them by id."""
    wanted = unnest("wanted", id=(sa.Uuid(), list(ids)))
    statement = (
        sa.select(
            dispatches.c.id,
            dispatches.c.channel,
            dispatches.c.state,
            dispatches.c.attempt,
            dispatches.c.lease_token,
            dispatches.c.request_id,
        )
        .where(dispatches.c.id == wanted.c.id)
        .order_by(dispatches.c.id)
        .with_for_update(of=dispatches)
    )
    rows: list[Any] = list(conn.execute(statement))
    return {row.id: row for row in rows}


def change_states(conn: Connection, changes: Sequence[Change]) -> None:
    """Writes new states and ends the leases. The rows must be locked or leased by this transaction."""
    if not changes:
        return
    new = unnest_rows(
        "new",
        {"id": sa.Uuid(), "state": sa.Text(), "delay": sa.Float(), "keeps_content": sa.Boolean()},
        [(c.id, c.state, c.delay, c.keeps_content) for c in changes],
    )
    conn.execute(
        sa.update(dispatches)
        .values(
            state=new.c.state,
            due_at=sa.func.now() + new.c.delay * _SECOND,
            leased_until=None,
            lease_token=None,
            content=sa.case((new.c.keeps_content, dispatches.c.content)),
        )
        .where(dispatches.c.id == new.c.id)
    )


def insert_attempts(conn: Connection, started: Sequence[tuple[UUID, int, str]]) -> None:
    """Marks attempts as begun: (dispatch id, number, provider). Commit before the provider is called."""
    if not started:
        return
    new = unnest_rows(
        "new", {"dispatch_id": sa.Uuid(), "number": sa.Integer(), "provider": sa.Text()}, started
    )
    conn.execute(sa.insert(attempts).from_select(["dispatch_id", "number", "provider"], sa.select(*new.c)))


def end_attempts(conn: Connection, results: Sequence[CallResult]) -> None:
    """Records outcomes. What a provider said wins over an earlier note that nobody knows."""
    ended = unnest_rows(
        "ended",
        {"dispatch_id": sa.Uuid(), "number": sa.Integer(), "outcome": sa.Text(), "reason": sa.Text()},
        [(r.dispatch_id, r.attempt, r.outcome, r.reason) for r in results],
    )
    conn.execute(
        sa.update(attempts)
        .values(end_time=sa.func.now(), outcome=ended.c.outcome, reason=ended.c.reason)
        .where(attempts.c.dispatch_id == ended.c.dispatch_id, attempts.c.number == ended.c.number)
    )


def close_open_attempts(conn: Connection, ids: Sequence[UUID]) -> None:
    """Ends attempts that nobody will end any more: their outcome is unknown."""
    dead = unnest("dead", id=(sa.Uuid(), list(ids)))
    conn.execute(
        sa.update(attempts)
        .values(end_time=sa.func.now(), outcome=UNKNOWN, reason=PROCESS_DIED)
        .where(attempts.c.dispatch_id == dead.c.id, attempts.c.outcome.is_(None))
    )


def earlier_attempts(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, list[EarlierAttempt]]:
    """Returns the ended attempts of dispatches by dispatch id, first one first."""
    wanted = unnest("wanted", id=(sa.Uuid(), list(ids)))
    rows = conn.execute(
        sa.select(attempts.c.dispatch_id, attempts.c.provider, attempts.c.outcome, attempts.c.reason)
        .where(attempts.c.dispatch_id == wanted.c.id, attempts.c.outcome.is_not(None))
        .order_by(attempts.c.dispatch_id, attempts.c.number)
    )
    found: dict[UUID, list[EarlierAttempt]] = {}
    for row in rows:
        found.setdefault(row.dispatch_id, []).append(EarlierAttempt(row.provider, row.outcome, row.reason))
    return found


def providers_called(conn: Connection, ids: Sequence[UUID]) -> set[tuple[UUID, str]]:
    """Returns which of the dispatches were ever begun to be handed to which provider."""
    wanted = unnest("wanted", id=(sa.Uuid(), list(ids)))
    rows = conn.execute(
        sa.select(attempts.c.dispatch_id, attempts.c.provider).where(attempts.c.dispatch_id == wanted.c.id)
    )
    return {(row.dispatch_id, row.provider) for row in rows}


def append_events(conn: Connection, events: Sequence[Event]) -> None:
    """Appends delivery events in their order."""
    if not events:
        return
    new = unnest_rows(
        "new",
        {
            "place": sa.Integer(),
            "dispatch_id": sa.Uuid(),
            "channel": sa.Text(),
            "kind": sa.Text(),
            "provider": sa.Text(),
        },
        [(place, e.dispatch_id, e.channel, e.kind, e.provider) for place, e in enumerate(events)],
    )
    columns = [new.c.dispatch_id, new.c.channel, new.c.kind, new.c.provider]
    conn.execute(
        sa.insert(delivery_events).from_select(
            [column.key for column in columns], sa.select(*columns).order_by(new.c.place)
        )
    )


def list_events(
    conn: Connection, cursor: str, limit: int, channels: Sequence[str]
) -> tuple[list[Row[Any]], str]:
    """Returns a page of the feed, events of other channels left out, and the cursor behind the page.

    A page may hold fewer events than there are, none even, and its cursor still moves on.
    """
    rows, next_cursor = read_feed(conn, delivery_events, cursor, limit)
    return [row for row in rows if not channels or row.channel in channels], next_cursor


def trim(conn: Connection, keep_days: float, limit: int = 5000) -> int:
    """Deletes sent and failed dispatches that are older than `keep_days`, with their attempts and receipts.

    At most `limit`; returns how many. Found by their ids, which are ordered by time (design.md §2.9).
    """
    keep = timedelta(days=keep_days)
    oldest_kept = UUID(int=int((clock.now() - keep).timestamp() * 1000) << 80)
    old = (
        sa.select(dispatches.c.id)
        .where(
            dispatches.c.id < oldest_kept,
            dispatches.c.create_time < sa.func.now() - keep,
            dispatches.c.state.in_((SENT, FAILED)),
        )
        .order_by(dispatches.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    parts = [
        sa.delete(table).where(table.c.dispatch_id == old.c.id).cte(f"trimmed_{table.name}")
        for table in (attempts, receipts)
    ]
    return conn.execute(sa.delete(dispatches).where(dispatches.c.id == old.c.id).add_cte(*parts)).rowcount


def get(conn: Connection, service_id: UUID, dispatch_id: UUID) -> Row[Any] | None:
    """Returns a dispatch of a service without its content."""
    return conn.execute(
        _listed().where(dispatches.c.id == dispatch_id, dispatches.c.service_id == service_id)
    ).one_or_none()


def list_attempts(conn: Connection, dispatch_id: UUID, limit: int) -> Sequence[Row[Any]]:
    """Returns the attempts of a dispatch, first one first."""
    return conn.execute(
        sa.select(attempts)
        .where(attempts.c.dispatch_id == dispatch_id)
        .order_by(attempts.c.number)
        .limit(limit)
    ).all()


def list_in_state(
    conn: Connection, state: str, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row[Any]]:
    """Returns dispatches in a state without their content, oldest first, from behind `after` on."""
    statement = _listed().where(dispatches.c.state == state)
    if after is not None:
        position = sa.tuple_(sa.literal(after[0]), sa.literal(after[1]))
        statement = statement.where(sa.tuple_(dispatches.c.create_time, dispatches.c.id) > position)
    ordered = statement.order_by(dispatches.c.create_time, dispatches.c.id).limit(limit)
    return conn.execute(ordered).all()


def queue_again(conn: Connection, dispatch_id: UUID) -> None:
    """Makes a dispatch in doubt due at once and notes at the attempt in question that somebody decided so."""
    conn.execute(
        sa.update(attempts)
        .values(reason=RELEASED)
        .where(attempts.c.dispatch_id == dispatch_id, attempts.c.outcome == UNKNOWN)
    )
    change_states(conn, [Change(dispatch_id, QUEUED, 0.0, keeps_content=True)])


def _listed() -> sa.Select[Any]:
    return sa.select(*(column for column in dispatches.c if column.key != "content"))

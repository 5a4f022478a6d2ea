"""Statements on dispatches, their attempts and the feed of delivery events."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.arrays import Types, columns_given, id_array, one_of, unnest, unnest_later
from notify_common.db.columns import id_type
from notify_common.db.prepared import prepared
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel, KeyType
from notify_common.feeds.producer import read_feed
from notify_common.records import record
from sqlalchemy import Row
from sqlalchemy.dialects.postgresql import JSONB, insert

from notify_providers.domain.dispatch import (
    PROCESS_DIED,
    RELEASED,
    Attempt,
    CallResult,
    Dispatch,
    EarlierAttempt,
    Outcome,
    State,
)
from notify_providers.domain.message import NewDispatch, content_to_json
from notify_providers.domain.receipts import DeliveryEvent, Kind
from notify_providers.domain.routing import Why
from notify_providers.store.tables import (
    LEASE_SECONDS,
    attempts,
    delivery_events,
    dispatch_queue,
    dispatches,
    receipts,
)

_ID = id_type()
# looking a member up by its value costs a third of making it from it
_CHANNELS: Final = {channel.value: channel for channel in Channel}
_STATES: Final = {state.value: state for state in State}
_KINDS: Final = {kind.value: kind for kind in Kind}
_KEY_TYPES: Final = {key_type.value: key_type for key_type in KeyType}
_DAY: sa.ColumnElement[timedelta] = sa.literal_column("interval '1 day'", sa.Interval)
_SECOND: sa.ColumnElement[timedelta] = sa.literal_column("interval '1 second'", sa.Interval)


@record()
class Due:
    """A claimed dispatch with its content as it is stored.

    Attributes:
        attempt: which try it is claimed for, from 1.
        seconds_left: until no provider is called any more, by the database's clock; None for no end.
        row: the claimed row, for the queue.
    """

    id: str
    service_id: str
    key_type: KeyType
    channel: Channel
    content: Mapping[str, Any]
    attempt: int
    seconds_left: float | None
    lease_token: str
    request_id: str
    traceparent: str
    row: Any


@record()
class Locked:
    """A dispatch that nobody else changes until the transaction ends. An unclaimed one has no lease token."""

    id: str
    channel: Channel
    state: State
    attempt: int
    lease_token: str | None
    request_id: str


@record()
class Change:
    """The new state of a dispatch. `delay` is the seconds until its next try, None if none follows.

    It comes up at its `deliver_by` if that is earlier.

    `content` is kept while a try may follow, in doubt included.
    """

    id: str
    state: State
    delay: float | None
    keeps_content: bool


@record()
class Event:
    """A delivery event to append. `provider` is empty if none was called."""

    dispatch_id: str
    channel: Channel
    kind: Kind
    provider: str


def _insert_new() -> sa.Insert:
    rows = unnest_later("new", _NEW)
    stored: dict[str, sa.ColumnElement[Any]] = {column.key: column for column in rows.c}
    stored["expire_time"] = sa.func.now() + rows.c.expire_time * _DAY
    return insert(dispatches).from_select(list(stored), sa.select(*stored.values())).on_conflict_do_nothing()


_NEW: Final[Types] = {
    "id": _ID,
    "service_id": _ID,
    "key_type": sa.Text(),
    "channel": sa.Text(),
    "content": JSONB(),
    "request_id": sa.Text(),
    "traceparent": sa.Text(),
    "lane": sa.Text(),
    "expire_time": sa.Integer(),
    "deliver_by": sa.DateTime(timezone=True),
}
_INSERT_NEW: Final = prepared(_insert_new())


def insert_new(conn: Tx, new: Sequence[NewDispatch]) -> int:
    """Insert those whose id is not known yet, due at once, and returns how many they were. One statement.

    The statement is made once and holds no rows: one that did would keep them until the garbage collector
    comes by, 25 MiB in the course of a print run.
    """
    rows = [
        (
            d.id,
            d.service_id,
            d.key_type,
            d.channel,
            content_to_json(d.content),
            d.request_id,
            d.traceparent,
            d.lane,
            d.retention_days,
            d.deliver_by,
        )
        for d in new
    ]
    return conn.execute(_INSERT_NEW, columns_given("new", _NEW, rows)).rowcount


def claim_due(conn: Tx, channel: Channel, limit: int) -> list[Due]:
    """Lease up to `limit` due dispatches of a channel and return them whole.

    In fair shares of lanes and services, the fastest lane first.
    """
    return [
        Due(
            id=row.id,
            service_id=row.service_id,
            key_type=_KEY_TYPES[row.key_type],
            channel=channel,
            content=row.content,
            attempt=row.attempt,
            seconds_left=_seconds_left(row),
            lease_token=row.lease_token,
            request_id=row.request_id or "",
            traceparent=row.traceparent or "",
            row=row,
        )
        for row in dispatch_queue.claim(conn, limit, channel=channel)
    ]


def _seconds_left(row: Row[Any]) -> float | None:
    """Return how long a row that was claimed just now may still be sent; its lease says when now is."""
    if row.deliver_by is None:
        return None
    left: timedelta = row.deliver_by - (row.leased_until - timedelta(seconds=LEASE_SECONDS))
    return left.total_seconds()


def park(conn: Tx, due: Due, reason: str) -> None:
    """Take a claimed dispatch out of the queue for an operator to look at."""
    dispatch_queue.park(conn, [due.row], reason)


_LOCK: Final = prepared(
    sa.select(
        dispatches.c.id,
        dispatches.c.channel,
        dispatches.c.state,
        dispatches.c.attempt,
        dispatches.c.lease_token,
        sa.func.coalesce(dispatches.c.request_id, ""),
    )
    .where(one_of(dispatches.c.id, "ids"))
    .order_by(dispatches.c.id)
    .with_for_update()
)


def lock(conn: Tx, ids: Sequence[str]) -> dict[str, Locked]:
    """Lock dispatches until the transaction ends, in the order of their ids, and return them by id."""
    return {
        id: Locked(id, _CHANNELS[channel], _STATES[state], *rest)
        for id, channel, state, *rest in conn.execute(_LOCK, {"ids": list(ids)}).all()
    }


_CHANGES: Final[Types] = {
    "id": _ID,
    "state": sa.Text(),
    "delay": sa.Float(),
    "keeps_content": sa.Boolean(),
}


def _change_states() -> sa.Update:
    new = unnest_later("new", _CHANGES)
    later = sa.func.now() + new.c.delay * _SECOND
    is_ahead = sa.and_(dispatches.c.deliver_by > sa.func.now(), later.is_not(None))
    return (
        sa.update(dispatches)
        .values(
            state=new.c.state,
            due_at=sa.func.least(later, sa.case((is_ahead, dispatches.c.deliver_by))),
            leased_until=None,
            lease_token=None,
            parked_at=None,
            park_reason=None,
            content=sa.case((new.c.keeps_content, dispatches.c.content)),
        )
        .where(dispatches.c.id == new.c.id)
    )


_CHANGE_STATES: Final = prepared(_change_states())


def change_states(conn: Tx, changes: Sequence[Change]) -> None:
    """Write new states and ends the leases. The rows must be locked or leased by this transaction."""
    if changes:
        rows = [(c.id, c.state, c.delay, c.keeps_content) for c in changes]
        conn.execute(_CHANGE_STATES, columns_given("new", _CHANGES, rows))


@record()
class Mark:
    """An attempt to mark. `address_hash` is of whom the message is for; None for a letter."""

    dispatch_id: str
    number: int
    provider: str
    choice: Why
    address_hash: bytes | None


_MARKS: Final[Types] = {
    "dispatch_id": _ID,
    "number": sa.Integer(),
    "provider": sa.Text(),
    "choice": sa.Text(),
    "address_hash": sa.LargeBinary(),
}
_INSERT_ATTEMPTS: Final = prepared(
    sa.insert(attempts).from_select(list(_MARKS), sa.select(*unnest_later("new", _MARKS).c))
)


def insert_attempts(conn: Tx, started: Sequence[Mark]) -> None:
    """Mark attempts as begun. Commit before the provider is called."""
    if started:
        rows = [(m.dispatch_id, m.number, m.provider, m.choice, m.address_hash) for m in started]
        conn.execute(_INSERT_ATTEMPTS, columns_given("new", _MARKS, rows))


def insert_unsent(conn: Tx, ended: Sequence[tuple[str, int, str]]) -> None:
    """Note attempts (dispatch id, number, reason) that were none, since nobody is called for the message."""
    if not ended:
        return
    new = unnest("new", {"dispatch_id": _ID, "number": sa.Integer(), "reason": sa.Text()}, ended)
    rows = sa.select(*new.c, sa.literal(""), sa.func.now(), sa.literal(Outcome.REFUSED.value))
    columns = ["dispatch_id", "number", "reason", "provider", "end_time", "outcome"]
    conn.execute(sa.insert(attempts).from_select(columns, rows))


_ENDED: Final[Types] = {
    "dispatch_id": _ID,
    "number": sa.Integer(),
    "outcome": sa.Text(),
    "reason": sa.Text(),
}


def _end_attempts() -> sa.Update:
    ended = unnest_later("ended", _ENDED)
    return (
        sa.update(attempts)
        .values(end_time=sa.func.now(), outcome=ended.c.outcome, reason=ended.c.reason)
        .where(attempts.c.dispatch_id == ended.c.dispatch_id, attempts.c.number == ended.c.number)
    )


_END_ATTEMPTS: Final = prepared(_end_attempts())


def end_attempts(conn: Tx, results: Sequence[CallResult]) -> None:
    """Record outcomes. What a provider said wins over an earlier note that nobody knows."""
    rows = [(r.dispatch_id, r.attempt, r.outcome, r.reason) for r in results]
    conn.execute(_END_ATTEMPTS, columns_given("ended", _ENDED, rows))


def close_open_attempts(conn: Tx, ids: Sequence[str]) -> None:
    """End attempts that nobody will end any more: their outcome is unknown."""
    conn.execute(
        sa.update(attempts)
        .values(end_time=sa.func.now(), outcome=Outcome.UNKNOWN, reason=PROCESS_DIED)
        .where(attempts.c.dispatch_id == sa.any_(id_array(ids)), attempts.c.outcome.is_(None))
    )


def earlier_attempts(conn: Tx, ids: Sequence[str]) -> dict[str, list[EarlierAttempt]]:
    """Return the ended attempts of dispatches by dispatch id, first one first."""
    age = sa.func.extract("epoch", sa.func.now() - attempts.c.start_time)
    rows = conn.execute(
        sa.select(
            attempts.c.dispatch_id,
            attempts.c.provider,
            attempts.c.outcome,
            attempts.c.reason,
            age.label("age"),
        )
        .where(attempts.c.dispatch_id == sa.any_(id_array(ids)), attempts.c.outcome.is_not(None))
        .order_by(attempts.c.dispatch_id, attempts.c.number)
    )
    found: dict[str, list[EarlierAttempt]] = {}
    for row in rows:
        earlier = EarlierAttempt(row.provider, Outcome(row.outcome), row.reason, float(row.age))
        found.setdefault(row.dispatch_id, []).append(earlier)
    return found


def providers_called(conn: Tx, ids: Sequence[str]) -> set[tuple[str, str]]:
    """Return which of the dispatches were ever begun to be handed to which provider."""
    rows = conn.execute(
        sa.select(attempts.c.dispatch_id, attempts.c.provider).where(
            attempts.c.dispatch_id == sa.any_(id_array(ids))
        )
    )
    return {(row.dispatch_id, row.provider) for row in rows}


_EVENTS: Final[Types] = {
    "place": sa.Integer(),
    "dispatch_id": _ID,
    "channel": sa.Text(),
    "kind": sa.Text(),
    "provider": sa.Text(),
}


def _append_events() -> sa.Insert:
    new = unnest_later("new", _EVENTS)
    columns = [column for column in new.c if column.key != "place"]
    chosen = sa.select(*columns).order_by(new.c.place)
    return sa.insert(delivery_events).from_select([column.key for column in columns], chosen)


_APPEND_EVENTS: Final = prepared(_append_events())


def append_events(conn: Tx, events: Sequence[Event]) -> None:
    """Append delivery events in their order."""
    if events:
        rows = [(place, e.dispatch_id, e.channel, e.kind, e.provider) for place, e in enumerate(events)]
        conn.execute(_APPEND_EVENTS, columns_given("new", _EVENTS, rows))


def list_events(
    conn: Tx, cursor: str, limit: int, channels: Sequence[Channel]
) -> tuple[list[DeliveryEvent], str]:
    """Return a page of the feed, events of other channels left out, and the cursor behind the page.

    A page may hold fewer events than there are, none even, and its cursor still moves on.
    """
    rows, next_cursor = read_feed(conn, delivery_events, cursor, limit)
    events = [
        DeliveryEvent(row.dispatch_id, _CHANNELS[row.channel], _KINDS[row.kind], row.provider, row.event_time)
        for row in rows
        if not channels or row.channel in channels
    ]
    return events, next_cursor


def trim(conn: Tx, limit: int = 5000) -> int:
    """Delete up to `limit` sent and failed dispatches whose time is over, with their attempts and receipts.

    Return how many.
    """
    old = (
        sa.select(dispatches.c.id)
        .where(dispatches.c.expire_time < sa.func.now(), dispatches.c.state.in_((State.SENT, State.FAILED)))
        .order_by(dispatches.c.expire_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    parts = [
        sa.delete(table).where(table.c.dispatch_id == old.c.id).cte(f"trimmed_{table.name}")
        for table in (attempts, receipts)
    ]
    return conn.execute(sa.delete(dispatches).where(dispatches.c.id == old.c.id).add_cte(*parts)).rowcount


def lock_overdue(conn: Tx, limit: int = 500) -> list[tuple[str, Channel]]:
    """Lock up to `limit` dispatches whose time is over and that are neither sent nor failed.

    Return their ids and channels. One with a call under way is left out.
    """
    free = sa.or_(dispatches.c.leased_until.is_(None), dispatches.c.leased_until < sa.func.now())
    rows = conn.execute(
        sa.select(dispatches.c.id, dispatches.c.channel)
        .where(
            dispatches.c.expire_time < sa.func.now(),
            dispatches.c.state.in_((State.QUEUED, State.IN_DOUBT)),
            free,
        )
        .order_by(dispatches.c.expire_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [(row.id, Channel(row.channel)) for row in rows]


def get(conn: Tx, service_id: str, dispatch_id: str) -> Dispatch | None:
    """Return a dispatch of a service."""
    row = conn.execute(
        _listed().where(dispatches.c.id == dispatch_id, dispatches.c.service_id == service_id)
    ).one_or_none()
    return None if row is None else _dispatch(row)


def list_attempts(conn: Tx, dispatch_id: str, limit: int) -> list[Attempt]:
    """Return the attempts of a dispatch, first one first."""
    rows = conn.execute(
        sa.select(attempts)
        .where(attempts.c.dispatch_id == dispatch_id)
        .order_by(attempts.c.number)
        .limit(limit)
    )
    return [
        Attempt(
            number=row.number,
            provider=row.provider,
            start_time=row.start_time,
            end_time=row.end_time,
            outcome=Outcome(row.outcome) if row.outcome else None,
            reason=row.reason,
            choice=row.choice,
        )
        for row in rows
    ]


def list_in_state(conn: Tx, state: State, after: tuple[datetime, str] | None, limit: int) -> list[Dispatch]:
    """Return dispatches in a state, oldest first, from behind `after` on."""
    statement = _listed().where(dispatches.c.state == state)
    if after is not None:
        position = sa.tuple_(sa.literal(after[0]), sa.literal(after[1], _ID))
        statement = statement.where(sa.tuple_(dispatches.c.create_time, dispatches.c.id) > position)
    ordered = statement.order_by(dispatches.c.create_time, dispatches.c.id).limit(limit)
    return [_dispatch(row) for row in conn.execute(ordered)]


def queue_again(conn: Tx, dispatch_id: str) -> None:
    """Make a dispatch in doubt due at once and notes at the attempt in question that somebody decided so."""
    conn.execute(
        sa.update(attempts)
        .values(reason=RELEASED)
        .where(attempts.c.dispatch_id == dispatch_id, attempts.c.outcome == Outcome.UNKNOWN)
    )
    change_states(conn, [Change(dispatch_id, State.QUEUED, 0.0, keeps_content=True)])


def _listed() -> sa.Select[Any]:
    return sa.select(*(column for column in dispatches.c if column.key != "content"))


def _dispatch(row: Row[Any]) -> Dispatch:
    return Dispatch(
        id=row.id,
        service_id=row.service_id,
        key_type=KeyType(row.key_type),
        state=State(row.state),
        create_time=row.create_time,
        request_id=row.request_id or "",
        traceparent=row.traceparent or "",
    )


def count_in_doubt(tx: Tx, most: int) -> int:
    """Return how many dispatches are in doubt, `most` at most."""
    some = sa.select(dispatches.c.id).where(dispatches.c.state == State.IN_DOUBT).limit(most).subquery()
    return int(tx.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())

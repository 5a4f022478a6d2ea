"""The queue of what services are told of over HTTP (design.md §3.3, §3.8 step 6)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from notify_common import current
from notify_common.db.arrays import id_array, unnest
from notify_common.db.unit_of_work import Tx
from notify_common.enums import CallbackType, Channel
from notify_common.leases.table import LeasedRow
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.callback import CallbackEvent, Told
from notify_notifications.domain.calls import CallbackState
from notify_notifications.domain.hand_over import lane_of
from notify_notifications.domain.notification import State
from notify_notifications.store.tables import callback_attempts, callback_queue, callbacks, notifications

_n = notifications.c
_c = callbacks.c
_TOLD: Final = (
    "channel",
    "reference",
    "recipient",
    "state",
    "create_time",
    "sent_time",
    "update_time",
    "template_version",
    "created_by_id",
)


def add(tx: Tx, events: Sequence[CallbackEvent]) -> None:
    """Queue events, in one statement; those that are there already stay as they are."""
    if not events:
        return
    names = ("id", "type", "lane", "service_id", "subject_id", "body")
    rows = [
        (one.id, one.type, lane_of(one.service_id), one.service_id, one.subject_id, one.body)
        for one in sorted(events, key=lambda one: one.id)
    ]
    given = unnest("given", {name: _c[name].type for name in names}, rows)
    origin = (sa.literal(current.request_id.get(), sa.Text), sa.literal(current.traceparent.get(), sa.Text))
    chosen = sa.select(*(given.c[name] for name in names), *origin)
    adding = insert(callbacks).from_select([*names, "request_id", "traceparent"], chosen)
    tx.execute(adding.on_conflict_do_nothing(index_elements=["id"]))


def told(tx: Tx, notification_ids: Sequence[str]) -> list[Told]:
    """Return what services are told of their messages, as these stand in this transaction."""
    query = sa.select(
        sa.cast(_n.id, sa.Text).label("id"),
        sa.cast(_n.service_id, sa.Text).label("service_id"),
        sa.cast(_n.template_id, sa.Text).label("template_id"),
        *(_n[name] for name in _TOLD),
    ).where(_n.id == sa.any_(id_array(notification_ids)))
    return [_told(row) for row in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class Due:
    """An event that a service is to be told of now, leased to whoever claimed it."""

    id: str
    service_id: str
    body: str = field(repr=False)
    due_at: datetime
    number: int
    """Of this attempt, counted through however often the event is told again."""
    attempts: int
    """This one included, since the event happened or it was last asked to be told again."""
    row: LeasedRow = field(repr=False)


def claim(tx: Tx, type: CallbackType, limit: int, without: Iterable[str]) -> list[Due]:
    """Lease up to `limit` due events in fair shares of services, but none of the services `without`."""
    return [
        Due(
            row.id,
            row.service_id,
            row.body,
            row.due_at,
            row.attempt,
            row.attempt - row.earlier_attempts,
            row,
        )
        for row in callback_queue.claim_without(list(without), tx, limit, type=type.value)
    ]


def give_back(tx: Tx, due: Sequence[Due]) -> None:
    """Give events back, due since as long as before, as if they had not been claimed."""
    each: dict[str, Sequence[object]] = {
        "attempt": [one.number - 1 for one in due],
        "due_at": [one.due_at for one in due],
    }
    callback_queue.set(tx, _rows(due), each=each)


def begin_attempts(tx: Tx, due: Sequence[Due]) -> None:
    """Note that calls are about to begin."""
    if not due:
        return
    names = ("callback_id", "number")
    given = unnest(
        "given",
        {name: callback_attempts.c[name].type for name in names},
        [(one.id, one.number) for one in due],
    )
    adding = insert(callback_attempts).from_select(names, sa.select(*(given.c[name] for name in names)))
    tx.execute(adding.on_conflict_do_nothing())


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended: a status, or a word on why there is none; and where its event stands then."""

    due: Due
    status: int
    failure: str
    state: CallbackState


def end_attempts(tx: Tx, ended: Sequence[Ended], retry_after: timedelta) -> None:
    """Record how calls ended; events that wait on are due again after `retry_after`."""
    names = ("callback_id", "number", "status", "failure")
    given = unnest(
        "given",
        {name: callback_attempts.c[name].type for name in names},
        [(one.due.id, one.due.number, one.status or None, one.failure) for one in ended],
    )
    a = callback_attempts.c
    tx.execute(
        sa.update(callback_attempts)
        .values(end_time=sa.func.now(), status=given.c.status, failure=given.c.failure)
        .where(a.callback_id == given.c.callback_id, a.number == given.c.number)
    )
    waiting = [one.due for one in ended if one.state is CallbackState.WAITING]
    callback_queue.fail(tx, _rows(waiting), "", callback_queue.max_attempts, retry_after)
    end(tx, [(one.due, one.state) for one in ended if one.state is not CallbackState.WAITING])


def end(tx: Tx, ended: Sequence[tuple[Due, CallbackState]]) -> None:
    """Take events out of the queue, where still leased; they are kept for a while."""
    states = {"state": [state.value for _, state in ended]}
    callback_queue.set(tx, _rows([due for due, _ in ended]), each=states, end_time=sa.func.now())


def park(tx: Tx, due: Sequence[Due], reason: str) -> None:
    """Take events out that can't be told at all, for an operator to look at."""
    callback_queue.park(tx, _rows(due), reason)


Position: TypeAlias = tuple[datetime, str]
"""Where an event stands in lists: when it happened, and its id."""


@dataclass(frozen=True, slots=True)
class Callback:
    """An event as it is shown: without what a service is told."""

    id: str
    service_id: str
    type: str
    subject_id: str
    state: CallbackState
    create_time: datetime
    end_time: datetime | None
    due_at: datetime | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a service."""

    number: int
    start_time: datetime
    end_time: datetime | None
    status: int | None
    failure: str


_SHOWN: Final = (
    sa.cast(_c.id, sa.Text).label("id"),
    sa.cast(_c.service_id, sa.Text).label("service_id"),
    _c.type,
    sa.cast(_c.subject_id, sa.Text).label("subject_id"),
    _c.state,
    _c.create_time,
    _c.end_time,
    _c.due_at,
    _c.attempt,
)
_MOST_ATTEMPTS: Final = 100


def get(tx: Tx, service_id: str, callback_id: str) -> Callback | None:
    """Return an event, if the service has it."""
    query = sa.select(*_SHOWN).where(_c.id == callback_id, _c.service_id == service_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else _callback(row)


def attempts(tx: Tx, callback_id: str) -> list[Attempt]:
    """Return the last 100 attempts of an event, oldest first."""
    a = callback_attempts.c
    columns = (a.number, a.start_time, a.end_time, a.status, a.failure)
    query = sa.select(*columns).where(a.callback_id == callback_id)
    rows = tx.execute(query.order_by(a.number.desc()).limit(_MOST_ATTEMPTS)).all()
    return [Attempt(*row) for row in reversed(rows)]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which events of a service a list shows; what is empty means all."""

    type: str = ""
    subject_id: str = ""
    state: CallbackState | None = None


def page(tx: Tx, service_id: str, filters: Filters, before: Position | None, limit: int) -> list[Callback]:
    """Return up to `limit` events of a service, newest first."""
    wanted = [_c.service_id == service_id]
    wanted += [_c.type == filters.type] if filters.type else []
    wanted += [_c.subject_id == filters.subject_id] if filters.subject_id else []
    wanted += [_c.state == filters.state.value] if filters.state else []
    if before is not None:
        wanted.append(sa.tuple_(_c.create_time, _c.id) < sa.tuple_(*map(sa.literal, before)))
    query = sa.select(*_SHOWN).where(*wanted).order_by(_c.create_time.desc(), _c.id.desc()).limit(limit)
    return [_callback(row) for row in tx.execute(query)]


def ids_of_range(
    tx: Tx,
    service_id: str,
    type: str,
    start: datetime,
    end: datetime,
    with_delivered: bool,
    after: Position | None,
    limit: int,
) -> list[Position]:
    """Return up to `limit` events of a time that have come to an end, oldest first."""
    wanted = [_c.service_id == service_id, _c.create_time >= start, _c.create_time < end]
    wanted += [_c.end_time.is_not(None)]
    wanted += [_c.type == type] if type else []
    wanted += [] if with_delivered else [_c.state != CallbackState.DELIVERED.value]
    if after is not None:
        wanted.append(sa.tuple_(_c.create_time, _c.id) > sa.tuple_(*map(sa.literal, after)))
    query = sa.select(_c.create_time, sa.cast(_c.id, sa.Text)).where(*wanted)
    rows = tx.execute(query.order_by(_c.create_time, _c.id).limit(limit))
    return [(row[0], row[1]) for row in rows]


def replay_ids(tx: Tx, service_id: str, callback_ids: Sequence[str]) -> int:
    """Put events that have come to an end back into the queue, with all attempts; return how many."""
    locked = (
        sa.select(_c.id)
        .where(
            _c.id == sa.any_(id_array(callback_ids)), _c.service_id == service_id, _c.end_time.is_not(None)
        )
        .order_by(_c.id)
        .with_for_update()
        .cte("locked")
    )
    again = sa.update(callbacks).values(
        state=CallbackState.WAITING.value,
        end_time=None,
        due_at=sa.func.now(),
        earlier_attempts=_c.attempt,
        request_id=current.request_id.get(),
        traceparent=current.traceparent.get(),
    )
    return tx.execute(again.where(_c.id == locked.c.id)).rowcount


def _callback(row: Any) -> Callback:
    return Callback(**row._asdict() | {"state": CallbackState(row.state)})


def delete_before(tx: Tx, time: datetime, limit: int) -> dict[CallbackState, int]:
    """Delete up to `limit` events from before `time` with their attempts, none of them leased.

    Returns how many they were by the state in which they were.
    """
    unleased = sa.or_(_c.leased_until.is_(None), _c.leased_until <= sa.func.now())
    old = (
        sa.select(_c.id)
        .where(_c.create_time < time, unleased)
        .order_by(_c.create_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    gone = sa.delete(callbacks).where(_c.id == old.c.id).returning(_c.state).cte("gone")
    counts = sa.select(gone.c.state, sa.func.count()).group_by(gone.c.state)
    return {CallbackState(state): count for state, count in tx.execute(counts)}


def _rows(due: Sequence[Due]) -> list[LeasedRow]:
    return [one.row for one in due]


def _told(row: Any) -> Told:
    facts = row._asdict()
    return Told(**facts | {"channel": Channel(row.channel), "state": State(row.state)})

"""What operators see and do of the queues of one context. Every read is bounded, every change is kept."""

import json
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Row
from sqlalchemy.dialects.postgresql import insert

from notify_common import current, ids
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError
from notify_common.leases.table import NO_SERVICE, FairQueue, Queue
from notify_common.ops.tables import OpsTables

MOST_COUNTED: Final = 10_000
"""No number counts further, so that a look costs the same however much waits."""
MOST_SERVICES: Final = 250
"""Paused services of a queue that are named."""
COMMAND_LINE: Final = "command-line"
"""The caller of what is done by a command on the machine."""

_LEASE: Final = frozenset(
    {
        "due_at",
        "leased_until",
        "lease_token",
        "attempt",
        "parked_at",
        "park_reason",
        "request_id",
        "traceparent",
    }
)

Drop: TypeAlias = Callable[[Tx, Sequence[Row[Any]]], object]
"""Ends what rows stand for, in the transaction of the drop, and takes the rows out of the queue: deletes
them, or leaves them without `due_at` and `parked_at`."""


@dataclass(frozen=True, slots=True)
class OpsQueue:
    """A queue as operators know it.

    Attributes:
        queue: the queue; its table holds `pauses`.
        part: by column, which of the table's rows are this queue's, as its claims filter them.
        shown: names of columns that hold nothing personal, and are shown as they are.
        drop: gives parked rows up for good; None where what they stand for can't be given up one by one.
    """

    queue: Queue
    part: Mapping[str, str] = field(default_factory=dict)
    shown: AbstractSet[str] = frozenset()
    drop: Drop | None = None

    @property
    def name(self) -> str:
        """Its name: the table's, and where that holds several queues, a slash and which."""
        return self.queue.name_of(self.part)

    def key_of(self, row: Row[Any]) -> str:
        """Return the key of a row as operators write it."""
        return "/".join(str(row._mapping[name]) for name in self.queue.key_columns)


@dataclass(frozen=True, slots=True)
class Ops:
    """What a context declares: its tables and its queues, all of `queues` with the tables' `pauses`."""

    tables: OpsTables
    queues: Sequence[OpsQueue]

    def find(self, name: str) -> OpsQueue:
        """Return the queue of this name. Raises NotifyError QUEUE_NOT_FOUND."""
        for queue in self.queues:
            if queue.name == name:
                return queue
        raise NotifyError("QUEUE_NOT_FOUND")


@dataclass(frozen=True, slots=True)
class QueueState:
    """How a queue stands; no count is above MOST_COUNTED."""

    name: str
    due_count: int
    leased_count: int
    scheduled_count: int
    parked_count: int
    oldest_due_age: float
    paused: bool
    paused_service_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParkedCause:
    """Why rows were given up, of those that were longest ago."""

    cause: str
    count: int
    first_time: datetime
    last_time: datetime


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A row that was given up. `columns` are its other columns, masked."""

    key: str
    cause: str
    park_time: datetime
    attempt: int
    request_id: str
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker as it last said."""

    process: str
    name: str
    start_time: datetime
    beat_time: datetime
    busy_seconds: float
    handled_count: int
    failing: bool


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody changed, and why. `queue` is empty where it was of none; `id` is 0 until it is kept."""

    action: str
    queue: str
    caller: str
    reason: str
    service_id: str | None = None
    keys: tuple[str, ...] = ()
    cause: str = ""
    count: int = 0
    id: int = 0
    create_time: datetime | None = None
    request_id: str = ""


# --- reads


def queue_state(tx: Tx, tables: OpsTables, ops: OpsQueue) -> QueueState:
    """Return how a queue stands."""
    t, now = ops.queue.table, sa.func.now()
    mine = _part(ops)
    waits = sa.and_(t.c.due_at.is_not(None), t.c.parked_at.is_(None), *mine)
    due = sa.select(t.c.due_at).where(waits, t.c.due_at <= now).order_by(t.c.due_at).limit(MOST_COUNTED)
    later = (
        sa.select(t.c.leased_until)
        .where(waits, t.c.due_at > now)
        .order_by(t.c.due_at)
        .limit(MOST_COUNTED)
        .subquery()
    )
    first = due.subquery()
    age = sa.func.extract("epoch", now - sa.func.min(first.c.due_at))
    due_count, oldest = tx.execute(
        sa.select(sa.func.count(), sa.func.coalesce(age, 0)).select_from(first)
    ).one()
    leased = sa.func.count().filter(later.c.leased_until > now)
    leased_count, later_count = tx.execute(sa.select(leased, sa.func.count()).select_from(later)).one()
    p = tables.pauses
    paused = tx.execute(
        sa.select(p.c.service_id)
        .where(p.c.queue == ops.name)
        .order_by(p.c.service_id)
        .limit(MOST_SERVICES + 1)
    ).scalars()
    services = list(paused)
    return QueueState(
        name=ops.name,
        due_count=due_count,
        leased_count=leased_count,
        scheduled_count=later_count - leased_count,
        parked_count=parked_count(tx, ops),
        oldest_due_age=float(oldest),
        paused=NO_SERVICE in services,
        paused_service_ids=tuple(id for id in services if id != NO_SERVICE)[:MOST_SERVICES],
    )


def parked_count(tx: Tx, ops: OpsQueue) -> int:
    """Return how many rows of a queue are parked, at most MOST_COUNTED."""
    some = sa.select(ops.queue.table.c.parked_at).where(*_parked(ops)).limit(MOST_COUNTED).subquery()
    return int(tx.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())


def parked_causes(tx: Tx, ops: OpsQueue) -> list[ParkedCause]:
    """Return why rows are parked, the most frequent first, of the MOST_COUNTED that were longest ago."""
    t = ops.queue.table
    some = (
        sa.select(t.c.park_reason, t.c.parked_at)
        .where(*_parked(ops))
        .order_by(t.c.parked_at)
        .limit(MOST_COUNTED)
        .subquery()
    )
    cause = sa.func.coalesce(some.c.park_reason, "").label("cause")
    count = sa.func.count().label("number")
    rows = tx.execute(
        sa.select(cause, count, sa.func.min(some.c.parked_at), sa.func.max(some.c.parked_at))
        .group_by(cause)
        .order_by(count.desc(), cause)
    )
    return [ParkedCause(*row) for row in rows]


def parked_rows(
    tx: Tx, ops: OpsQueue, cause: str, after: tuple[datetime, str] | None, limit: int
) -> list[ParkedRow]:
    """Return parked rows, longest ago first, from behind `after` (time and key) on."""
    t = ops.queue.table
    keys = [t.c[name] for name in ops.queue.key_columns]
    wanted = [*_parked(ops), *_cause(ops, cause)]
    if after is not None:
        place = [sa.literal(after[0]), *_read_key(ops, after[1])]
        wanted.append(sa.tuple_(t.c.parked_at, *keys) > sa.tuple_(*place))
    columns = [*keys, t.c.park_reason, t.c.parked_at, t.c.attempt, t.c.request_id]
    rows = tx.execute(sa.select(*columns).where(*wanted).order_by(t.c.parked_at, *keys).limit(limit))
    return [_parked_row(ops, row) for row in rows]


def parked_row(tx: Tx, ops: OpsQueue, key: str) -> ParkedRow:
    """Return a parked row whole, masked. Raises NotifyError PARKED_ROW_NOT_FOUND."""
    t = ops.queue.table
    row = tx.execute(sa.select(t).where(*_parked(ops), _of_keys(ops, [key]))).one_or_none()
    if row is None:
        raise NotifyError("PARKED_ROW_NOT_FOUND")
    shown = ops.shown | set(ops.queue.key_columns) | set(ops.part)
    columns = {
        name: json.dumps(value if name in shown else mask(value), default=str, ensure_ascii=False)
        for name, value in row._mapping.items()
        if name not in _LEASE
    }
    return _parked_row(ops, row, columns)


def mask(value: Any) -> Any:
    """Return a value with everything in it replaced that may be personal; its shape stays.

    Names of members stay too: what is stored here has those that we gave it.
    """
    match value:
        case None | bool():
            return value
        case str():
            return f"<text of {len(value)}>"
        case int() | float():
            return "<number>"
        case bytes() | memoryview():
            return f"<{len(value)} bytes>"
        case dict():
            return {name: mask(inner) for name, inner in value.items()}
        case list() | tuple():
            return [mask(inner) for inner in value]
        case _:
            return f"<{type(value).__name__}>"


def list_workers(tx: Tx, tables: OpsTables) -> list[WorkerState]:
    """Return the workers that said within a day that they run, by process and name; at most MOST_COUNTED."""
    w = tables.workers
    rows = tx.execute(
        sa.select(w)
        .where(w.c.beat_time > sa.func.now() - timedelta(days=1))
        .order_by(w.c.process, w.c.name)
        .limit(MOST_COUNTED)
    )
    return [WorkerState(**row._mapping) for row in rows]


def list_actions(tx: Tx, tables: OpsTables, before: int | None, limit: int) -> list[Action]:
    """Return what was changed, last change first, from behind the one with the id `before` on."""
    a = tables.actions
    wanted = sa.select(a) if before is None else sa.select(a).where(a.c.id < before)
    rows = tx.execute(wanted.order_by(a.c.id.desc()).limit(limit))
    return [Action(**{**row._mapping, "keys": tuple(row._mapping["keys"])}) for row in rows]


# --- changes, each kept in its own transaction


def pause(tx: Tx, ops: Ops, queue: str, service_id: str, caller: str, reason: str) -> None:
    """Keep workers from a queue, or from one service's rows in it; again, it changes nothing.

    Raises:
        NotifyError: QUEUE_NOT_FOUND; SERVICE_NOT_PAUSABLE, the queue is not shared out between services.
    """
    found = ops.find(queue)
    if service_id and not isinstance(found.queue, FairQueue):
        raise NotifyError("SERVICE_NOT_PAUSABLE")
    row = insert(ops.tables.pauses).values(queue=queue, service_id=service_id or NO_SERVICE)
    count = tx.execute(row.on_conflict_do_nothing()).rowcount
    keep_action(tx, ops.tables, Action("pause", queue, caller, reason, service_id or None, count=count))


def resume(tx: Tx, ops: Ops, queue: str, service_id: str, caller: str, reason: str) -> None:
    """End a pause; where there is none, it changes nothing. Raises NotifyError QUEUE_NOT_FOUND."""
    p = ops.tables.pauses
    ops.find(queue)
    mine = sa.and_(p.c.queue == queue, p.c.service_id == (service_id or NO_SERVICE))
    count = tx.execute(sa.delete(p).where(mine)).rowcount
    keep_action(tx, ops.tables, Action("resume", queue, caller, reason, service_id or None, count=count))


def redrive(
    tx: Tx,
    ops: Ops,
    queue: str,
    caller: str,
    reason: str,
    *,
    keys: Sequence[str] = (),
    cause: str = "",
    rows_per_second: int = 0,
    limit: int = 1_000,
) -> int:
    """Put parked rows back into their queue, and return how many.

    They have all attempts again, unless their queue counts on. Those that somebody else is changing are left.

    Args:
        keys: which; without any, those parked longest ago.
        cause: only those parked for this reason.
        rows_per_second: how many come up in a second, those parked longest ago first; 0: all at once.

    Raises:
        NotifyError: QUEUE_NOT_FOUND.
    """
    found = ops.find(queue)
    rows = _take(tx, found, keys, cause, limit)
    delays = [place / rows_per_second if rows_per_second else 0.0 for place in range(len(rows))]
    count = found.queue.put_back(tx, rows, delays)
    keep_action(tx, ops.tables, Action("redrive", queue, caller, reason, None, tuple(keys), cause, count))
    return count


def drop(
    tx: Tx,
    ops: Ops,
    queue: str,
    caller: str,
    reason: str,
    *,
    keys: Sequence[str] = (),
    cause: str = "",
    limit: int = 250,
) -> int:
    """Give parked rows up for good, as their context ends what they stand for; return how many.

    Raises:
        NotifyError: QUEUE_NOT_FOUND, ROWS_NOT_DROPPABLE.
    """
    found = ops.find(queue)
    if found.drop is None:
        raise NotifyError("ROWS_NOT_DROPPABLE")
    rows = _take(tx, found, keys, cause, limit)
    if rows:
        found.drop(tx, rows)
    action = Action("drop", queue, caller, reason, None, tuple(keys), cause, len(rows))
    keep_action(tx, ops.tables, action)
    return len(rows)


def _take(tx: Tx, ops: OpsQueue, keys: Sequence[str], cause: str, limit: int) -> list[Row[Any]]:
    """Lock parked rows, those parked longest ago first, and return them whole."""
    t = ops.queue.table
    wanted = [*_parked(ops), *_cause(ops, cause)]
    if keys:
        wanted.append(_of_keys(ops, keys))
    order = [t.c.parked_at, *(t.c[name] for name in ops.queue.key_columns)]
    statement = sa.select(t).where(*wanted).order_by(*order).limit(limit)
    return list(tx.execute(statement.with_for_update(skip_locked=True)))


def keep_action(tx: Tx, tables: OpsTables, action: Action) -> None:
    """Keep that somebody changed something, in the transaction of the change."""
    tx.execute(
        sa.insert(tables.actions).values(
            action=action.action,
            queue=action.queue,
            caller=action.caller,
            request_id=current.request_id.get(),
            reason=action.reason,
            service_id=action.service_id,
            keys=list(action.keys),
            cause=action.cause,
            count=action.count,
        )
    )


# --- rows


def _part(ops: OpsQueue) -> list[ColumnElement[bool]]:
    return [ops.queue.table.c[name] == value for name, value in ops.part.items()]


def _parked(ops: OpsQueue) -> list[ColumnElement[bool]]:
    return [ops.queue.table.c.parked_at.is_not(None), *_part(ops)]


def _cause(ops: OpsQueue, cause: str) -> list[ColumnElement[bool]]:
    return [ops.queue.table.c.park_reason == cause] if cause else []


def _of_keys(ops: OpsQueue, keys: Sequence[str]) -> ColumnElement[bool]:
    columns = [ops.queue.table.c[name] for name in ops.queue.key_columns]
    return sa.tuple_(*columns).in_([sa.tuple_(*_read_key(ops, key)) for key in keys])


def _read_key(ops: OpsQueue, key: str) -> list[ColumnElement[Any]]:
    """Read what `key_of` wrote. Raises NotifyError PARKED_ROW_NOT_FOUND for what no row can have."""
    columns = [ops.queue.table.c[name] for name in ops.queue.key_columns]
    parts = key.split("/")
    if len(parts) != len(columns):
        raise NotifyError("PARKED_ROW_NOT_FOUND")
    values: list[ColumnElement[Any]] = []
    for column, part in zip(columns, parts, strict=True):
        if isinstance(column.type, sa.Integer):
            if not (part.isascii() and part.isdigit() and len(part) < 10):
                raise NotifyError("PARKED_ROW_NOT_FOUND")
            values.append(sa.literal(int(part), column.type))
        else:
            if not ids.is_uuid(part):
                raise NotifyError("PARKED_ROW_NOT_FOUND")
            values.append(sa.literal(part, column.type))
    return values


def _parked_row(ops: OpsQueue, row: Row[Any], columns: Mapping[str, str] | None = None) -> ParkedRow:
    return ParkedRow(
        key=ops.key_of(row),
        cause=row.park_reason or "",
        park_time=row.parked_at,
        attempt=row.attempt,
        request_id=row.request_id or "",
        columns=columns or {},
    )

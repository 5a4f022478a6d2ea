"""Leased rows: a table that is a work queue (design.md §3.3).

A row is due at `due_at`. A worker claims due rows for a while; the lease keeps other workers off. Finishing
happens in the same transaction as the effect and only where the lease is still the worker's own, which the
lease token tells. A claimed row is due again when its lease ends, so that what dead workers left behind comes
up again by itself, and leased rows are in nobody's way. All times are the database's, so that the clocks of
the workers' machines don't matter.

Where services fill a queue it is a `FairQueue`: a claim is divided between lanes and services.
"""

import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import CTE, Column, ColumnElement, Connection, Executable, FromClause, Index, Row, Table

from notify_common.db.arrays import array_text, columns_given, unnest, unnest_later
from notify_common.db.columns import id_column, id_type
from notify_common.db.prepared import prepared
from notify_common.enums import Lane
from notify_common.leases.shares import PLACES, Shares, Tenant, Walk, divide_again

LeasedRow: TypeAlias = Row[Any]
"""A row that a claim returned: what the queue's other methods know it by."""

MAX_CLAIM = 500
NO_SERVICE = "00000000-0000-0000-0000-000000000000"
"""The service of rows that were queued before queues knew any."""

_MOST_MEASURED = 1_000
"""Services of a lane that are looked at to find the row due longest."""
_MOST_LOOKS = 4
"""Looks round the rings in one claim, where many services wait for a later time only."""


def lease_columns() -> list[Column[Any]]:
    """Return columns that make a table a queue; add them to the table's own, and after it `due_index` (or one
    that begins with the columns that claims filter by) and `parked_index`.
    """
    instant = sa.DateTime(timezone=True)
    return [
        # null: not waiting for any work
        Column("due_at", instant, server_default=sa.func.now()),
        Column("leased_until", instant),
        id_column("lease_token"),
        Column("attempt", sa.Integer, nullable=False, server_default="0"),
        Column("parked_at", instant),
        Column("park_reason", sa.Text),
        Column("request_id", sa.Text),
        Column("traceparent", sa.Text),
    ]


def lane_column() -> Column[Any]:
    """Return the column by which a `FairQueue` divides its claims between lanes."""
    return Column("lane", sa.Text, nullable=False, server_default=Lane.API.value)


def due_index(table: Table) -> Index:
    """Return the index that claims run on: waiting rows only, by `due_at`."""
    return Index(f"ix_{table.name}_due", table.c.due_at, postgresql_where=_in_queue(table))


def fair_index(table: Table, *filters: str) -> Index:
    """Return the index that claims of a `FairQueue` run on, beside that of `due_at`.

    Args:
        filters: names of the columns that claims filter by.
    """
    columns = [table.c[name] for name in (*filters, "lane", "service_id", "due_at")]
    return Index(f"ix_{table.name}_fair", *columns, postgresql_where=_in_queue(table))


def parked_index(table: Table) -> Index:
    """Return the index that parked rows are counted on: they are few, however many rows the table keeps."""
    return Index(
        f"ix_{table.name}_parked", table.c.parked_at, postgresql_where=table.c.parked_at.is_not(None)
    )


class Queue:
    """One kind of work on a table with `lease_columns`.

    Args:
        table: the table.
        key_columns: names of the columns that identify a row.
        lease_seconds: how long a claim lasts; longer than the slowest batch.
        max_attempts: a row that was claimed this often without being finished is parked.
        retry_base_seconds: delay after the first failure; doubles with each, with jitter.
        retry_cap_seconds: longest delay.
        counts_on: whether rows that come back from parking go on counting their attempts: for tables whose
            tries are numbered by them.
        pauses: the context's table of pauses (`ops.tables`), which claims look at; without it the queue can't
            be paused.
        free: condition besides on the rows that are claimed.
        marks: what a claim writes, in place of a lease, by column name: for work that another hand leases.
        also_marks: what a claim writes beside its lease.
    """

    def __init__(
        self,
        table: Table,
        key_columns: Sequence[str],
        lease_seconds: float = 30,
        *,
        max_attempts: int = 20,
        retry_base_seconds: float = 1,
        retry_cap_seconds: float = 600,
        counts_on: bool = False,
        pauses: Table | None = None,
        free: ColumnElement[bool] | None = None,
        marks: Mapping[str, ColumnElement[Any]] | None = None,
        also_marks: Mapping[str, ColumnElement[Any]] | None = None,
    ) -> None:
        self.table = table
        self.key_columns = tuple(key_columns)
        self.max_attempts = max_attempts
        self._lease = timedelta(seconds=lease_seconds)
        self._base = retry_base_seconds
        self._cap = retry_cap_seconds
        self._counts_on = counts_on
        self._pauses = pauses
        self._free = sa.true() if free is None else free
        self._keys = [table.c[name] for name in self.key_columns]
        self._place: ColumnElement[Any] = sa.literal_column(f"{table.name}.ctid")
        ends = sa.func.now() + self._lease
        self._marks = marks or {
            "due_at": ends,
            "leased_until": ends,
            "lease_token": sa.bindparam("new_token", type_=id_type()),
            "attempt": table.c.attempt + 1,
            **(also_marks or {}),
        }
        self._claim_statement = cache(self._make_claim_statement)
        self._waiting_statement = cache(self._make_waiting_statement)
        self._held_types = {name: table.c[name].type for name in (*self.key_columns, "lease_token")}
        held = unnest_later("held", self._held_types)
        self._finish = prepared(sa.delete(table).where(self._still_ours(held)))

    def name_of(self, filters: Mapping[str, object]) -> str:
        """Return the name by which operators know the rows that claims filter by `filters` take: the table's,
        and the values of the filters behind slashes. Keys don't count: a row alone is no queue.
        """
        parts = [str(value) for name, value in filters.items() if name not in self.key_columns]
        return "/".join([self.table.name, *parts])

    def claim(self, conn: Connection, limit: int = MAX_CLAIM, **filters: object) -> list[LeasedRow]:
        """Lease up to `limit` (at most 500) due rows, those due longest first, and return them whole.

        None while the queue is paused. No two claims get the same row while its lease lasts. `attempt` of the
        rows counts this claim, `due_at` says since when they were due. A row that used up its attempts
        without a word from its worker (which it may have killed) is parked, not returned. `filters` are
        equalities on columns of the table.
        """
        rows = self._take(conn, self._claim_statement(*filters), filters, at_most=min(limit, MAX_CLAIM))
        return sorted(rows, key=lambda row: row.due_at)

    def claim_row(self, conn: Connection, **key: object) -> LeasedRow | None:
        """Lease the row with this key and return it whole; None where it is not due, leased or parked."""
        return next(iter(Queue.claim(self, conn, 1, **key)), None)

    def _take(
        self, conn: Connection, statement: Executable, filters: Mapping[str, object], **values: object
    ) -> list[LeasedRow]:
        """Run a claim's statement, park what used up its attempts and return the rest."""
        parameters = {f"only_{name}": value for name, value in filters.items()} | values
        parameters |= {"queue_name": self.name_of(filters), "new_token": str(uuid.uuid4())}
        rows = conn.execute(statement, parameters).all()
        exhausted = [row for row in rows if row.attempt > self.max_attempts]
        if exhausted:
            self.park(conn, exhausted, "no worker finished it")
        return [row for row in rows if row.attempt <= self.max_attempts]

    def _make_claim_statement(self, *filters: str) -> Executable:
        """Return the statement of `claim`; kept, as polls of idle queues cost little else than making it."""
        t = self.table
        picked = (
            sa.select(*self._keys, t.c.due_at, self._place.label("place"))
            .where(self._waiting(), self._running(), *self._equal(filters))
            .order_by(t.c.due_at)
            .limit(sa.bindparam("at_most", type_=sa.Integer))
            .with_for_update(skip_locked=True)
        )
        return prepared(self._mark(picked.cte("picked")))

    def _mark(self, picked: CTE) -> Executable:
        """Write the marks of a claim to the rows picked and return them whole, `due_at` as it was.

        By the rows' places, which are an array: joined, a table of some size would be read whole.
        """
        t = self.table
        places = sa.func.array(sa.select(picked.c.place).scalar_subquery())
        mark = sa.update(t).values(self._marks).where(self._place == sa.any_(places))
        marked = mark.returning(*t.c).cte("marked")
        columns = [picked.c.due_at if column.name == "due_at" else marked.c[column.name] for column in t.c]
        same = (marked.c[key.name] == picked.c[key.name] for key in self._keys)
        return sa.select(*columns).join_from(marked, picked, sa.and_(*same))

    def _running(self) -> ColumnElement[bool]:
        """Return what is true unless the whole queue is paused."""
        if self._pauses is None:
            return sa.true()
        p = self._pauses
        name = sa.bindparam("queue_name", type_=sa.Text)
        return ~sa.select(p.c.queue).where(p.c.queue == name, p.c.service_id == NO_SERVICE).exists()

    def _equal(self, filters: Iterable[str]) -> list[ColumnElement[bool]]:
        return [self.table.c[name] == sa.bindparam(f"only_{name}") for name in filters]

    def finish(self, conn: Connection, rows: Sequence[LeasedRow]) -> int:
        """Delete the rows that are still ours and return how many they were.

        Call it in the transaction of the effect.
        """
        if not rows:
            return 0
        names = [*self.key_columns, "lease_token"]
        keys = [[row._mapping[name] for name in names] for row in rows]
        return conn.execute(self._finish, columns_given("held", self._held_types, keys)).rowcount

    def set(
        self,
        conn: Connection,
        rows: Sequence[LeasedRow],
        *,
        each: Mapping[str, Sequence[object]] | None = None,
        **values: object,
    ) -> int:
        """Write `values` to the rows that are still ours, end their leases and return how many they were.

        The rows leave the queue unless `due_at` is among the values. `each` holds, by column name, one value
        per row in the order of `rows`. Call it in the effect's transaction.
        """
        if not rows:
            return 0
        held = self._held(rows, each or {})
        changes: dict[str, Any] = {"due_at": None, "leased_until": None, "lease_token": None}
        changes |= {name: held.c[name] for name in each or {}}
        changes |= values
        return conn.execute(sa.update(self.table).values(changes).where(self._still_ours(held))).rowcount

    def fail(
        self,
        conn: Connection,
        rows: Sequence[LeasedRow],
        reason: str,
        max_attempts: int | None = None,
        retry_after: timedelta | None = None,
    ) -> int:
        """Give the rows that are still ours back for later, or park those that used up their attempts.

        Later is the base delay doubled per attempt up to the cap, times a random factor from 0.5 to 1.5 of
        each row's own, or exactly `retry_after`. Returns how many were parked.

        Args:
            reason: why, in words without personal data: it is kept with a parked row and shown to operators.
            max_attempts: in place of the queue's own number.
        """
        if not rows:
            return 0
        t = self.table
        held = self._held(rows)
        used_up = t.c.attempt >= (self.max_attempts if max_attempts is None else max_attempts)
        delay: Any = retry_after
        if retry_after is None:
            # the exponent is bounded so that the power can't overflow
            doubling = sa.func.power(
                2.0, sa.func.least(t.c.attempt - 1, math.ceil(math.log2(self._cap / self._base)))
            )
            seconds = sa.func.least(self._cap, self._base * doubling) * (0.5 + sa.func.random())
            delay = seconds * sa.literal(timedelta(seconds=1), sa.Interval)
        parked = conn.execute(
            sa.update(t)
            .values(
                due_at=sa.func.now() + delay,
                leased_until=None,
                lease_token=None,
                parked_at=sa.case((used_up, sa.func.now())),
                park_reason=sa.case((used_up, reason)),
            )
            .where(self._still_ours(held))
            .returning(t.c.parked_at.is_not(None))
        ).scalars()
        return sum(parked)

    def park(self, conn: Connection, rows: Sequence[LeasedRow], reason: str) -> int:
        """Take the rows that are still ours out of the queue for an operator to look at; return how many."""
        return self.fail(conn, rows, reason, max_attempts=0)

    def put_back(self, conn: Connection, rows: Sequence[LeasedRow], delays: Sequence[float]) -> int:
        """Put parked rows back into the queue, each due after its seconds, and return how many they were.

        They have all attempts again, unless the queue counts on.
        """
        if not rows:
            return 0
        t = self.table
        types = {**{name: t.c[name].type for name in self.key_columns}, "delay": sa.Float()}
        keys = ([row._mapping[name] for name in self.key_columns] for row in rows)
        back = unnest("back", types, [(*key, delay) for key, delay in zip(keys, delays, strict=True)])
        due_at = sa.func.now() + back.c.delay * sa.literal(timedelta(seconds=1), sa.Interval)
        attempt: Any = t.c.attempt if self._counts_on else 0
        return conn.execute(
            sa.update(t)
            .values(due_at=due_at, parked_at=None, park_reason=None, attempt=attempt)
            .where(t.c.parked_at.is_not(None), *(t.c[name] == back.c[name] for name in self.key_columns))
        ).rowcount

    def drop(self, conn: Connection, rows: Sequence[LeasedRow]) -> int:
        """Delete parked rows and return how many they were."""
        if not rows:
            return 0
        types = {name: self.table.c[name].type for name in self.key_columns}
        keys = [[row._mapping[name] for name in self.key_columns] for row in rows]
        gone = unnest("gone", types, keys)
        same = (self.table.c[name] == gone.c[name] for name in self.key_columns)
        return conn.execute(sa.delete(self.table).where(self.table.c.parked_at.is_not(None), *same)).rowcount

    def heartbeat(self, conn: Connection, rows: Sequence[LeasedRow]) -> int:
        """Begin the lease of the rows that are still ours anew and return how many they were."""
        if not rows:
            return 0
        held = self._held(rows)
        ends = sa.func.now() + self._lease
        extended = sa.update(self.table).values(due_at=ends, leased_until=ends)
        return conn.execute(extended.where(self._still_ours(held))).rowcount

    def oldest_due_ages(self, conn: Connection, **filters: object) -> dict[str, float]:
        """Return seconds that the row waiting longest has been due, by lane; 0 where none is.

        A queue without lanes has one, whose name is empty.

        Args:
            filters: column name -> value, as of `claim`.
        """
        t = self.table
        oldest = sa.select(sa.func.min(t.c.due_at)).where(
            t.c.due_at <= sa.func.now(), t.c.parked_at.is_(None), *self._equal(filters)
        )
        age = sa.func.extract("epoch", sa.func.now() - oldest.scalar_subquery())
        asked = {f"only_{name}": value for name, value in filters.items()}
        return {"": float(conn.execute(sa.select(sa.func.coalesce(age, 0)), asked).scalar_one())}

    def parked_count(self, conn: Connection, **filters: object) -> int:
        """Return how many rows are parked, of those that claims with these filters take: more than none is an
        alert.
        """
        parked = sa.select(sa.func.count()).select_from(self.table).where(self.table.c.parked_at.is_not(None))
        asked = {f"only_{name}": value for name, value in filters.items()}
        return int(conn.execute(parked.where(*self._equal(filters)), asked).scalar_one())

    def any_waiting(self, conn: Connection, **filters: object) -> bool:
        """Tell whether a row waits that a claim with these filters may take; a pause is not looked at."""
        asked = {f"only_{name}": value for name, value in filters.items()}
        return bool(conn.execute(self._waiting_statement(*filters), asked).scalar_one())

    def _make_waiting_statement(self, *filters: str) -> Executable:
        return prepared(sa.select(sa.exists().where(self._waiting(), *self._equal(filters))))

    def _waiting(self) -> ColumnElement[bool]:
        t = self.table
        unleased = sa.or_(t.c.leased_until.is_(None), t.c.leased_until <= sa.func.now())
        return sa.and_(t.c.due_at <= sa.func.now(), t.c.parked_at.is_(None), unleased, self._free)

    def _held(
        self, rows: Sequence[LeasedRow], each: Mapping[str, Sequence[object]] | None = None
    ) -> FromClause:
        names = [*self.key_columns, "lease_token"]
        each = each or {}
        types = {name: self.table.c[name].type for name in (*names, *each)}
        keys = ([row._mapping[name] for name in names] for row in rows)
        values = zip(*each.values(), strict=True) if each else [()] * len(rows)
        return unnest("held", types, [(*key, *more) for key, more in zip(keys, values, strict=True)])

    def _still_ours(self, held: FromClause) -> ColumnElement[bool]:
        ours = (self.table.c[name] == held.c[name] for name in (*self.key_columns, "lease_token"))
        return sa.and_(*ours)


class FairQueue(Queue):
    """A queue that services fill: no claim is one service's while others wait (`leases.shares`).

    Its table has a `lane_column`, a `service_id`, and a `fair_index` that begins with the columns that claims
    filter by, beside the index that a `Queue` has. What a claim costs does not depend on how many rows or
    services wait: it looks at no more services than it has rows to give, and the next claim looks further.
    """

    def __init__(self, table: Table, key_columns: Sequence[str], *args: Any, **options: Any) -> None:
        """Take what a `Queue` takes."""
        super().__init__(table, key_columns, *args, **options)
        self._shares: defaultdict[tuple[object, ...], Shares] = defaultdict(Shares)
        self._at_rest: set[tuple[object, ...]] = set()
        self._walk_statement = cache(self._make_walk_statement)
        self._fair_statement = cache(self._make_fair_statement)
        self._ages_statement = cache(self._make_ages_statement)

    def claim(self, conn: Connection, limit: int = MAX_CLAIM, **filters: object) -> list[LeasedRow]:
        """Lease rows as `Queue.claim` does, divided between lanes and services, the fastest lane first.

        Within a lane those due longest come first. Services that are paused get nothing.
        """
        return self.claim_without((), conn, limit, **filters)

    def claim_without(
        self, service_ids: Sequence[str], conn: Connection, limit: int = MAX_CLAIM, **filters: object
    ) -> list[LeasedRow]:
        """Lease rows as `claim` does, but none of these services."""
        left = min(limit, MAX_CLAIM)
        place = tuple(filters.items())
        # at rest nearly all claims find nothing, and planning the look round the rings is most of their cost
        if place in self._at_rest and not self.any_waiting(conn, **filters):
            return []
        shares = self._shares[place]
        rows: list[LeasedRow] = []
        for _ in range(_MOST_LOOKS):
            walks = self._walk(conn, shares, left, service_ids, filters)
            some = self._claim_of(conn, shares.divide(left, walks), filters)
            rows += some
            left -= len(some)
            if left == 0 or all(walk.whole for walk in walks.values()):
                break
        (self._at_rest.discard if rows else self._at_rest.add)(place)
        return sorted(rows, key=lambda row: (PLACES[row.lane], row.due_at))

    def oldest_due_ages(self, conn: Connection, **filters: object) -> dict[str, float]:
        """Return what `Queue.oldest_due_ages` does, of each lane, by at most 1,000 of its services."""
        asked: dict[str, object] = {f"only_{name}": value for name, value in filters.items()}
        asked |= {"lanes": [lane.value for lane in Lane], "most": _MOST_MEASURED}
        rows = conn.execute(self._ages_statement(*filters), asked)
        return {row.lane: float(row.age) for row in rows}

    def _claim_of(
        self, conn: Connection, quotas: Mapping[Tenant, int], filters: Mapping[str, object]
    ) -> list[LeasedRow]:
        """Claim by quotas, and give what some services leave to those who have more."""
        rows: list[LeasedRow] = []
        taken: Counter[Tenant] = Counter()
        # each round fills the claim or finds somebody's last row: at most about log4(rows * services) rounds
        while quotas:
            asked = {tenant: quota for tenant, quota in quotas.items() if quota}
            some = self._take(
                conn,
                self._fair_statement(*filters),
                filters,
                asked_lane=[tenant.lane.value for tenant in asked],
                asked_service_id=[tenant.service_id for tenant in asked],
                asked_quota=list(asked.values()),
            )
            rows += some
            counted = Counter([(row.lane, row.service_id) for row in some])
            got = {Tenant(Lane(lane), id): count for (lane, id), count in counted.items()}
            taken.update(got)
            quotas = divide_again(quotas, got, taken)
        return rows

    def _walk(
        self,
        conn: Connection,
        shares: Shares,
        steps: int,
        without: Sequence[str],
        filters: Mapping[str, object],
    ) -> dict[Lane, Walk]:
        """Look round each lane's ring of services, from where the last claim ended, for at most `steps`."""
        cursors = shares.cursors()
        parameters: dict[str, object] = {f"only_{name}": value for name, value in filters.items()}
        parameters |= {"lanes": [lane.value for lane in cursors]}
        parameters |= {"cursors": array_text(list(cursors.values())), "without": array_text(list(without))}
        if self._pauses is not None:
            parameters |= {"queue_name": self.name_of(filters)}
        found: dict[Lane, list[tuple[str, bool]]] = {lane: [] for lane in cursors}
        for row in conn.execute(self._walk_statement(*filters), parameters | {"steps": steps}):
            found[Lane(row.lane)].append((row.service_id, row.is_due))
        return {
            lane: Walk(
                [id for id, is_due in seen if is_due], seen[-1][0] if seen else None, len(seen) < steps
            )
            for lane, seen in found.items()
        }

    def _make_walk_statement(self, *filters: str) -> Executable:
        """Return a loose index scan: from each service one probe of the index leads to the next.

        Nothing is looked at where no row is due at all, which one probe of the other index tells.
        """
        waiting, first, order = self._probe(filters)
        whole, theirs = "", "AND ring.service_id <> ALL(CAST(:without AS uuid[]))"
        if self._pauses is not None:
            paused = f"SELECT FROM {self._pauses.name} p WHERE p.queue = :queue_name AND p.service_id ="
            whole = f"AND NOT EXISTS ({paused} '{NO_SERVICE}')"
            theirs += f" AND NOT EXISTS ({paused} ring.service_id)"
        statement = sa.text(f"""
            SELECT l.lane, ring.service_id::text AS service_id, ring.due_at <= now() {theirs} AS is_due
            FROM unnest(CAST(:lanes AS text[]), CAST(:cursors AS uuid[])) AS l (lane, cursor)
            CROSS JOIN LATERAL (
                WITH RECURSIVE ahead AS (
                    ({first} AND t.service_id > l.cursor {order})
                    UNION ALL
                    SELECT following.* FROM ahead
                    CROSS JOIN LATERAL ({first} AND t.service_id > ahead.service_id {order}) AS following
                ), behind AS (
                    ({first} AND t.service_id <= l.cursor {order})
                    UNION ALL
                    SELECT following.* FROM behind
                    CROSS JOIN LATERAL (
                        {first} AND t.service_id > behind.service_id AND t.service_id <= l.cursor {order}
                    ) AS following
                )
                SELECT * FROM ahead UNION ALL SELECT * FROM behind LIMIT :steps
            ) AS ring
            WHERE (SELECT t.due_at {waiting} ORDER BY t.due_at LIMIT 1) <= now() {whole}
        """)  # noqa: S608 - the table's own names
        return prepared(statement)

    def _make_ages_statement(self, *filters: str) -> Executable:
        """Return a loose index scan as that of `_make_walk_statement`: each lane's row due longest."""
        waiting, first, order = self._probe(filters)
        statement = sa.text(f"""
            SELECT l.lane, coalesce(extract(epoch FROM now() - ring.oldest), 0) AS age
            FROM unnest(CAST(:lanes AS text[])) AS l (lane)
            LEFT JOIN LATERAL (
                WITH RECURSIVE services AS (
                    ({first} {order})
                    UNION ALL
                    SELECT following.* FROM services
                    CROSS JOIN LATERAL ({first} AND t.service_id > services.service_id {order}) AS following
                )
                SELECT min(seen.due_at) FILTER (WHERE seen.due_at <= now()) AS oldest
                FROM (SELECT * FROM services LIMIT :most) AS seen
            ) AS ring ON (SELECT t.due_at {waiting} ORDER BY t.due_at LIMIT 1) <= now()
        """)  # noqa: S608 - the table's own names
        return prepared(statement)

    def _probe(self, filters: Sequence[str]) -> tuple[str, str, str]:
        """Return the SQL of which rows are in the queue, of those of a lane `l`, and of their order."""
        equal = "".join(f" AND t.{name} = :only_{name}" for name in filters)
        waiting = f"FROM {self.table.name} t WHERE t.due_at IS NOT NULL AND t.parked_at IS NULL{equal}"
        first = f"SELECT t.service_id, t.due_at {waiting} AND t.lane = l.lane"
        return waiting, first, "ORDER BY t.service_id, t.due_at LIMIT 1"

    def _make_fair_statement(self, *filters: str) -> Executable:
        t = self.table
        asked = unnest_later("asked", {"lane": sa.Text(), "service_id": id_type(), "quota": sa.Integer()})
        # compared as rows, and ordered by all of them, so that no other index can serve: what the planner
        # knows of services says nothing about this one
        place = sa.tuple_(t.c.lane, t.c.service_id, t.c.due_at)
        first = sa.tuple_(asked.c.lane, asked.c.service_id, sa.literal_column("'-infinity'::timestamptz"))
        last = sa.tuple_(asked.c.lane, asked.c.service_id, sa.func.now())
        theirs = (
            sa.select(*self._keys, t.c.due_at, self._place.label("place"))
            .where(self._waiting(), *self._equal(filters), place >= first, place <= last)
            .order_by(t.c.lane, t.c.service_id, t.c.due_at)
            .limit(asked.c.quota)
            .with_for_update(skip_locked=True)
            .lateral("theirs")
        )
        return prepared(
            self._mark(sa.select(*theirs.c).select_from(asked.join(theirs, sa.true())).cte("picked"))
        )


def _in_queue(table: Table) -> ColumnElement[bool]:
    return sa.and_(table.c.due_at.is_not(None), table.c.parked_at.is_(None))

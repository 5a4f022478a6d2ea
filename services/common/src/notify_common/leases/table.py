"""Leased rows: a table that is a work queue (design.md §3.3).

A row is due at `due_at`. A worker claims due rows for a while; the lease keeps other workers off. Finishing
happens in the same transaction as the effect and only where the lease is still the worker's own, which the
lease token tells. A worker that dies leaves its rows behind; they come up again when the lease ends.
All times are the database's, so that the clocks of the workers' machines don't matter.
"""

import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, ColumnElement, Connection, Executable, FromClause, Index, Row, Table
from sqlalchemy.dialects.postgresql import ARRAY

MAX_CLAIM = 500


def lease_columns() -> list[Column[Any]]:
    """Columns that make a table a queue; add them to the table's own, and after it `due_index` (or one that
    begins with the columns that claims filter by) and `parked_index`.
    """
    instant = sa.DateTime(timezone=True)
    return [
        # null: not waiting for any work
        Column("due_at", instant, server_default=sa.func.now()),
        Column("leased_until", instant),
        Column("lease_token", sa.Uuid),
        Column("attempt", sa.Integer, nullable=False, server_default="0"),
        Column("parked_at", instant),
        Column("park_reason", sa.Text),
        Column("request_id", sa.Text),
        Column("traceparent", sa.Text),
    ]


def due_index(table: Table) -> Index:
    """The index that claims run on: waiting rows only, by `due_at`."""
    waiting = sa.and_(table.c.due_at.is_not(None), table.c.parked_at.is_(None))
    return Index(f"ix_{table.name}_due", table.c.due_at, postgresql_where=waiting)


def parked_index(table: Table) -> Index:
    """The index that parked rows are counted on: they are few, however many rows the table keeps."""
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
    ) -> None:
        self.table = table
        self.key_columns = tuple(key_columns)
        self.max_attempts = max_attempts
        self._lease = timedelta(seconds=lease_seconds)
        self._base = retry_base_seconds
        self._cap = retry_cap_seconds
        self._counts_on = counts_on
        self._keys = [table.c[name] for name in self.key_columns]
        self._claim_statement = cache(self._make_claim_statement)

    def claim(self, conn: Connection, limit: int = MAX_CLAIM, **filters: object) -> list[Row[Any]]:
        """Lease up to `limit` (at most 500) due rows, those due longest first, and return them whole.

        No two claims get the same row while its lease lasts. `attempt` of the rows counts this claim. A row
        that used up its attempts without a word from its worker (which it may have killed) is parked, not
        returned. `filters` are equalities on columns of the table.
        """
        values = {f"only_{name}": value for name, value in filters.items()}
        values |= {"new_token": uuid.uuid4(), "at_most": min(limit, MAX_CLAIM)}
        rows = conn.execute(self._claim_statement(*filters), values).all()
        exhausted = [row for row in rows if row.attempt > self.max_attempts]
        if exhausted:
            self.park(conn, exhausted, "no worker finished it")
            rows = [row for row in rows if row.attempt <= self.max_attempts]
        return sorted(rows, key=lambda row: row.due_at)

    def _make_claim_statement(self, *filters: str) -> Executable:
        """The statement of `claim`; kept, as polls of idle queues cost little else than making it."""
        t = self.table
        due = sa.and_(self._waiting(), *(t.c[name] == sa.bindparam(f"only_{name}") for name in filters))
        picked = (
            sa.select(*self._keys)
            .where(due)
            .order_by(t.c.due_at)
            .limit(sa.bindparam("at_most", type_=sa.Integer))
            .with_for_update(skip_locked=True)
            .cte("picked")
        )
        return (
            sa.update(t)
            .values(
                leased_until=sa.func.now() + self._lease,
                lease_token=sa.bindparam("new_token"),
                attempt=t.c.attempt + 1,
            )
            .where(*(key == picked.c[key.name] for key in self._keys))
            .returning(*t.c)
        )

    def finish(self, conn: Connection, rows: Sequence[Row[Any]]) -> int:
        """Delete the rows that are still ours and return how many they were.

        Call it in the transaction of the effect.
        """
        if not rows:
            return 0
        held = self._held(rows)
        return conn.execute(sa.delete(self.table).where(self._still_ours(held))).rowcount

    def set(
        self,
        conn: Connection,
        rows: Sequence[Row[Any]],
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
        rows: Sequence[Row[Any]],
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

    def park(self, conn: Connection, rows: Sequence[Row[Any]], reason: str) -> int:
        """Take the rows that are still ours out of the queue for an operator to look at; returns how many."""
        return self.fail(conn, rows, reason, max_attempts=0)

    def release(self, conn: Connection) -> int:
        """Put parked rows back into the queue, due at once, with all attempts unless the queue counts on.

        Returns how many.
        """
        t = self.table
        attempt: Any = t.c.attempt if self._counts_on else 0
        return conn.execute(
            sa.update(t)
            .values(due_at=sa.func.now(), parked_at=None, park_reason=None, attempt=attempt)
            .where(t.c.parked_at.is_not(None))
        ).rowcount

    def heartbeat(self, conn: Connection, rows: Sequence[Row[Any]]) -> int:
        """Begin the lease of the rows that are still ours anew and return how many they were."""
        if not rows:
            return 0
        held = self._held(rows)
        extended = sa.update(self.table).values(leased_until=sa.func.now() + self._lease)
        return conn.execute(extended.where(self._still_ours(held))).rowcount

    def oldest_due_age(self, conn: Connection) -> float:
        """Seconds that the row waiting longest has been due, leased ones included; 0 when none is."""
        t = self.table
        oldest = sa.select(sa.func.min(t.c.due_at)).where(
            t.c.due_at <= sa.func.now(), t.c.parked_at.is_(None)
        )
        age = sa.func.extract("epoch", sa.func.now() - oldest.scalar_subquery())
        return float(conn.execute(sa.select(sa.func.coalesce(age, 0))).scalar_one())

    def parked_count(self, conn: Connection) -> int:
        """How many rows are parked: more than none is an alert."""
        parked = sa.select(sa.func.count()).select_from(self.table).where(self.table.c.parked_at.is_not(None))
        return int(conn.execute(parked).scalar_one())

    def parked_reasons(self, conn: Connection) -> list[tuple[str, int]]:
        """Why rows are parked, and how many for each reason, the most frequent first."""
        t = self.table
        count = sa.func.count()
        counted = sa.select(t.c.park_reason, count).where(t.c.parked_at.is_not(None))
        rows = conn.execute(counted.group_by(t.c.park_reason).order_by(count.desc(), t.c.park_reason))
        return [(reason or "", number) for reason, number in rows]

    def _waiting(self) -> ColumnElement[bool]:
        t = self.table
        free = sa.or_(t.c.leased_until.is_(None), t.c.leased_until < sa.func.now())
        return sa.and_(t.c.due_at <= sa.func.now(), t.c.parked_at.is_(None), free)

    def _held(
        self, rows: Sequence[Row[Any]], each: Mapping[str, Sequence[object]] | None = None
    ) -> FromClause:
        names = [*self.key_columns, "lease_token"]
        arrays = {name: [row._mapping[name] for row in rows] for name in names}
        arrays |= {name: list(values) for name, values in (each or {}).items()}
        columns = [self.table.c[name] for name in arrays]
        literals = [
            sa.cast(sa.bindparam(None, values, type_=ARRAY(column.type)), ARRAY(column.type))
            for column, values in zip(columns, arrays.values(), strict=True)
        ]
        typed = (sa.column(column.name, column.type) for column in columns)
        return sa.func.unnest(*literals).table_valued(*typed, name="held").render_derived()

    def _still_ours(self, held: FromClause) -> ColumnElement[bool]:
        ours = (self.table.c[name] == held.c[name] for name in (*self.key_columns, "lease_token"))
        return sa.and_(*ours)

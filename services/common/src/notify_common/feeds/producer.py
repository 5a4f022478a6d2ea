"""The side of a feed that has the news (design.md §3.4).

A serial number is handed out before its transaction commits, so a reader that remembers the highest number
skips what commits late. Events here are ordered by (transaction id, serial number), and a reader sees only
transactions older than every one of the producer's database that is still open: nothing can appear behind
its cursor any more. The price: a long writing transaction in the producer's database delays the feed. What is
open in other databases of the server does not (ADR 0015).
"""

import re
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, ColumnElement, Connection, MetaData, Row, Table
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

from notify_common.errors import FieldViolation, invalid_field

MAX_PAGE = 500
LATEST = "latest"
# The oldest transaction of this database that runs, as the statement's snapshot has it; else the first one
# that has not begun. Left out are those that are seen, after the snapshot, to be of another database:
# a transaction does not change its database, and one that ended since counts as this one's.
# The cast to xid is exact, as ids that run are less than 2^31 apart.
_OLDEST_OPEN = """(
    SELECT coalesce(min(running.xid), pg_snapshot_xmax(pg_current_snapshot()))
    FROM pg_snapshot_xip(pg_current_snapshot()) AS running (xid)
    WHERE NOT EXISTS (
        SELECT FROM pg_stat_get_activity(NULL) AS elsewhere
        JOIN pg_database AS here ON here.datname = current_database() AND here.oid <> elsewhere.datid
        WHERE elsewhere.backend_xid = running.xid::xid
    ) AND NOT EXISTS (
        SELECT FROM pg_prepared_xacts AS elsewhere
        WHERE elsewhere.transaction = running.xid::xid AND elsewhere.database <> current_database()
    )
)"""
_CURSOR = re.compile(r"(\d{1,19})\.(\d{1,19})", re.ASCII)


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id, as decimal text."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in SQL."""
        return "xid8"


ischema_names["xid8"] = Xid8  # what comparing models with a schema takes a column's type from


def feed_table(name: str, metadata: MetaData, *columns: Column[Any]) -> Table:
    """A table of events: `columns`, and the `tx`, `seq` and `create_time` that the database fills in.

    Insert an event in the transaction that makes it true; never update one.
    """
    return Table(
        name,
        metadata,
        Column("tx", Xid8, primary_key=True, server_default=sa.text("pg_current_xact_id()")),
        Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        *columns,
    )


def read_feed(
    conn: Connection, table: Table, cursor: str, limit: int = MAX_PAGE
) -> tuple[list[Row[Any]], str]:
    """Return up to `limit` (0 means 500, the most) events after `cursor`, oldest first, and the next cursor.

    A reader that goes on from the cursor it got misses none and sees none twice. `cursor` is empty for the
    oldest kept event, or `latest` for no events and the cursor of now.

    Raises:
        NotifyError: INVALID_FIELD, the cursor is none of ours.
    """
    if cursor == LATEST:
        return [], latest_cursor(conn, table)
    tx, seq = _parse(cursor)
    after = sa.tuple_(table.c.tx, table.c.seq) > sa.tuple_(sa.cast(tx, Xid8), sa.cast(seq, sa.BigInteger))
    rows = conn.execute(
        sa.select(table)
        .where(after, table.c.tx < oldest_open(conn))
        .order_by(table.c.tx, table.c.seq)
        .limit(min(limit, MAX_PAGE) if limit > 0 else MAX_PAGE)
    ).all()
    return list(rows), f"{rows[-1].tx}.{rows[-1].seq}" if rows else cursor


def latest_cursor(conn: Connection, table: Table) -> str:
    """The cursor after all events that can be read now: what commits later comes after it."""
    first_unread = conn.execute(sa.select(sa.cast(oldest_open(conn), sa.Text))).scalar_one()
    return f"{first_unread}.0"


def oldest_open(conn: Connection) -> ColumnElement[str]:
    """Return the expression of the transaction id from which on events may still come.

    It is for the next statement of the transaction. Any role can read it.
    """
    # What is known of other sessions is kept until the transaction ends. It must not be older than the
    # statement's snapshot: a session's place, taken over meanwhile, could lend its database to another's id.
    conn.execute(sa.select(sa.func.pg_stat_clear_snapshot()))
    return sa.literal_column(_OLDEST_OPEN, Xid8)


def trim_feed(conn: Connection, table: Table, keep: timedelta, limit: int = 5000) -> int:
    """Delete those of the `limit` oldest events that are older than `keep`, and return how many they were.

    What another transaction is just deleting is left to it, so that nobody waits. Call it until it returns
    less than `limit`. A consumer that was away for longer than `keep` has missed events.
    """
    # only so many are looked at, so that a call costs the same however long the feed is
    oldest = sa.select(table.c.tx, table.c.seq).order_by(table.c.tx, table.c.seq).limit(limit).subquery()
    picked = (
        sa.select(table.c.tx, table.c.seq)
        .where(table.c.tx == oldest.c.tx, table.c.seq == oldest.c.seq)
        .where(table.c.create_time < sa.func.now() - keep)
        .with_for_update(of=table, skip_locked=True)
        .cte("picked")
    )
    gone = sa.delete(table).where(table.c.tx == picked.c.tx, table.c.seq == picked.c.seq)
    return conn.execute(gone).rowcount


def _parse(cursor: str) -> tuple[str, int]:
    if cursor == "":
        return "0", 0
    match = _CURSOR.fullmatch(cursor)
    if match is None or int(match[2]) >= 2**63:
        raise invalid_field(FieldViolation("cursor", "is not a cursor of this feed"))
    return match[1], int(match[2])

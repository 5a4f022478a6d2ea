"""The side of a feed that has the news (design.md §3.4).

A serial number is handed out before its transaction commits, so a reader that remembers the highest number
skips what commits late. Events here are ordered by (transaction id, serial number), and a reader sees only
transactions older than every one of the producer's database that is still open: nothing can appear behind
its cursor any more. The price: a long writing transaction in the producer's database delays the feed. What is
open in other databases of the server does not (ADR 0015).

Transaction ids begin anew where a database is restored into a new server, and go back where a server is
restored to an earlier moment. Each life of a database is an epoch, which its feeds' cursors name; a feed that
was restored refuses to be read until an operator says when that was (`feeds.command`). It goes on refusing
once ids have caught up with those of before: the server is written down with the first read, and the event
that a cursor names has to be there.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from prometheus_client import Gauge
from sqlalchemy import Column, ColumnElement, Connection, MetaData, Row, Select, Table
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

from notify_common.db.prepared import prepared
from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.logging import get_logger

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
_CURSOR = re.compile(r"(?:(\d{1,9})\.)?(\d{1,19})\.(\d{1,19})", re.ASCII)
_EPOCHS = "feed_epochs"
_HERE = sa.literal_column("(SELECT system_identifier::text FROM pg_control_system())", sa.Text)
"""The server's identifier, which no other has."""

_DISPLACED = Gauge(
    "notify_feed_displaced", "1 while a feed can't be read since its database was restored.", ["feed"]
)


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id, as decimal text."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in SQL."""
        return "xid8"


ischema_names["xid8"] = Xid8  # what comparing models with a schema takes a column's type from


def feed_table(name: str, metadata: MetaData, *columns: Column[Any]) -> Table:
    """Return a table of events: `columns`, and the `tx`, `seq` and `create_time` that the database fills in.

    Insert an event in the transaction that makes it true; never update one. The table of epochs, which all
    feeds of a database share, comes with it.
    """
    if _EPOCHS not in metadata.tables:
        Table(
            _EPOCHS,
            metadata,
            # 0 is the first life of the database, before any restore
            Column("number", sa.Integer, primary_key=True, autoincrement=False),
            # of the server that the database lived on then
            Column("system_identifier", sa.Text),
            # events from here on are of this epoch; null for the first
            Column("begin_time", sa.DateTime(timezone=True)),
        )
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
        NotifyError: INVALID_FIELD, the cursor is none of ours; FEED_RESTORED, transaction ids began anew and
            nobody said when (`begin_epoch`), or the server went back behind the cursor.
    """
    if cursor == LATEST:
        return [], latest_cursor(conn, table)
    number, tx, seq = _parse(cursor)
    state = feed_state(conn, table)
    if number > state.number:
        raise _no_cursor()
    newest = number == state.number
    if state.displaced or (newest and int(tx) > state.first_unbegun):
        raise _displaced(table)
    if not state.noted:
        _note_server(conn, table.metadata)
    at_most = min(limit, MAX_PAGE) if limit > 0 else MAX_PAGE
    given: dict[str, object] = {"from_tx": tx, "from_seq": seq, "at_most": at_most + 1}
    if number:
        given["begin"] = state.begins[number]
    if newest:
        _forget_sessions(conn)
    else:
        given["end"] = state.begins[number + 1]
    rows = conn.execute(_page_statement(table, bool(number), newest), given).all()
    if rows and (int(rows[0].tx), rows[0].seq) == (int(tx), seq):
        rows = rows[1:]
    elif newest and seq and conn.execute(_lost_statement(table, bool(number)), given).scalar_one():
        raise _displaced(table)
    _DISPLACED.labels(table.name).set(0)
    rows = rows[:at_most]
    if rows:
        return list(rows), f"{number}.{rows[-1].tx}.{rows[-1].seq}"
    return [], cursor if newest else f"{number + 1}.0.0"


@cache
def _page_statement(table: Table, has_begin: bool, is_newest: bool) -> Select[Any]:
    """Return the statement that reads a page of an epoch: one with a beginning or not, the newest or not.

    The page begins with the event that the cursor names, unless a transaction holds that one back again.
    """
    time = sa.DateTime(timezone=True)
    bounds = [sa.tuple_(table.c.tx, table.c.seq) >= _position()]
    if has_begin:
        bounds.append(table.c.create_time >= sa.bindparam("begin", type_=time))
    if is_newest:
        bounds.append(table.c.tx < sa.literal_column(_OLDEST_OPEN, Xid8))
    else:
        # all that an earlier epoch left was committed before it ended
        bounds.append(table.c.create_time < sa.bindparam("end", type_=time))
    at_most = sa.bindparam("at_most", type_=sa.Integer)
    return prepared(sa.select(table).where(*bounds).order_by(table.c.tx, table.c.seq).limit(at_most))


@cache
def _lost_statement(table: Table, has_begin: bool) -> Select[Any]:
    """Return the statement that says whether the event that a cursor names is gone, and not for its age:
    older ones of its epoch are kept, so the server went back behind it.
    """
    place = sa.tuple_(table.c.tx, table.c.seq)
    bounds = [place < _position()]
    if has_begin:
        bounds.append(table.c.create_time >= sa.bindparam("begin", type_=sa.DateTime(timezone=True)))
    named = sa.exists(sa.select(table.c.seq).where(place == _position()))
    return prepared(sa.select(sa.and_(~named, sa.exists(sa.select(table.c.seq).where(*bounds)))))


def _position() -> ColumnElement[Any]:
    return sa.tuple_(
        sa.cast(sa.bindparam("from_tx", type_=sa.Text), Xid8), sa.bindparam("from_seq", type_=sa.BigInteger)
    )


class FeedState(NamedTuple):
    """Where a feed's database stands.

    Attributes:
        number: of its epoch.
        begins: by number, when each epoch but the first began.
        noted: whether the server of the epoch is written down.
        displaced: whether it was restored since: the server is another one than that of the epoch, or has not
            come as far yet as the newest event.
        first_unbegun: the transaction id that no transaction of the server has had yet.
        cursor: behind the newest event.
    """

    number: int
    begins: Mapping[int, datetime]
    noted: bool
    displaced: bool
    first_unbegun: int
    cursor: str


def feed_state(conn: Connection, table: Table) -> FeedState:
    """Return where a feed's database stands, by one query."""
    rows = conn.execute(_state_statement(table)).all()
    last = rows[-1]
    number = last.number or 0
    return FeedState(
        number=number,
        begins={row.number: row.begin_time for row in rows if row.begin_time is not None},
        noted=last.system_identifier is not None,
        displaced=last.system_identifier not in (None, last.here)
        # of later epochs the events before may be ahead of the server
        or (number == 0 and last.tx is not None and int(last.tx) >= int(last.first_unbegun)),
        first_unbegun=int(last.first_unbegun),
        cursor=f"{number}.{last.tx or 0}.{last.seq or 0}",
    )


@cache
def _state_statement(table: Table) -> Select[Any]:
    """Return the statement of `feed_state`: the same columns of the server and the newest event with each
    epoch, one row without an epoch where there is none.
    """
    epochs = table.metadata.tables[_EPOCHS]
    xmax = sa.cast(sa.func.pg_snapshot_xmax(sa.func.pg_current_snapshot()), sa.Text)
    newest = sa.select(table.c.tx, table.c.seq).order_by(table.c.tx.desc(), table.c.seq.desc()).limit(1)
    event = newest.subquery("newest")
    server = (
        sa.select(_HERE.label("here"), xmax.label("first_unbegun"), event.c.tx, event.c.seq)
        .select_from(sa.select(sa.literal(1)).subquery().outerjoin(event, sa.true()))
        .subquery("server")
    )
    return prepared(
        sa.select(server, epochs).select_from(server.outerjoin(epochs, sa.true())).order_by(epochs.c.number)
    )


def _note_server(conn: Connection, metadata: MetaData) -> None:
    """Write down on which server the database's first epoch is."""
    epochs = metadata.tables[_EPOCHS]
    first = insert(epochs).values(number=0, system_identifier=_HERE)
    conn.execute(first.on_conflict_do_nothing())


def begin_epoch(conn: Connection, metadata: MetaData, restored_at: datetime) -> int:
    """Note that the database was restored at a time, and return the number of the epoch that began.

    Events created before belong to the epoch before: consumers read on through them and then into the new
    one, wherever their cursors stand. Repeating a time changes nothing.

    Args:
        restored_at: between the last event that was restored and the first one that was written since.

    Raises:
        ValueError: the time is to come, or not after the last restore.
    """
    epochs = metadata.tables[_EPOCHS]
    conn.exec_driver_sql(f"LOCK TABLE {_EPOCHS} IN SHARE ROW EXCLUSIVE MODE")
    server, now = conn.execute(sa.select(_HERE, sa.func.now())).one()
    rows = conn.execute(sa.select(epochs).order_by(epochs.c.number)).all()
    last = rows[-1] if rows else None
    if last is not None and last.begin_time == restored_at and last.system_identifier == server:
        return int(last.number)
    if restored_at > now or (last is not None and last.begin_time and restored_at <= last.begin_time):
        raise ValueError("the time of the restore must be past, and later than that of the restore before")
    number = (last.number if last is not None else 0) + 1
    conn.execute(sa.insert(epochs).values(number=number, system_identifier=server, begin_time=restored_at))
    return int(number)


def latest_cursor(conn: Connection, table: Table) -> str:
    """Return the cursor after all events that can be read now: what commits later comes after it."""
    first_unread = conn.execute(sa.select(sa.cast(oldest_open(conn), sa.Text))).scalar_one()
    return f"{feed_state(conn, table).number}.{first_unread}.0"


def oldest_open(conn: Connection) -> ColumnElement[str]:
    """Return the expression of the transaction id from which on events may still come.

    It is for the next statement of the transaction. Any role can read it.
    """
    _forget_sessions(conn)
    return sa.literal_column(_OLDEST_OPEN, Xid8)


class Holder(NamedTuple):
    """A transaction of a database that is open and has written: its feeds' later events wait for its end.

    Attributes:
        name: how it is ended: the process id of its session, or the name that it was prepared under.
        prepared: whether it was prepared.
        role: whose it is.
        application: what its session calls itself.
        state: of its session; empty where the reader may not see it.
        open_for: since its beginning; None where the reader may not see it.
    """

    name: str
    prepared: bool
    role: str
    application: str
    state: str
    open_for: timedelta | None


def feed_holders(conn: Connection) -> list[Holder]:
    """Return the ten oldest transactions that hold up the feeds of the database, but the reader's own."""
    statement = """
        SELECT pid::text, false, coalesce(usename, ''), coalesce(application_name, ''), coalesce(state, ''),
            now() - xact_start, age(backend_xid) AS age
        FROM pg_stat_activity
        WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        UNION ALL
        SELECT gid, true, owner, '', 'prepared', now() - prepared, age(transaction)
        FROM pg_prepared_xacts WHERE database = current_database()
        ORDER BY age DESC LIMIT 10"""
    return [Holder(*row[:-1]) for row in conn.exec_driver_sql(statement)]


def _forget_sessions(conn: Connection) -> None:
    """Let the next statement see the other sessions as they are then.

    What is known of them is kept until the transaction ends. It must not be older than the statement's
    snapshot: a session's place, taken over meanwhile, could lend its database to another's id.
    """
    conn.exec_driver_sql("SELECT pg_stat_clear_snapshot()")


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


def _parse(cursor: str) -> tuple[int, str, int]:
    """Read epoch, transaction id and serial number. Cursors without an epoch are of the first."""
    if cursor == "":
        return 0, "0", 0
    match = _CURSOR.fullmatch(cursor)
    if match is None or int(match[3]) >= 2**63:
        raise _no_cursor()
    return int(match[1] or 0), match[2], int(match[3])


def _no_cursor() -> NotifyError:
    return invalid_field(FieldViolation("cursor", "is not a cursor of this feed"))


def _displaced(table: Table) -> NotifyError:
    _DISPLACED.labels(table.name).set(1)
    get_logger().error("feed can't be read: its database was restored", table=table.name)
    return NotifyError("FEED_RESTORED")

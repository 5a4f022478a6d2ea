"""Connections to a context's own database."""

import json
import os
import select
import weakref
from functools import partial
from typing import Any, Final

import psycopg2
import sqlalchemy as sa
from prometheus_client import Counter, Gauge
from psycopg2.extensions import UNICODE, new_array_type, new_type, register_type
from sqlalchemy import Engine
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from notify_common import clock
from notify_common.db.prepared import SETTINGS, use_prepared
from notify_common.db.waiting import TCP, bounded_connections

IDLE_IN_TRANSACTION_MS = 60_000
_IDLE_SECONDS: Final = 1.0
"""From when on a connection that says nothing is asked whether it still is one."""
_LAST_USE: Final = "last_use"

_ERRORS: Final = Counter(
    "notify_database_errors_total",
    "Statements and connections that failed, by SQLSTATE; `none` where the server said none.",
    ["sqlstate"],
)
_IN_USE: Final = Gauge("notify_database_connections_in_use", "Connections that are doing something.")
_LIMIT: Final = Gauge("notify_database_connections_limit", "Connections that this process may have.")
_DISK_FULL: Final = "53100"
_TOO_MANY_CONNECTIONS: Final = "53300"
_ENGINES: Final[weakref.WeakSet[Engine]] = weakref.WeakSet()
_IN_USE.set_function(lambda: sum(_pool(engine).checkedout() for engine in list(_ENGINES)))
_LIMIT.set_function(lambda: sum(_pool(engine).size() for engine in list(_ENGINES)))
for _sqlstate in (_DISK_FULL, _TOO_MANY_CONNECTIONS, "none"):
    _ERRORS.labels(_sqlstate)  # what is counted from 0 is not missed the first time

_QUERY_CANCELED = "57014"
# Classes and codes of SQLSTATE that tell of the database and not of the statement: connections, transactions
# that collided, a standby, resources, an operator's hand.
_NOT_ITS_FAULT = ("08", "25006", "40", "53", "57P", "58")


def postgres_url(url: str) -> URL:
    """Return `url` for the driver that the platform uses; `postgres://` and `postgresql://` are both taken.

    Raises:
        ValueError: it is not the URL of a PostgreSQL database.
    """
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        raise ValueError("not a database URL") from None
    if parsed.get_backend_name() not in ("postgres", "postgresql"):
        raise ValueError(f"not a PostgreSQL URL: its scheme is {parsed.drivername}")
    return parsed.set(drivername="postgresql+psycopg2")


def create_engine(
    url: str,
    pool_size: int = 8,
    statement_timeout_ms: int = 5000,
    application_name: str = "notify",
) -> Engine:
    """Return an engine whose connections are limited in number and in the time that a statement may take.

    Nothing connects before the first use. A connection that may have ended since its last use is asked before
    the next, and replaced with all others of its time where it has; one in steady use costs no round trip for
    it. A forked child starts with an empty pool and leaves its parent's
    connections alone (design.md §4.3). Take one thread's share each: `pool_size` is the number of threads
    that use the database at once; one more waits up to 5 s for a connection. A connection whose server is
    silent is given up a second after the server should have answered or the call's time is up, and the pool
    with it.

    Args:
        url: `postgresql://user@host/database`.
        pool_size: connections kept, which is also the most ever open.
        statement_timeout_ms: PostgreSQL cancels a statement after this long.
        application_name: shown in `pg_stat_activity`.

    Raises:
        ValueError: `url` is no PostgreSQL URL.
    """
    options = " ".join(
        f"-c {name}={value}"
        for name, value in {
            "statement_timeout": statement_timeout_ms,
            "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_MS,
            "timezone": "UTC",
            "max_parallel_workers_per_gather": 0,  # one statement takes one processor at most
            "jit": "off",  # statements here are short; compiling them costs more than it saves
            **SETTINGS,
        }.items()
    )
    engine = sa.create_engine(
        postgres_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_recycle=1800,
        pool_use_lifo=True,
        json_deserializer=_read_json,
        connect_args={
            "options": options,
            "application_name": application_name,
            "connection_factory": bounded_connections(statement_timeout_ms / 1000),
            **TCP,
        },
    )
    sa.event.listen(engine, "connect", _read_ids_as_text)
    sa.event.listen(engine, "checkin", _note_use)
    sa.event.listen(engine, "checkout", partial(_ping_in_doubt, engine.dialect))
    sa.event.listen(engine, "handle_error", _count_error)
    use_prepared(engine)
    _ENGINES.add(engine)
    _forget_connections_after_fork(engine)
    return engine


def failure_reason(error: BaseException) -> str | None:
    """Return why the database did not do its work, where that is no fault of the statement's.

    DEADLINE_EXCEEDED for a statement that took too long; UNAVAILABLE where the database can't be reached, has
    no connection free, is stopping, or broke a deadlock: the same may work later. None for all other errors.
    """
    if isinstance(error, sa.exc.TimeoutError):
        return "UNAVAILABLE"
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not isinstance(cause, psycopg2.Error):
        return None
    if cause.pgcode == _QUERY_CANCELED:
        return "DEADLINE_EXCEEDED"
    if cause.pgcode is None:
        # said by the driver: the connection could not be made or has ended
        lost = isinstance(cause, psycopg2.OperationalError | psycopg2.InterfaceError)
        return "UNAVAILABLE" if lost else None
    return "UNAVAILABLE" if cause.pgcode.startswith(_NOT_ITS_FAULT) else None


def _note_use(connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_LAST_USE] = clock.monotonic()


def _ping_in_doubt(dialect: Dialect, connection: Any, record: ConnectionPoolEntry, proxy: object) -> None:
    """Ping a connection that was idle, or whose server has something to say: mostly that it has ended."""
    used = record.info.get(_LAST_USE)
    if used is None or (clock.monotonic() - used < _IDLE_SECONDS and not _has_news(connection)):
        return
    try:
        dialect.do_ping(connection)
    except psycopg2.Error:
        raise sa.exc.InvalidatePoolError from None


def _has_news(connection: Any) -> bool:
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


_ID: Final = new_type((2950,), "UUID", UNICODE)
_IDS: Final = new_array_type((2951,), "UUID[]", _ID)
_DECODER: Final = json.JSONDecoder()


def _read_ids_as_text(connection: Any, record: object) -> None:
    """Have ids read as they are used: SQLAlchemy has the driver make an object of each, to be made a text."""
    register_type(_ID, connection)
    register_type(_IDS, connection)


def _read_json(text: str) -> Any:
    """Read a value that PostgreSQL wrote, which has no space around it."""
    return _DECODER.raw_decode(text)[0]


def _pool(engine: Engine) -> QueuePool:
    assert isinstance(engine.pool, QueuePool)  # noqa: S101 - what `create_engine` makes
    return engine.pool


def _count_error(context: sa.engine.ExceptionContext) -> None:
    _ERRORS.labels(getattr(context.original_exception, "pgcode", None) or "none").inc()


def _forget_connections_after_fork(engine: Engine) -> None:
    reference = weakref.ref(engine)

    def forget() -> None:
        living = reference()
        if living is not None:
            living.dispose(close=False)

    os.register_at_fork(after_in_child=forget)

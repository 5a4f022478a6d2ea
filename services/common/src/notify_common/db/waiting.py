"""Bounds on how long a connection waits for its database, kept by the client.

`statement_timeout` is the server's: it says nothing when the server is gone while the connection looks open,
as after a failover or where packets are dropped. psycopg2 calls `_wait` whenever it waits for the server; a
connection that is silent for too long is closed, which SQLAlchemy takes as lost, with all others of its pool.
"""

import select
from typing import Any, Final

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, STATUS_SETUP, connection, set_wait_callback

from notify_common import clock, current
from notify_common.logging import get_logger

CONNECT_SECONDS: Final = 3.0
"""How long making a connection may take; libpq's own `connect_timeout` does not count here."""
AFTER_STATEMENT_SECONDS: Final = 1.0
"""How long after the server's own limit, or after the call's deadline, an answer may still come."""

_SILENCE_SECONDS: Final = 5

TCP: Final = {
    "tcp_user_timeout": _SILENCE_SECONDS * 1000,
    "keepalives": 1,
    "keepalives_idle": _SILENCE_SECONDS,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
"""What the kernel does about it: bytes that nobody acknowledges, connections on which nothing happens."""


class BoundedConnection(connection):
    """A connection that waits for its server for a limited time."""

    def __init__(self, dsn: str, async_: int, statement_seconds: float) -> None:
        self.statement_seconds = statement_seconds
        super().__init__(dsn, async_)  # type: ignore[call-arg] # the stubs know one parameter

    def seconds_to_wait(self) -> float:
        """Return how long the next answer may take: just over the server's limit or the call's time."""
        left = current.time_left()
        wanted = self.statement_seconds if left is None else min(self.statement_seconds, max(left, 0.0))
        return wanted + AFTER_STATEMENT_SECONDS


def bounded_connections(statement_seconds: float) -> Any:
    """Return a psycopg2 connection factory; the server cancels statements after `statement_seconds`."""

    def connect(dsn: str, async_: int = 0) -> BoundedConnection:
        return BoundedConnection(dsn, async_, statement_seconds)

    return connect


def _wait(waiting: connection) -> None:
    """Return when the connection has done what it was asked, or close it by raising OperationalError."""
    state = waiting.poll()
    if state == POLL_OK:
        return
    seconds: float | None = None
    if waiting.status == STATUS_SETUP:
        seconds = CONNECT_SECONDS
    elif isinstance(waiting, BoundedConnection):
        seconds = waiting.seconds_to_wait()
    until = None if seconds is None else clock.monotonic() + seconds
    while state != POLL_OK:
        poll = select.poll()
        poll.register(waiting.fileno(), _EVENTS[state])
        left = None if until is None else max(0.0, until - clock.monotonic()) * 1000
        if not poll.poll(left):
            get_logger().error("database does not answer, connection given up", seconds=seconds)
            raise psycopg2.OperationalError("the database does not answer")
        state = waiting.poll()


_EVENTS: Final = {POLL_READ: select.POLLIN, POLL_WRITE: select.POLLOUT}

set_wait_callback(_wait)

"""The only two ways to talk to the database: a transaction, or a statement that is its own transaction."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import psycopg2
from sqlalchemy import Connection, Engine

from notify_common import current

Tx: TypeAlias = Connection
"""An open transaction: what use cases pass on to stores, without importing SQLAlchemy."""


class UnitOfWork:
    """Opens short transactions on one engine. Safe to share between threads.

    Never hold one open across an RPC, an HTTP call or a `yield` to a caller (design.md §2.9): feeds read only
    up to the oldest open transaction.

    Args:
        engine: of `notify_common.db.engine.create_engine`, whose statement timeout is the default.
        statement_timeout: that default in seconds. Where a call has less time than a quarter of it left, its
            statements get what is left (design.md §2.7); above that the saved round trip is worth more.
    """

    def __init__(self, engine: Engine, statement_timeout: float = 5) -> None:
        self.engine = engine
        self._hurry_below = statement_timeout / 4

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """Provide a transaction: commits at the end, rolls back on any error."""
        with self.engine.begin() as connection:
            left = current.time_left()
            if left is not None and left < self._hurry_below:
                milliseconds = max(1, math.floor(left * 1000))
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
            yield connection

    @contextmanager
    def autocommit(self) -> Iterator[Tx]:
        """Provide a connection on which each statement is its own transaction.

        For work that is one statement: it saves the round trips of BEGIN and COMMIT. The driver itself is
        told so, as setting SQLAlchemy's isolation level costs a round trip, and setting it back another.
        """
        with self.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None  # noqa: S101 - it was just taken
            driver.autocommit = True
            try:
                yield connection
            finally:
                try:
                    driver.autocommit = False
                except psycopg2.Error:  # broken, or busy with what was broken off
                    connection.invalidate()

    def check(self) -> bool:
        """Tell whether the database answers; for health checks."""
        with self.autocommit() as connection:
            return bool(connection.exec_driver_sql("SELECT 1").scalar_one())

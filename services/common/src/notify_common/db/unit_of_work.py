"""The only two ways to talk to the database: a transaction, or a statement that is its own transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine


class UnitOfWork:
    """Opens short transactions on one engine. Safe to share between threads.

    Never hold one open across an RPC, an HTTP call or a `yield` to a caller (design.md §2.9): feeds read only
    up to the oldest open transaction.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: commits at the end, rolls back on any error."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """A connection on which each statement is its own transaction.

        For work that is one statement: it saves the round trips of BEGIN and COMMIT.
        """
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def check(self) -> bool:
        """Whether the database answers; for health checks."""
        with self.autocommit() as connection:
            return connection.exec_driver_sql("SELECT 1").scalar_one() == 1

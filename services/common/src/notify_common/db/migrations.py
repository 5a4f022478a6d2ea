"""Migrations of one context's schema with Alembic (design.md §2.9).

A service ships `migrations/` inside its package: `versions/0001_snake_case.py`, … and an `env.py` that is

    from notify_common.db.migrations import run_environment
    from notify_admin.store.tables import metadata

    run_environment(metadata)

Alembic is imported by what uses it: each process knows the command that migrates, and it takes 7 MB.
"""

import importlib.resources
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import sqlalchemy as sa
from sqlalchemy import Connection, MetaData

from notify_common import clock
from notify_common.boot import BootError
from notify_common.db.engine import postgres_url
from notify_common.db.schema import newest_revision
from notify_common.db.waiting import TCP
from notify_common.logging import get_logger

if TYPE_CHECKING:
    from alembic.config import Config

LOCK_WAIT_MS = 60_000
TABLE_LOCK_WAIT_MS = 2_000
_LOCK_ASK_SECONDS = 0.1
_ADVISORY_KEY = 0x6E6F74696679  # "notify": one migration at a time in a database


def migrate(package: str, url: str, app_role: str | None = None) -> None:
    """Bring the database to the newest schema of `package`; doing it again changes nothing.

    A schema that is newer than this version, as after a roll-back, is left as it is: newer ones only add.
    Two may run at once: the second waits for the first, up to a minute. A statement that can't get its table
    lock in 2 s fails, and its migration with it, rather than queueing everyone behind it.

    Args:
        package: importable name of the service, such as `notify_admin`.
        url: connects as the owner role.
        app_role: role that the service runs as; it gets the rights to read and write rows, none to change
            the schema.

    Raises:
        BootError: the role that connects may not change the schema, or the database refuses it.
    """
    from alembic import command

    try:
        with _locked_connection(url) as connection:
            if not _is_newer(connection, package):
                command.upgrade(_config(package, connection), "head")
            if app_role is not None:
                _grant(connection, app_role)
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, psycopg2.errors.InsufficientPrivilege):
            raise BootError(
                "this role may not change the schema; database_url should be the owner's"
            ) from None
        if isinstance(error.orig, psycopg2.OperationalError) and error.orig.pgcode is None:
            raise BootError(
                "the database can't be reached, or refuses this role; look at database_url"
            ) from None
        raise


def _is_newer(connection: Connection, package: str) -> bool:
    if connection.exec_driver_sql("SELECT to_regclass('public.alembic_version')").scalar() is None:
        connection.rollback()
        return False
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    connection.rollback()
    newer = found is not None and str(found) > newest_revision(package)
    if newer:
        get_logger().warning("schema is newer than this version", schema=found)
    return newer


def schema_differences(metadata: MetaData, url: str) -> list[Any]:
    """Return what Alembic would change to make the database equal the models: empty when they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    engine = sa.create_engine(postgres_url(url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False}
        )
        return list(compare_metadata(context, metadata))


def run_environment(metadata: MetaData) -> None:
    """Run the migrations on the connection that `migrate` made: the body of every service's `env.py`."""
    from alembic import context

    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection, target_metadata=metadata, compare_type=True, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


def _location(package: str) -> Path:
    return Path(str(importlib.resources.files(package))) / "migrations"


def _config(package: str, connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_location(package)).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _locked_connection(url: str) -> Iterator[Connection]:
    engine = sa.create_engine(postgres_url(url), poolclass=sa.NullPool, connect_args=TCP)
    with engine.connect() as connection:
        deadline = clock.monotonic() + LOCK_WAIT_MS / 1000
        # Asked for again and again rather than waited for: who waits has a transaction open, and an index
        # that is built concurrently waits for its end: a deadlock with whoever holds the lock.
        while not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_ADVISORY_KEY))).scalar():
            connection.rollback()
            if clock.monotonic() > deadline:
                raise BootError("another migration of this database takes longer than a minute; try again")
            time.sleep(_LOCK_ASK_SECONDS)
        connection.exec_driver_sql(f"SET lock_timeout = {TABLE_LOCK_WAIT_MS}")
        connection.commit()
        yield connection


def _grant(connection: Connection, app_role: str) -> None:
    role = connection.dialect.identifier_preparer.quote(app_role)
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
    ):
        connection.exec_driver_sql(statement)
    connection.commit()

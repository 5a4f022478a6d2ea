"""A real PostgreSQL for tests: a pytest plugin (design.md §2.10).

One server a run, shared by all workers of pytest-xdist, started when the first test asks for a database.
`NOTIFY_TEST_DATABASE_URL`, where set, names a server to use instead; its user must be a superuser.
A service's schema is migrated once, into a template; each test copies that.
"""

import contextlib
import hashlib
import importlib.resources
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
import sqlalchemy as sa
from notify_common.db.engine import postgres_url
from notify_common.db.migrations import migrate
from sqlalchemy import Connection

from notify_testing.embedded import start_server
from notify_testing.provisioning import (
    app_role,
    create_database,
    derived_password,
    ensure_role,
    owner_role,
)

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of a random name is made in it
_PLENTY_BYTES = 4 * 2**30
# a crash of the machine may lose what a test wrote
_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class FreshDatabase(Protocol):
    """Makes databases that live as long as the fixture's scope."""

    def __call__(self, package: str | None = None) -> str:
        """Return the URL of a new database.

        With the name of a service's package it has that service's schema and the URL is the app role's, which
        can't change it; without one it is empty and the URL is a superuser's.
        """


@pytest.fixture(scope="session")
def database_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Provide URL of a PostgreSQL server, as a superuser."""
    given = os.environ.get("NOTIFY_TEST_DATABASE_URL")
    if given:
        yield given
        return
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    folder = _where_files_are_quick() / f"notify-test-postgres-{run[:16]}"
    folder.mkdir(mode=0o755, exist_ok=True)
    # the last worker to let go of it stops it and deletes the folder
    server = start_server(folder, _FAST, delete=True)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _where_files_are_quick() -> Path:
    """Return a folder in memory if there is plenty of it: databases are made and dropped by the thousand, and
    a disk that falls behind holds up whoever writes for seconds.
    """
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _PLENTY_BYTES:
            return _MEMORY
    return Path(tempfile.gettempdir())


@contextlib.contextmanager
def _superuser(url: str) -> Iterator[Connection]:
    engine = sa.create_engine(postgres_url(url), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def _template(server: str, package: str) -> str:
    """Return the name of the database that holds the schema of `package`, made if need be."""
    versions = Path(str(importlib.resources.files(package))) / "migrations" / "versions"
    digest = hashlib.sha256()
    for path in sorted(versions.glob("*.py")):
        digest.update(path.read_bytes())
    name = f"template_{package}_{digest.hexdigest()[:12]}"
    owner, app = _roles(package)
    with _superuser(server) as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(hashtext(:name))"), {"name": name})
        done = sa.text("SELECT 1 FROM pg_database WHERE datname = :name AND datistemplate")
        if connection.execute(done, {"name": name}).first() is None:
            _drop(connection, name)
            for role in (owner, app):
                ensure_role(connection, role, derived_password(postgres_url(server), role))
            create_database(connection, name, owner, app)
            migrate(package, _login(server, name, owner), app)
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" IS_TEMPLATE true')
    return name


def _roles(package: str) -> tuple[str, str]:
    service = package.removeprefix("notify_")
    return owner_role(service), app_role(service)


def _login(server: str, database: str, role: str | None = None) -> str:
    url = postgres_url(server).set(database=database)
    if role is not None:
        url = url.set(username=role, password=derived_password(url, role))
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _drop(connection: Connection, name: str) -> None:
    connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextlib.contextmanager
def databases(server: str) -> Iterator[FreshDatabase]:
    """Provide databases on a server, dropped when the `with` block ends."""
    made: list[str] = []

    def fresh(package: str | None = None) -> str:
        name = f"test_{uuid.uuid4().hex}"
        template = None if package is None else _template(server, package)
        with _superuser(server) as connection:
            made.append(name)
            if package is None:
                connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
                return _login(server, name)
            owner, app = _roles(package)
            create_database(connection, name, owner, app, template)
        return _login(server, name, app)

    try:
        yield fresh
    finally:
        with _superuser(server) as connection:
            for name in made:
                _drop(connection, name)


@pytest.fixture
def fresh_database(database_server: str) -> Iterator[FreshDatabase]:
    """Provide databases of this test's own."""
    with databases(database_server) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def module_database(database_server: str) -> Iterator[FreshDatabase]:
    """Provide databases shared by the tests of a module."""
    with databases(database_server) as fresh:
        yield fresh

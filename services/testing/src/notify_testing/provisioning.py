"""Databases and roles of the contexts on one PostgreSQL server (design.md §2.9).

For the local stack and the tests; in production whoever runs the server does the same.
"""

import hashlib
import hmac
from typing import NamedTuple

import sqlalchemy as sa
from notify_common.db.engine import postgres_url
from sqlalchemy import Connection
from sqlalchemy.engine import URL


class Provisioned(NamedTuple):
    """The two ways into a context's database."""

    owner_url: str
    """Connects as the role that owns the schema: for migrations only."""
    app_url: str
    """Connects as the role that the service runs as: reads and writes rows, no DDL."""


def owner_role(service: str) -> str:
    """Name of the role that owns the schema of `service`."""
    return f"notify_{service}_owner"


def app_role(service: str) -> str:
    """Name of the role that `service` runs as."""
    return f"notify_{service}_app"


def provision(server_url: str, service: str, database: str | None = None) -> Provisioned:
    """Make the database `notify_<service>` with its two roles; doing it again changes nothing.

    Only the two roles (and superusers) can connect to it. Where `server_url` holds a password, the roles get
    passwords derived from it; where it holds none, the server is taken to trust its local users.

    Args:
        server_url: connects as a role that may create roles and databases.
        service: such as `admin`.
        database: another name for the database.
    """
    server = postgres_url(server_url)
    name = database or f"notify_{service}"
    owner, app = owner_role(service), app_role(service)
    engine = sa.create_engine(server, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for role in (owner, app):
            ensure_role(connection, role, derived_password(server, role))
        exists = connection.execute(
            sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}
        )
        if exists.first() is None:
            create_database(connection, name, owner, app)
    return Provisioned(_url(server, name, owner), _url(server, name, app))


def create_database(
    connection: Connection, name: str, owner: str, app: str, template: str | None = None
) -> None:
    """Create a database that only `owner` and `app` can connect to. `connection` must be in autocommit."""
    quote = connection.dialect.identifier_preparer.quote
    source = f" TEMPLATE {quote(template)}" if template else ""
    connection.exec_driver_sql(f"CREATE DATABASE {quote(name)} OWNER {quote(owner)}{source}")
    connection.exec_driver_sql(f"REVOKE ALL ON DATABASE {quote(name)} FROM PUBLIC")
    connection.exec_driver_sql(f"GRANT CONNECT ON DATABASE {quote(name)} TO {quote(app)}")


def ensure_role(connection: Connection, role: str, password: str | None) -> None:
    """Create a login role without special rights unless it exists, and set its password if there is one."""
    quote = connection.dialect.identifier_preparer.quote
    exists = connection.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    if exists.first() is None:
        connection.exec_driver_sql(f"CREATE ROLE {quote(role)} LOGIN NOINHERIT")
    if password is not None:
        connection.exec_driver_sql(f"ALTER ROLE {quote(role)} PASSWORD '{password}'")
    superuser = sa.text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if not connection.execute(superuser).scalar_one():
        # whoever is not a superuser must be a member of a role to create a database that it owns
        connection.exec_driver_sql(f"GRANT {quote(role)} TO CURRENT_USER")


def derived_password(server: URL, role: str) -> str | None:
    """Return the password of `role`, the same each time: an HMAC keyed by the server's own, or None without
    one.
    """
    if not server.password:
        return None
    return hmac.new(str(server.password).encode(), role.encode(), hashlib.sha256).hexdigest()


def _url(server: URL, database: str, role: str) -> str:
    url = server.set(username=role, password=derived_password(server, role), database=database)
    return url.set(drivername="postgresql").render_as_string(hide_password=False)

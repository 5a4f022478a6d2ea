"""Databases of the contexts are closed to each other."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from notify_common.db.engine import create_engine, postgres_url
from notify_testing.provisioning import Provisioned, app_role, derived_password, owner_role, provision
from sqlalchemy.engine import make_url


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


@pytest.fixture
def provisioned(database_server: str, worker_id: str) -> Iterator[dict[str, Provisioned]]:
    services = [f"alpha_{worker_id}", f"beta_{worker_id}"]
    made = {service.split("_")[0]: provision(database_server, service) for service in services}
    yield made
    engine = sa.create_engine(
        postgres_url(database_server), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        for service in services:
            connection.exec_driver_sql(f'DROP DATABASE "notify_{service}" WITH (FORCE)')
            for role in (owner_role(service), app_role(service)):
                connection.exec_driver_sql(f'DROP ROLE "{role}"')


def test_neither_role_of_one_service_can_connect_to_the_database_of_another(
    provisioned: dict[str, Provisioned],
) -> None:
    beta = make_url(provisioned["beta"].app_url).database
    for url in provisioned["alpha"]:
        trespass = make_url(url).set(database=beta).render_as_string(hide_password=False)
        with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
            execute(trespass, "SELECT 1")


def test_owner_changes_the_schema_and_the_app_role_does_not(provisioned: dict[str, Provisioned]) -> None:
    owner_url, app_url = provisioned["alpha"]
    execute(owner_url, "CREATE TABLE things (id int)")
    for statement in (
        "CREATE TABLE mine (id int)",
        "ALTER TABLE things ADD COLUMN extra int",
        "DROP TABLE things",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE ROLE friend",
    ):
        with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
            execute(app_url, statement)


def test_provisioning_again_changes_nothing(
    database_server: str, provisioned: dict[str, Provisioned], worker_id: str
) -> None:
    owner_url, _ = provisioned["alpha"]
    execute(owner_url, "CREATE TABLE things (id int)", "INSERT INTO things VALUES (1)")
    assert provision(database_server, f"alpha_{worker_id}") == provisioned["alpha"]
    execute(owner_url, "INSERT INTO things VALUES (2)")


def test_passwords_come_from_the_servers_and_differ_by_role() -> None:
    server = make_url("postgresql://postgres:secret@host/postgres")
    first, second = derived_password(server, "a"), derived_password(server, "b")
    assert first is not None
    assert first != second
    assert "secret" not in first
    assert derived_password(server, "a") == first
    assert derived_password(make_url("postgresql://postgres@/postgres"), "a") is None

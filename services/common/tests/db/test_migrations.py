"""Migrations of a package that the test writes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from notify_common.db.engine import create_engine
from notify_common.db.migrations import migrate, schema_differences
from notify_testing.database import FreshDatabase
from notify_testing.revision import write_revision
from notify_testing.waiting import WAIT_SECONDS

PACKAGE = "notify_migrated"

TABLES = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("things", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
"""
ENVIRONMENT = """
from notify_common.db.migrations import run_environment
from notify_migrated.tables import metadata
run_environment(metadata)
"""
FIRST = """
import sqlalchemy as sa
from alembic import op
revision = "0001"
down_revision = None

def upgrade():
    op.create_table("things", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
    op.execute("INSERT INTO things VALUES (1, 'first')")
"""
SECOND = """
from alembic import op
revision = "0002"
down_revision = "0001"

def upgrade():
    op.execute("ALTER TABLE things ADD COLUMN size integer")
    op.execute({second!r})
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / PACKAGE
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "tables.py").write_text(TABLES)
    (folder / "migrations" / "env.py").write_text(ENVIRONMENT)
    (versions / "0001_things.py").write_text(FIRST)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def scalar(url: str, statement: str) -> object:
    with create_engine(url).begin() as connection:
        return connection.exec_driver_sql(statement).scalar_one()


def test_migrates_and_does_nothing_the_second_time(package: Path, fresh_database: FreshDatabase) -> None:
    url = fresh_database()
    migrate(PACKAGE, url)
    migrate(PACKAGE, url)
    assert scalar(url, "SELECT count(*) FROM things") == 1
    assert scalar(url, "SELECT version_num FROM alembic_version") == "0001"


def test_several_at_once_migrate_once(package: Path, fresh_database: FreshDatabase) -> None:
    url = fresh_database()
    code = f"from notify_common.db.migrations import migrate; migrate({PACKAGE!r}, {url!r})"
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [process.wait(timeout=WAIT_SECONDS) for process in processes] == [0, 0, 0]
    assert scalar(url, "SELECT count(*) FROM things") == 1


def test_failing_migration_leaves_the_schema_of_the_one_before(
    package: Path, fresh_database: FreshDatabase
) -> None:
    url = fresh_database()
    migrate(PACKAGE, url)
    (package / "migrations" / "versions" / "0002_more.py").write_text(SECOND.format(second="SELECT 1/0"))
    with pytest.raises(sa.exc.DataError):
        migrate(PACKAGE, url)
    assert scalar(url, "SELECT version_num FROM alembic_version") == "0001"
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'things'"
    assert scalar(url, columns) == 2


def test_migration_gives_up_on_a_table_that_someone_holds(
    package: Path, fresh_database: FreshDatabase
) -> None:
    url = fresh_database()
    migrate(PACKAGE, url)
    (package / "migrations" / "versions" / "0002_more.py").write_text(SECOND.format(second="SELECT 1"))
    with create_engine(url).begin() as connection:
        connection.exec_driver_sql("LOCK TABLE things IN ACCESS SHARE MODE")
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            migrate(PACKAGE, url)
    migrate(PACKAGE, url)
    assert scalar(url, "SELECT version_num FROM alembic_version") == "0002"


def test_compares_models_with_the_schema(package: Path, fresh_database: FreshDatabase) -> None:
    url = fresh_database()
    migrate(PACKAGE, url)
    changed = sa.MetaData()
    sa.Table("things", changed, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
    assert schema_differences(changed, url) == []
    sa.Table("others", changed, sa.Column("id", sa.Integer, primary_key=True))
    assert [difference[0] for difference in schema_differences(changed, url)] == ["add_table"]


def test_next_revision_follows_the_last_one_and_runs(package: Path, fresh_database: FreshDatabase) -> None:
    versions = package / "migrations" / "versions"
    path = write_revision(versions, "add_size")
    assert path.name == "0002_add_size.py"
    path.write_text(
        path.read_text().replace('op.execute("")', 'op.execute("ALTER TABLE things ADD size int")')
    )
    url = fresh_database()
    migrate(PACKAGE, url)
    assert scalar(url, "SELECT version_num FROM alembic_version") == "0002"


@pytest.mark.parametrize("message", ["", "Add Size", "../escape", "a__b"])
def test_refuses_messages_that_make_no_file_name(package: Path, message: str) -> None:
    with pytest.raises(ValueError, match="lower-case words"):
        write_revision(package / "migrations" / "versions", message)

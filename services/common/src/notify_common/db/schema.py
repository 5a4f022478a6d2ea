"""Whether a database is one that this version of a service can work with.

Migrations run before what needs them (design.md §2.9). So a schema that is older than the code is a roll-out
in the wrong order, which is refused; one that is newer is what the other half of a rolling upgrade meets, or
a roll-back.
"""

import importlib.resources
import re
from typing import Final

import psycopg2
import sqlalchemy as sa

from notify_common.boot import BootError
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.logging import get_logger

_REFUSED: Final = re.compile(r"permission denied|authentication failed|does not exist|no pg_hba\.conf entry")
"""What PostgreSQL says where no connection will be made later either; it tells no codes then."""
_WITHOUT_RIGHTS: Final = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'alembic_version'
    AND NOT (
        has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
        AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
    )
    ORDER BY relname LIMIT 1
"""


def newest_revision(package: str) -> str:
    """Return the number of the newest migration that a package ships, such as `0013`."""
    versions = importlib.resources.files(package) / "migrations" / "versions"
    return max(file.name[:4] for file in versions.iterdir() if re.match(r"[0-9]{4}_.*\.py$", file.name))


class SchemaCheck:
    """A check of health, and of what a process is told at its start.

    Args:
        package: importable name of the service, such as `notify_admin`, whose migrations make the schema.
    """

    def __init__(self, package: str, uow: UnitOfWork) -> None:
        self._newest = newest_revision(package)
        self._uow = uow
        self._passed = False

    def require(self) -> None:
        """Say what is wrong for good. Raises BootError.

        A database that can't be reached is no reason to end: it may come, and until then health is red.
        """
        try:
            problem = self._problem()
        except sa.exc.DBAPIError as error:
            if isinstance(error.orig, psycopg2.OperationalError) and _REFUSED.search(str(error.orig)):
                raise BootError(
                    "the database refuses this role, or is not there: look at database_url"
                ) from None
            get_logger().warning("database not reached at the start")
            return
        if problem is not None:
            raise BootError(problem)
        self._passed = True

    def check(self) -> bool:
        """Tell whether the schema was right once; for health checks."""
        if not self._passed:
            self._passed = self._problem() is None
        return self._passed

    def _problem(self) -> str | None:
        with self._uow.autocommit() as connection:
            if connection.exec_driver_sql("SELECT to_regclass('public.alembic_version')").scalar() is None:
                return "the database has no schema; run `migrate` with the owner's database_url first"
            try:
                found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            except sa.exc.ProgrammingError:
                return _no_rights("alembic_version")
            table = connection.exec_driver_sql(_WITHOUT_RIGHTS).scalar()
        # Numbers of four digits order as texts; one that this version does not ship is newer.
        if found is None or str(found) < self._newest:
            return (
                f"the database's schema is {found or 'empty'}, and this version needs {self._newest}; "
                "run `migrate` of this version first"
            )
        if table is not None:
            return _no_rights(str(table))
        if str(found) > self._newest:
            get_logger().info("schema is newer than this version", schema=found, newest_known=self._newest)
        return None


def _no_rights(table: str) -> str:
    return (
        f"this role may not read and write the table {table}; run `migrate` with the owner's database_url "
        "and this role as app_role"
    )

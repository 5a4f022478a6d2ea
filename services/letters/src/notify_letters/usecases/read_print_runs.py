"""Read print runs."""

from datetime import datetime
from uuid import UUID

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError

from notify_letters.domain.print_run import PrintRun
from notify_letters.store import print_runs


def get_print_run(uow: UnitOfWork, run_id: UUID) -> PrintRun:
    """A run as it stands.

    Raises:
        NotifyError: PRINT_RUN_NOT_FOUND.
    """
    with uow.autocommit() as conn:
        run = print_runs.get(conn, run_id)
    if run is None:
        raise NotifyError("PRINT_RUN_NOT_FOUND")
    return run


def list_print_runs(uow: UnitOfWork, before: tuple[datetime, UUID] | None, limit: int) -> list[PrintRun]:
    """Up to `limit` runs that were made before the position (create_time, id), newest first."""
    with uow.autocommit() as conn:
        return print_runs.newest(conn, before, limit)

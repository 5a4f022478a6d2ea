"""Read print runs."""

import time
from collections.abc import Iterator
from datetime import datetime

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError

from notify_letters.domain.print_run import PrintBatch, PrintRun, Volume
from notify_letters.store import print_runs


def get_print_run(uow: UnitOfWork, run_id: str) -> tuple[PrintRun, list[Volume]]:
    """Return a run as it stands, and what it holds by class of post.

    Raises:
        NotifyError: PRINT_RUN_NOT_FOUND.
    """
    with uow.autocommit() as tx:
        run = print_runs.get(tx, run_id)
        if run is None:
            raise NotifyError("PRINT_RUN_NOT_FOUND")
        return run, print_runs.volumes(tx, run_id)


def list_print_runs(uow: UnitOfWork, before: tuple[datetime, str] | None, limit: int) -> list[PrintRun]:
    """Return up to `limit` runs that were made before the position (create_time, id), newest first."""
    with uow.autocommit() as tx:
        return print_runs.newest(tx, before, limit)


def list_print_batches(uow: UnitOfWork, run_id: str, after: int, limit: int) -> list[PrintBatch]:
    """Return up to `limit` batches of a run whose number is above `after`, in the order of printing.

    Raises:
        NotifyError: PRINT_RUN_NOT_FOUND.
    """
    with uow.autocommit() as tx:
        if not print_runs.exists(tx, run_id):
            raise NotifyError("PRINT_RUN_NOT_FOUND")
        return print_runs.batches_after(tx, run_id, after, limit)


def watch_print_run(
    uow: UnitOfWork, run_id: str, every_seconds: float, for_seconds: float
) -> Iterator[PrintRun]:
    """Yield a run as it stands, again after each change, until it is complete or the time is over.

    No transaction is open between two looks. Whoever was cut off asks again and misses nothing, as each
    answer says all.

    Raises:
        NotifyError: PRINT_RUN_NOT_FOUND.
    """
    until = clock.monotonic() + for_seconds
    last = None
    while True:
        with uow.autocommit() as tx:
            run = print_runs.get(tx, run_id)
        if run is None:
            raise NotifyError("PRINT_RUN_NOT_FOUND")
        if run != last:
            yield run
            last = run
        if run.complete or clock.monotonic() >= until:
            return
        time.sleep(every_seconds)

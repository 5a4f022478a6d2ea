"""Start a print run: by hand for any deadline, or as the day's run."""

from datetime import datetime
from uuid import UUID

from notify_common.current import request_id
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.logging import get_logger
from notify_common.tracing import current_traceparent

from notify_letters.domain.print_run import LONDON, PrintRun, daily_deadline, daily_run_id, in_daily_window
from notify_letters.store import print_runs

COLLECT_TIMEOUT_MS = 600_000


def start_print_run(uow: UnitOfWork, run_id: UUID, deadline: datetime) -> PrintRun:
    """Put all letters that are ready and were accepted before `deadline` into batches, in one transaction.

    Idempotency key: the run's id. Starting it again collects nothing more and returns the run as it stands;
    `deadline` is then ignored. Dying before the commit leaves no run; after it the batches are there for the
    relay. Runs started at the same time share the letters out: none is in two.
    """
    with uow.begin() as conn:
        if print_runs.insert(conn, run_id, deadline):
            print_runs.collect(
                conn, run_id, deadline, request_id.get(), current_traceparent(), COLLECT_TIMEOUT_MS
            )
        run = print_runs.get(conn, run_id)
    assert run is not None  # noqa: S101 - inserted above or known before, and runs are never deleted
    get_logger().info(
        "print run started",
        print_run_id=str(run_id),
        batch_count=run.batch_count,
        letter_count=run.letter_count,
    )
    return run


def start_daily_print_run(uow: UnitOfWork, now: datetime) -> PrintRun | None:
    """Start the run of `now`'s London day, if it is time for it (pipeline.md §4.7); None if it is not.

    Idempotency key: the date.
    """
    if not in_daily_window(now):
        return None
    return start_print_run(uow, daily_run_id(now.astimezone(LONDON).date()), daily_deadline(now))

"""Start a print run: by hand for any deadline, or as the day's run."""

from datetime import datetime

from notify_common.current import request_id
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.logging import get_logger
from notify_common.tracing import current_traceparent

from notify_letters.domain.print_run import PrintRun, Schedule, daily_run_id
from notify_letters.store import print_runs


def start_print_run(uow: UnitOfWork, run_id: str, deadline: datetime) -> PrintRun:
    """Begin a run over all letters that are ready and were accepted before `deadline`.

    Idempotency key: the run's id. Starting it again changes nothing and returns the run as it stands;
    `deadline` is then ignored. Its letters are collected by whoever works the queue `print-runs`.
    """
    with uow.begin() as tx:
        started = print_runs.insert(tx, run_id, deadline, request_id.get(), current_traceparent())
        run = print_runs.get(tx, run_id)
    assert run is not None  # noqa: S101 - inserted above or known before, and runs are never deleted
    if started:
        get_logger().info("print run started", print_run_id=run_id)
    return run


def start_daily_print_run(uow: UnitOfWork, schedule: Schedule, now: datetime) -> PrintRun | None:
    """Start the latest day's run that is due by `now` (pipeline.md §4.7); None where that was done before.

    Ask it at any time and as often as you like: before the hour it asks for the day before, whose run is
    there already, and after an outage it starts the one that was missed. Idempotency key: the date.
    """
    day = schedule.due_day(now)
    run_id = daily_run_id(day)
    with uow.autocommit() as tx:
        if print_runs.exists(tx, run_id):
            return None
    return start_print_run(uow, run_id, schedule.deadline_of(day))

"""Put a run's letters into batches, slice by slice."""

from datetime import datetime

from notify_common.db.engine import failure_reason
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.logging import describe_exception, get_logger

from notify_letters.store import print_runs


def collect_slice(uow: UnitOfWork) -> int:
    """Put the next letters of the oldest run that collects into batches; return how many.

    One transaction a slice, so that feeds wait for a slice and not for the run, and the batches of a slice
    are submitted while the next one is collected. The run's position is in its row and moves with the
    slice: whoever dies leaves a run that the next caller goes on with, from where it stopped. Two callers
    never work on the same run at once; on two runs they may, and share the letters out.

    0 is returned where there is nothing to do, and once at the end of each round of a run.
    """
    while True:
        with uow.begin() as tx:
            run = print_runs.lock_one_to_collect(tx)
            if run is None:
                return 0
            if run.expected_letter_count is not None:
                return print_runs.collect_slice(tx, run)
        _expect_letters(uow, run.id, run.deadline)


def _expect_letters(uow: UnitOfWork, run_id: str, deadline: datetime) -> None:
    """Count what a run has before it, once, so that its progress can be told from its first slice on.

    The count is a statement of its own that writes nothing, so that feeds don't wait for it. One that takes
    longer than a statement may is done without: the number is for people who watch.
    """
    count = 0
    try:
        with uow.autocommit() as tx:
            count = print_runs.count_ready(tx, deadline)
    except Exception as error:
        if failure_reason(error) != "DEADLINE_EXCEEDED":
            raise
        get_logger().warning("letters not counted", print_run_id=run_id, **describe_exception(error))
    with uow.begin() as tx:
        print_runs.expect(tx, run_id, count)
    get_logger().info("print run begun", print_run_id=run_id, expected_letter_count=count)

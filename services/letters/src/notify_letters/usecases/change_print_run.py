"""What an operator does to a run that is under way."""

from collections.abc import Sequence

from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.errors import NotifyError
from notify_common.logging import get_logger

from notify_letters.domain.print_run import PrintRun
from notify_letters.store import print_runs


def pause_print_run(uow: UnitOfWork, run_id: str) -> PrintRun:
    """Let a run rest: no letter is collected and no batch begun any more; batches under way are finished.

    Pausing again changes nothing; a complete run stays as it is.

    Raises:
        NotifyError: PRINT_RUN_NOT_FOUND.
    """
    with uow.begin() as tx:
        print_runs.pause(tx, run_id)
        run = _get(tx, run_id)
    get_logger().info("print run paused", print_run_id=run_id, state=run.state.value)
    return run


def resume_print_run(uow: UnitOfWork, run_id: str) -> PrintRun:
    """Let a run go on that rests; one that does not is left as it is.

    Raises:
        NotifyError: PRINT_RUN_NOT_FOUND.
    """
    with uow.begin() as tx:
        print_runs.resume(tx, run_id)
        run = _get(tx, run_id)
    get_logger().info("print run resumed", print_run_id=run_id, state=run.state.value)
    return run


def retry_print_batches(uow: UnitOfWork, run_id: str, batch_ids: Sequence[str]) -> tuple[PrintRun, int]:
    """Have batches of a run tried again that were given up, all of them where no ids are given.

    Batches that are not parked are left alone, so that repeating it does no harm: providers take each letter
    once per id. Returns the run and how many batches it was.

    Raises:
        NotifyError: PRINT_RUN_NOT_FOUND.
    """
    with uow.begin() as tx:
        count = print_runs.release_batches(tx, run_id, batch_ids)
        run = _get(tx, run_id)
    get_logger().info("print batches tried again", print_run_id=run_id, batch_count=count)
    return run, count


def _get(tx: Tx, run_id: str) -> PrintRun:
    run = print_runs.get(tx, run_id)
    if run is None:
        raise NotifyError("PRINT_RUN_NOT_FOUND")
    return run

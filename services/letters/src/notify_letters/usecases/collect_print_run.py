"""Put a run's letters into batches, slice by slice."""

from notify_common.db.unit_of_work import UnitOfWork

from notify_letters.store import print_runs


def collect_slice(uow: UnitOfWork) -> int:
    """Put the next letters of the oldest run that collects into batches; return how many.

    One transaction a slice, so that feeds wait for a slice and not for the run, and the batches of a slice
    are submitted while the next one is collected. The run's position is in its row and moves with the
    slice: whoever dies leaves a run that the next caller goes on with, from where it stopped. Two callers
    never work on the same run at once; on two runs they may, and share the letters out.

    0 is returned where there is nothing to do, and once at the end of each round of a run.
    """
    with uow.begin() as tx:
        return print_runs.collect_slice(tx) or 0

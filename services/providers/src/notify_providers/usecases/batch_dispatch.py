"""Taking messages over."""

from collections.abc import Sequence

from notify_common.db.unit_of_work import UnitOfWork

from notify_providers.domain.message import NewDispatch
from notify_providers.store import dispatches

MAX_BATCH = 500


def batch_dispatch(uow: UnitOfWork, new: Sequence[NewDispatch]) -> tuple[int, int]:
    """Take over up to 500 messages, all or none, in one statement that is its own transaction.

    Idempotency key: the id. Return how many were new and how many were known.
    """
    if len(new) > MAX_BATCH:
        raise ValueError(f"at most {MAX_BATCH} at once")
    with uow.autocommit() as conn:
        accepted = dispatches.insert_new(conn, new)
    return accepted, len(new) - accepted

"""Take letters over from notifications."""

from collections.abc import Sequence

from notify_common import ids
from notify_common.current import request_id
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.tracing import current_traceparent

from notify_letters.domain.letter import NewLetter, render_batches
from notify_letters.store import letters as store


def create_letters(uow: UnitOfWork, letters: Sequence[NewLetter]) -> int:
    """Store letters and the batches that render them, in one statement; return how many were new.

    Idempotency key: the letter's id. A known id changes nothing, whatever else the letter says. The batches
    commit with the letters, so that a letter is never stored without the work that makes its PDF.

    Args:
        letters: at most 500.
    """
    batches = [(ids.new_id(), batch) for batch in render_batches(letters)]
    with uow.autocommit() as tx:
        return store.create(tx, batches, request_id.get(), current_traceparent())

"""Take letters over from notifications."""

from collections.abc import Sequence

from notify_common import ids
from notify_common.current import request_id
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.tracing import current_traceparent

from notify_letters.domain.letter import NewLetter, render_batches
from notify_letters.store import letters as store


def create_letters(uow: UnitOfWork, letters: Sequence[NewLetter]) -> int:
    """Store letters and the work that makes or checks their PDFs; return how many were new.

    Idempotency key: the letter's id. A known id changes nothing, whatever else the letter says. The work
    commits with the letters, so that a letter is never stored without it; all of them, or none.

    Args:
        letters: at most 500.
    """
    precompiled = [letter for letter in letters if letter.precompiled is not None]
    templated = [letter for letter in letters if letter.precompiled is None]
    batches = [(ids.new_id(), batch) for batch in render_batches(templated)]
    # letters of both kinds come together seldom; those of one kind are one statement
    with uow.begin() if precompiled and templated else uow.autocommit() as tx:
        created = store.create_precompiled(tx, precompiled) if precompiled else 0
        if batches:
            created += store.create(tx, batches, request_id.get(), current_traceparent())
    return created

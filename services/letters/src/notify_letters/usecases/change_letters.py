"""What happens to letters besides being printed: cancelled, made anew, brought back, removed for age."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from notify_common import ids
from notify_common.blobs.s3 import BlobStore
from notify_common.current import request_id
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.logging import get_logger
from notify_common.tracing import current_traceparent
from notify_content.letter_timings import can_be_cancelled

from notify_letters.domain.letter import RENDER_BATCH_SIZE, Cancellation, LetterState, blob_keys
from notify_letters.store import letters

REMOVE_AT_ONCE = 200
DELETE_AT_ONCE = 2_000
_DELETIONS = 8


def cancel_letters(
    uow: UnitOfWork,
    service_id: str,
    letter_ids: Sequence[str],
    now: datetime,
    *,
    cancel_unknown: bool = False,
) -> list[Cancellation]:
    """Cancel letters that are in no print batch, while their deadline has not passed (content.md §12).

    Letters are locked while it is decided, as they are by a print run that takes them: a letter is
    cancelled or printed, never both. Idempotency key: the letter's id. Returns what became of each, in the
    order of the ids.

    Args:
        cancel_unknown: whether letters that are not here are cancelled too, so that they are not taken over
            when they come, whatever the time.
    """
    with uow.begin() as tx:
        found = letters.lock(tx, service_id, letter_ids)
        unknown = [id_ for id_ in letter_ids if id_ not in found] if cancel_unknown else []
        added = letters.add_cancelled(tx, service_id, unknown) if unknown else []
        # one of them may have come meanwhile
        found |= letters.lock(tx, service_id, unknown) if unknown else {}
        outcomes = {id_: _cancellation(state, created, now) for id_, (state, created) in found.items()}
        cancelled = [
            id_
            for id_, outcome in outcomes.items()
            if outcome is Cancellation.CANCELLED and found[id_][0] is not LetterState.CANCELLED
        ] + added
        if cancelled:
            letters.cancel(tx, cancelled)
    if cancelled:
        get_logger().info("letters cancelled", service_id=service_id, letter_count=len(cancelled))
    return [outcomes.get(id_, Cancellation.NOT_FOUND) for id_ in letter_ids]


def _cancellation(state: LetterState, create_time: datetime, now: datetime) -> Cancellation:
    if state is LetterState.CANCELLED:
        return Cancellation.CANCELLED
    if state not in (LetterState.PENDING_VIRUS_CHECK, LetterState.CREATED, LetterState.READY):
        return Cancellation.NOT_CANCELLABLE
    # to the rule, a letter with and without a PDF is the same
    in_time = can_be_cancelled("created", create_time, now)
    return Cancellation.CANCELLED if in_time else Cancellation.TOO_LATE


def render_letters(uow: UnitOfWork, service_id: str, letter_ids: Sequence[str]) -> int:
    """Have PDFs made anew, written over the old ones, of letters that wait for a print run; return how many.

    Such a letter is in no run until its PDF is made. PDFs that came ready made are left alone. Repeating it
    while they are being made does nothing.
    """
    count = 0
    with uow.begin() as tx:
        for start in range(0, len(letter_ids), RENDER_BATCH_SIZE):
            part = letter_ids[start : start + RENDER_BATCH_SIZE]
            count += letters.render_again(
                tx, service_id, part, ids.new_id(), request_id.get(), current_traceparent()
            )
    return count


def record_returned_letters(uow: UnitOfWork, references: Sequence[str]) -> tuple[int, list[str]]:
    """Record letters that the post brought back (pipeline.md §4.11).

    Idempotency key: the letter. Returns how many were not known to be returned, and the references that no
    letter has, in their order.
    """
    with uow.begin() as tx:
        recorded, known = letters.record_returned(tx, references)
    unknown = [reference for reference in references if reference not in known]
    log = get_logger().warning if unknown else get_logger().info
    log("returned letters recorded", recorded_count=recorded, unknown_count=len(unknown))
    return recorded, unknown


def remove_old_letters(uow: UnitOfWork, blobs: BlobStore, service_id: str, before: datetime) -> int:
    """Delete the PDFs of a service's letters that ended before an instant, then what they said and to whom.

    A bounded number at once; returns how many. Idempotency key: the letter. Dying in between leaves letters
    whose PDF is gone, which the next call empties; deleting what is gone is no error.
    """
    with uow.autocommit() as tx:
        old = letters.to_remove(tx, service_id, before, REMOVE_AT_ONCE)
    if not old:
        return 0
    with ThreadPoolExecutor(_DELETIONS, thread_name_prefix="remove") as pool:
        list(pool.map(blobs.delete, (key for each in old for key in blob_keys(*each))))
    with uow.begin() as tx:
        letters.empty(tx, [letter_id for letter_id, _ in old])
    return len(old)


def delete_removed_letters(uow: UnitOfWork, keep_days: float) -> int:
    """Delete a bounded number of letters that were removed longer than these days ago; returns how many."""
    with uow.begin() as tx:
        return letters.delete_removed(tx, timedelta(days=keep_days), DELETE_AT_ONCE)


def trim_letter_events(uow: UnitOfWork, keep_days: float) -> int:
    """Delete a bounded number of events that are older than these days; return how many."""
    with uow.begin() as tx:
        return letters.trim_events(tx, timedelta(days=keep_days))

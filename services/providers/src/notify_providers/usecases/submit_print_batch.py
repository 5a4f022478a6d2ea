"""Taking a print batch over."""

from collections.abc import Sequence

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError

from notify_providers.domain.message import NewDispatch
from notify_providers.store import dispatches

MAX_LETTERS = 5_000
"""In one print batch: it is kept in memory until it is complete, about a kilobyte a letter."""
_ROWS_A_STATEMENT = 500


def submit_print_batch(uow: UnitOfWork, letter_count: int, letters: Sequence[NewDispatch]) -> tuple[int, int]:
    """Take over the letters of a complete print batch, all or none, in one transaction.

    Idempotency key: each letter's id, so that a batch that was cut off is simply sent again. Returns how many
    were new and how many were known.

    Raises:
        NotifyError: COUNT_MISMATCH, the batch holds more or fewer letters than its header said.
    """
    if len(letters) != letter_count:
        raise count_mismatch(letter_count)
    accepted = 0
    with uow.begin() as conn:
        for start in range(0, len(letters), _ROWS_A_STATEMENT):
            accepted += dispatches.insert_new(conn, letters[start : start + _ROWS_A_STATEMENT])
    return accepted, len(letters) - accepted


def count_mismatch(letter_count: int) -> NotifyError:
    """Return the error for a batch that holds more or fewer than `letter_count` letters."""
    return NotifyError(
        "COUNT_MISMATCH",
        "the print batch holds more or fewer letters than its header says",
        metadata={"letter_count": str(letter_count)},
    )

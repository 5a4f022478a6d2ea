"""Hand a print batch to providers."""

from uuid import UUID

import sqlalchemy as sa
from notify_common import current
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import Queue
from notify_common.logging import describe_exception, get_logger
from notify_common.tracing import span

from notify_letters.clients.providers import ProvidersClient
from notify_letters.store import batches, letters


class SubmitBatch:
    """Submits one print batch of at most 500 letters.

    Idempotency keys: the batch's lease here, the letter's id at providers. Dying after providers took the
    batch and before it is marked hands it over again; they count its letters as duplicates.
    """

    def __init__(self, uow: UnitOfWork, queue: Queue, providers: ProvidersClient) -> None:
        self._uow = uow
        self._queue = queue
        self._providers = providers
        self._log = get_logger()

    def __call__(self, batch_id: UUID) -> bool:
        """Submit the batch; False when there was nothing to do or it has to be tried again later."""
        with self._uow.begin() as conn:
            batch = batches.claim_one(conn, self._queue, batch_id)
            if batch is None:
                return False
            rows = letters.to_submit(conn, batch_id)
        with (
            current.bind(request_id=batch.request_id, traceparent=batch.traceparent),
            span("submit_batch", batch_id=str(batch_id)),
        ):
            try:
                taken = self._providers.submit_print_batch(batch_id, rows)
                if not taken == len(rows) == batch.letter_count:
                    raise CountMismatch(f"{batch.letter_count} letters, {len(rows)} sent, {taken} taken")
                with self._uow.begin() as conn:
                    if not self._queue.set(conn, [batch], submit_time=sa.func.now()):
                        self._log.warning("print batch lost its lease", batch_id=str(batch_id))
                        return False
                    letters.mark_submitted(conn, batch_id)
            except Exception as error:
                # the row is the retry: raising would only make Celery log the arguments
                with self._uow.begin() as conn:
                    self._queue.fail(conn, [batch], type(error).__name__)
                self._log.error(
                    "print batch failed",
                    batch_id=str(batch_id),
                    attempt=batch.attempt,
                    **describe_exception(error),
                )
                return False
            self._log.info("print batch submitted", batch_id=str(batch_id), letter_count=len(rows))
        return True


class CountMismatch(Exception):
    """The batch, the letters sent and the letters taken are not the same number."""

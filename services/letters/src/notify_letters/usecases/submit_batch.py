"""Hand a print batch to providers."""

import hashlib
from collections.abc import Mapping, Sequence

from notify_common import current
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.leases.table import Queue
from notify_common.logging import describe_exception, get_logger
from notify_common.snapshots.cache import SnapshotCache
from notify_common.tracing import span

from notify_letters.clients.providers import ProvidersClient
from notify_letters.domain.batch import ClaimedPrintBatch
from notify_letters.domain.letter import LetterToPrint
from notify_letters.domain.manifest import Signer, batch_key, batch_manifest
from notify_letters.store import batches, letters


def submit_batch(
    uow: UnitOfWork,
    queue: Queue,
    blobs: BlobStore,
    signer: Signer,
    retention_days: SnapshotCache[str, int],
    providers: ProvidersClient,
    batch_id: str,
) -> bool:
    """Submit one print batch of at most 500 letters: manifest, then providers, then the mark that they have
    it.

    Idempotency keys: the batch's lease here, the manifest's key, the letter's id at providers. Dying after
    the manifest writes it over with the same; dying after providers took the batch and before it is marked
    hands it over again, and they count its letters as duplicates. No letter's row is written: the batch's
    row says it for all.

    Returns:
        False when there was nothing to do or it has to be tried again later.
    """
    log = get_logger()
    with uow.begin() as tx:
        batch = batches.claim_print(tx, queue, batch_id)
        if batch is None:
            return False
        rows = letters.to_print(tx, batch_id)
    with (
        current.bind(request_id=batch.request_id, traceparent=batch.traceparent),
        span("submit_batch", batch_id=batch_id),
    ):
        try:
            if len(rows) != batch.letter_count:
                raise CountMismatch(f"{batch.letter_count} letters, {len(rows)} found")
            sha256 = _write_manifest(blobs, signer, batch, rows)
            taken = providers.submit_print_batch(batch_id, rows, _days_kept(retention_days, rows))
            if taken != batch.letter_count:
                raise CountMismatch(f"{batch.letter_count} letters, {taken} taken")
            with uow.begin() as tx:
                if not batches.set_submitted(tx, queue, batch, taken, sha256):
                    log.warning("print batch lost its lease", batch_id=batch_id)
                    return False
        except Exception as error:
            # the row is the retry: raising would only make Celery log the arguments
            with uow.begin() as tx:
                batches.fail(tx, queue, batch, type(error).__name__)
            log.error(
                "print batch failed", batch_id=batch_id, attempt=batch.attempt, **describe_exception(error)
            )
            return False
        log.info("print batch submitted", batch_id=batch_id, letter_count=len(rows))
    return True


def _write_manifest(
    blobs: BlobStore, signer: Signer, batch: ClaimedPrintBatch, rows: list[LetterToPrint]
) -> str:
    """Write the manifest of a run's batch and return its SHA-256; letters of test keys have none."""
    if batch.print_run_id is None:
        return ""
    manifest = batch_manifest(batch, rows, signer)
    key = batch_key(batch.print_run_id, batch.number, batch.id)
    blobs.put(key, manifest, content_type="application/jsonl")
    return hashlib.sha256(manifest).hexdigest()


def _days_kept(
    retention_days: SnapshotCache[str, int], rows: Sequence[LetterToPrint]
) -> Mapping[str, int | None]:
    """Return for how many days the services keep letters; nothing while admin can't be asked.

    What is to be printed does not wait for that: providers have a default.
    """
    try:
        return retention_days.get_many({row.service_id for row in rows})
    except NotifyError as error:
        get_logger().warning("retention of services is not known", reason=error.reason)
        return {}


class CountMismatch(Exception):
    """The batch, the letters sent and the letters taken are not the same number."""

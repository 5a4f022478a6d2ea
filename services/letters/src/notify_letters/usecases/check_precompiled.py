"""Scan the PDF of a letter that came ready made, check it, and make it printable (pipeline.md §2.8)."""

import hashlib
import json
from datetime import timedelta
from typing import Final, NamedTuple

from notify_common import current, ids
from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_common.clamd import ScanFailed, Scanner, ScannerUnavailable, Verdict
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import FairQueue
from notify_common.logging import describe_exception, get_logger
from notify_common.tracing import span

from notify_letters.domain.letter import (
    NO_PDF,
    EventKind,
    Outcome,
    PdfFacts,
    app_key,
    infected_key,
    invalid_key,
    not_rendered,
    pdf_key,
    upload_key,
)
from notify_letters.domain.precompiled import UNREADABLE, Inspected
from notify_letters.pdf.reader import PdfReader, ReaderDied
from notify_letters.store import letters, pdf_checks
from notify_letters.store.pdf_checks import WaitingCheck

TRIES: Final = 3
"""How often a file may crash what scans or checks it, or be missing, before it is the file's fault."""
SCANNER_RETRY: Final = timedelta(seconds=15)
"""When a letter is tried again for which the scanner was not there."""


class _Judged(NamedTuple):
    """What becomes of a letter, and which object says so."""

    outcome: Outcome
    key: str | None = None
    content: bytes = b""
    metadata: dict[str, str] | None = None
    keeps_upload: bool = False
    """Whether the PDF as it came stays where it is."""


def check_next(
    uow: UnitOfWork,
    queue: FairQueue,
    blobs: BlobStore,
    uploads: BlobStore | None,
    scanner: Scanner | None,
    reader: PdfReader,
) -> int:
    """Deal with the next letter whose PDF waits to be checked; returns 1, or 0 where none is due.

    Idempotency keys: the row's lease, the letter's state, and the objects' keys, which are made of the
    letter's id. Dying before the transaction leaves objects that the next try writes over; dying after it
    leaves the PDF as it came behind, which goes with the letter. While the scanner can't be reached letters
    wait, for however long; a file that crashes the process that checks it fails after TRIES.

    Args:
        uploads: where the admin web app puts letters; its copy of one goes when the letter is checked.
        scanner: None where files are not scanned.

    Raises:
        ScannerUnavailable: no letter can be dealt with at the moment; this one is due again later.
    """
    with uow.begin() as tx:
        waiting = pdf_checks.claim(tx, queue)
        if waiting is None:
            return 0
        pending = pdf_checks.is_pending(tx, waiting.letter_id)
        if not pending:
            pdf_checks.finish(tx, queue, waiting)
            return 1
    with (
        current.bind(request_id=waiting.request_id, traceparent=waiting.traceparent),
        span("check_precompiled", notification_id=waiting.letter_id),
    ):
        try:
            judged = _judge(blobs, scanner, reader, waiting)
            if _record(uow, queue, blobs, waiting, judged) and waiting.uploaded and uploads is not None:
                uploads.delete(app_key(waiting.service_id, waiting.letter_id))
        except ScannerUnavailable:
            with uow.begin() as tx:
                pdf_checks.postpone(tx, queue, waiting, SCANNER_RETRY)
            raise
        except Exception as error:  # whatever one letter provokes, the others go on
            with uow.begin() as tx:
                pdf_checks.fail(tx, queue, waiting, type(error).__name__)
            get_logger().error(
                "precompiled letter not checked",
                notification_id=waiting.letter_id,
                attempt=waiting.attempt,
                **describe_exception(error),
            )
    return 1


def _judge(blobs: BlobStore, scanner: Scanner | None, reader: PdfReader, waiting: WaitingCheck) -> _Judged:
    letter_id, last = waiting.letter_id, waiting.attempt >= TRIES
    log = get_logger()
    try:
        pdf = blobs.get(upload_key(letter_id))
    except BlobNotFound:
        if not last:
            raise
        log.error("precompiled letter is gone", notification_id=letter_id)
        return _Judged(not_rendered(letter_id))
    if scanner is not None:
        try:
            verdict = scanner.scan(pdf)
        except ScanFailed:
            if not last:
                raise
            log.error("precompiled letter can't be scanned", notification_id=letter_id)
            return _Judged(not_rendered(letter_id), keeps_upload=True)
        if verdict is Verdict.INFECTED:
            log.error("virus found in precompiled letter", notification_id=letter_id)
            outcome = Outcome(letter_id, EventKind.VIRUS_SCAN_FAILED, NO_PDF)
            return _Judged(outcome, infected_key(letter_id), pdf)
    try:
        inspected, printable = reader.check(pdf, allow_international=waiting.allow_international)
    except ReaderDied as error:
        if not last:
            raise
        log.warning("precompiled letter crashes its check", notification_id=letter_id, reason=str(error))
        inspected, printable = UNREADABLE, b""
    if inspected.failure:
        return _invalid(letter_id, inspected, pdf)
    facts = PdfFacts(inspected.page_count, len(printable), hashlib.sha256(printable).hexdigest())
    outcome = Outcome(
        letter_id,
        EventKind.READY,
        facts,
        address_lines=inspected.address_lines,
        postage=inspected.postage,
    )
    metadata = {"page_count": str(inspected.page_count)}
    return _Judged(outcome, pdf_key(letter_id), printable, metadata, keeps_upload=True)


def _invalid(letter_id: str, inspected: Inspected, pdf: bytes) -> _Judged:
    facts = PdfFacts(inspected.page_count, len(pdf), hashlib.sha256(pdf).hexdigest())
    outcome = Outcome(
        letter_id,
        EventKind.VALIDATION_FAILED,
        facts,
        failure=inspected.failure,
        failure_pages=inspected.pages,
    )
    metadata = {
        "validation_status": "failed",
        "message": inspected.failure,
        "invalid_pages": json.dumps(inspected.pages),
        "page_count": str(inspected.page_count),
    }
    return _Judged(outcome, invalid_key(letter_id), pdf, metadata)


def _record(
    uow: UnitOfWork, queue: FairQueue, blobs: BlobStore, waiting: WaitingCheck, judged: _Judged
) -> bool:
    """Write down what became of a letter; False where another has it by now."""
    if judged.key is not None:
        blobs.put(judged.key, judged.content, metadata=judged.metadata or {}, content_type="application/pdf")
    with uow.begin() as tx:
        if not pdf_checks.finish(tx, queue, waiting):
            get_logger().warning("check lost its lease", notification_id=waiting.letter_id)
            return False
        letters.record_outcomes(tx, [judged.outcome], ids.new_id(), waiting.request_id, waiting.traceparent)
    if not judged.keeps_upload:
        blobs.delete(upload_key(waiting.letter_id))
    get_logger().info(
        "precompiled letter checked",
        notification_id=waiting.letter_id,
        state=judged.outcome.kind.value,
        reason=judged.outcome.failure,
    )
    return True

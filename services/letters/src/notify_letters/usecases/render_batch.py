"""Make the PDFs of a batch of letters."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from notify_common import clock, current, ids
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import Queue
from notify_common.logging import describe_exception, get_logger
from notify_common.tracing import span

from notify_letters.domain.batch import ClaimedBatch
from notify_letters.domain.letter import (
    LetterToRender,
    Outcome,
    PdfFacts,
    invalid,
    not_rendered,
    pdf_key,
    rendered,
)
from notify_letters.domain.template import TemplateKey
from notify_letters.pdf.joining import joined
from notify_letters.pdf.layout import AttachmentInvalid, LetterInvalid, LetterLayout
from notify_letters.pdf.typesetter import Pdf, Typesetter
from notify_letters.store import batches, letters
from notify_letters.usecases.template_assets import Attachment, Attachments, Logos

HEARTBEAT_SECONDS = 5
UPLOADS = 8


class Layouts(Protocol):
    """Compiled template versions."""

    def get_many(self, keys: Sequence[TemplateKey]) -> Mapping[TemplateKey, LetterLayout | None]:
        """Return the layouts of template versions; None where there is no such version."""
        ...


class ServiceLogos(Protocol):
    """Names of services' logos."""

    def get(self, key: str) -> str | None:
        """Return the name of a service's logo, empty for none; None where there is no such service."""
        ...


@dataclass(frozen=True, slots=True)
class Assets:
    """What letters hold besides their wording."""

    attachments: Attachments
    logos: Logos
    service_logos: ServiceLogos

    def logo_of(self, service_id: str) -> str:
        """Return the SVG of a service's logo; empty for none. Raises BlobNotFound, NotifyError."""
        return self.logos.get(self.service_logos.get(service_id) or "")


class LeaseLost(Exception):
    """Another task has the batch by now."""


def render_batch(
    uow: UnitOfWork,
    queue: Queue,
    layouts: Layouts,
    assets: Assets,
    typesetter: Typesetter,
    blobs: BlobStore,
    batch_id: str,
) -> bool:
    """Render one batch: PDFs into the blob store, then one transaction for all its letters.

    Idempotency keys: the batch's lease, each letter's state, and the PDF's key, which is the letter's id.
    Dying before the transaction leaves PDFs that the next task writes over; dying after it leaves nothing to
    do. A letter that can't be typeset fails alone; when something that all letters need is down, the whole
    batch comes up again later.

    Returns:
        False when there was nothing to do: done, parked, or in another task's hands.
    """
    log = get_logger()
    with uow.begin() as tx:
        batch = batches.claim_render(tx, queue, batch_id)
        if batch is None:
            return False
        rows = letters.to_render(tx, batch_id)
    lease = _Lease(uow, queue, batch)
    with (
        current.bind(request_id=batch.request_id, traceparent=batch.traceparent),
        span("render_batch", batch_id=batch_id),
    ):
        try:
            outcomes = _render(lease, layouts, assets, typesetter, blobs, rows)
            with uow.begin() as tx:
                if not batches.finish(tx, queue, batch):
                    raise LeaseLost
                letters.record_outcomes(tx, outcomes, ids.new_id(), batch.request_id, batch.traceparent)
        except LeaseLost:
            log.warning("render batch lost its lease", batch_id=batch_id)
            return False
        except Exception as error:
            # the row is the retry: raising would only make Celery log the arguments
            with uow.begin() as tx:
                batches.fail(tx, queue, batch, type(error).__name__)
            log.error(
                "render batch failed", batch_id=batch_id, attempt=batch.attempt, **describe_exception(error)
            )
            return False
        log.info("render batch done", batch_id=batch_id, letter_count=len(outcomes))
    return True


class _Lease:
    """Keeps a batch ours while its letters are typeset and stored."""

    def __init__(self, uow: UnitOfWork, queue: Queue, batch: ClaimedBatch) -> None:
        self._uow = uow
        self._queue = queue
        self._batch = batch
        self._beaten = clock.monotonic()

    def keep(self) -> None:
        """Begin the lease anew if it is time. Raises LeaseLost."""
        if clock.monotonic() - self._beaten <= HEARTBEAT_SECONDS:
            return
        with self._uow.begin() as tx:
            if not batches.heartbeat(tx, self._queue, self._batch):
                raise LeaseLost
        self._beaten = clock.monotonic()


def _render(
    lease: _Lease,
    layouts: Layouts,
    assets: Assets,
    typesetter: Typesetter,
    blobs: BlobStore,
    rows: Sequence[LetterToRender],
) -> list[Outcome]:
    keys = {row.id: TemplateKey(row.service_id, row.template_id, row.template_version) for row in rows}
    found = layouts.get_many(list(dict.fromkeys(keys.values())))
    logos = {service_id: assets.logo_of(service_id) for service_id in {row.service_id for row in rows}}
    outcomes: list[Outcome] = []
    uploads: list[Future[None]] = []
    with ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload") as pool:
        for row in rows:
            lease.keep()
            pdf = _typeset(typesetter, row, found[keys[row.id]], logos[row.service_id], assets.attachments)
            if isinstance(pdf, Outcome):
                outcomes.append(pdf)
                continue
            facts = PdfFacts(pdf.page_count, len(pdf.content), hashlib.sha256(pdf.content).hexdigest())
            outcomes.append(rendered(row.id, facts))
            uploads.append(
                pool.submit(blobs.put, pdf_key(row.id), pdf.content, content_type="application/pdf")
            )
        _wait_for(lease, uploads)
    return outcomes


def _wait_for(lease: _Lease, uploads: Iterable[Future[None]]) -> None:
    """Wait for uploads, which a slow store may draw out beyond a lease."""
    waiting = set(uploads)
    while waiting:
        ended, waiting = wait(waiting, HEARTBEAT_SECONDS, FIRST_EXCEPTION)
        for upload in ended:
            upload.result()
        lease.keep()


def _typeset(
    typesetter: Typesetter,
    row: LetterToRender,
    layout: LetterLayout | None,
    logo_svg: str,
    attachments: Attachments,
) -> Pdf | Outcome:
    """Return the PDF, or what became of the letter without one.

    Whatever reading an attachment raises is raised, as it is no fault of this letter's.
    """
    log = get_logger()
    if layout is None:
        log.error("letter's template version is unknown", notification_id=row.id)
        return not_rendered(row.id)
    attached = None
    if layout.attachment_id:
        attached = attachments.get(row.service_id, layout.attachment_id)
        if attached is None:
            return not_rendered(row.id)
    try:
        data = layout.letter(dict(row.personalisation), row.address_lines, row.create_time)
        data["logo_svg"] = logo_svg
        made = typesetter.typeset(data, row.create_time)
        return made if attached is None else _with_attachment(made, attached)
    except LetterInvalid as error:
        return invalid(row.id, error.failure, error.detail)
    except MemoryError:
        raise
    except Exception as error:  # whatever a letter provokes, the others of its batch go on
        log.error("letter can't be typeset", notification_id=row.id, **describe_exception(error))
        return not_rendered(row.id)


def _with_attachment(letter: Pdf, attached: Attachment) -> Pdf:
    if attached.failure:
        raise AttachmentInvalid(attached.failure)
    return Pdf(joined(letter.content, attached.pdf), letter.page_count + attached.page_count)

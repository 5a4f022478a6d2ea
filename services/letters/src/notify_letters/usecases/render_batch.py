"""Make the PDFs of a batch of letters."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol
from uuid import UUID

from notify_common import clock, current, ids
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import Queue
from notify_common.logging import describe_exception, get_logger
from notify_common.tracing import span
from sqlalchemy import Row

from notify_letters.domain.letter import EventKind, Rendered, not_rendered, pdf_key, rendered
from notify_letters.domain.template import TemplateKey
from notify_letters.pdf.layout import LetterLayout, LetterTooLong
from notify_letters.pdf.typesetter import Pdf, Typesetter
from notify_letters.store import batches, letters

HEARTBEAT_SECONDS = 5
UPLOADS = 8


class Layouts(Protocol):
    """Compiled template versions."""

    def get_many(self, keys: Sequence[TemplateKey]) -> Mapping[TemplateKey, LetterLayout | None]:
        """The layouts of template versions; None where there is no such version."""
        ...


class LeaseLost(Exception):
    """Another task has the batch by now."""


class RenderBatch:
    """Renders one batch: PDFs into the blob store, then one transaction for all its letters.

    Idempotency keys: the batch's lease, each letter's state, and the PDF's key, which is the letter's id.
    Dying before the transaction leaves PDFs that the next task writes over; dying after it leaves nothing to
    do. A letter that can't be typeset fails alone; when something that all letters need is down, the whole
    batch comes up again later.
    """

    def __init__(
        self, uow: UnitOfWork, queue: Queue, layouts: Layouts, typesetter: Typesetter, blobs: BlobStore
    ) -> None:
        self._uow = uow
        self._queue = queue
        self._layouts = layouts
        self._typesetter = typesetter
        self._blobs = blobs
        self._log = get_logger()

    def __call__(self, batch_id: UUID) -> bool:
        """Render the batch; False when there was nothing to do: done, parked, or in another task's hands."""
        with self._uow.begin() as conn:
            batch = batches.claim_one(conn, self._queue, batch_id)
            if batch is None:
                return False
            rows = letters.to_render(conn, batch_id)
        with (
            current.bind(request_id=batch.request_id, traceparent=batch.traceparent),
            span("render_batch", batch_id=str(batch_id)),
        ):
            try:
                outcomes = self._render(batch, rows)
                self._record(batch, outcomes)
            except LeaseLost:
                self._log.warning("render batch lost its lease", batch_id=str(batch_id))
                return False
            except Exception as error:
                # the row is the retry: raising would only make Celery log the arguments
                with self._uow.begin() as conn:
                    self._queue.fail(conn, [batch], type(error).__name__)
                self._log.error(
                    "render batch failed",
                    batch_id=str(batch_id),
                    attempt=batch.attempt,
                    **describe_exception(error),
                )
                return False
            self._log.info("render batch done", batch_id=str(batch_id), letter_count=len(outcomes))
        return True

    def _render(self, batch: Row[Any], rows: Sequence[Row[Any]]) -> list[Rendered]:
        keys = {row.id: TemplateKey(row.service_id, row.template_id, row.template_version) for row in rows}
        layouts = self._layouts.get_many(list(dict.fromkeys(keys.values())))
        outcomes: list[Rendered] = []
        uploads: list[Future[None]] = []
        beaten = clock.monotonic()
        with ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload") as pool:
            for row in rows:
                if clock.monotonic() - beaten > HEARTBEAT_SECONDS:
                    self._heartbeat(batch)
                    beaten = clock.monotonic()
                pdf = self._typeset(row, layouts[keys[row.id]])
                if isinstance(pdf, EventKind):
                    outcomes.append(not_rendered(row.id, pdf))
                    continue
                outcomes.append(rendered(row.id, pdf.page_count))
                uploads.append(pool.submit(self._upload, row.id, pdf.content))
            self._finish(batch, uploads)
        return outcomes

    def _finish(self, batch: Row[Any], uploads: Iterable[Future[None]]) -> None:
        """Wait for uploads, which a slow store may draw out beyond a lease."""
        waiting = set(uploads)
        while waiting:
            ended, waiting = wait(waiting, HEARTBEAT_SECONDS, FIRST_EXCEPTION)
            for upload in ended:
                upload.result()
            if waiting:
                self._heartbeat(batch)

    def _typeset(self, row: Row[Any], layout: LetterLayout | None) -> Pdf | EventKind:
        """The PDF, or what became of the letter without one."""
        if layout is None:
            self._log.error("letter's template version is unknown", notification_id=str(row.id))
            return EventKind.TECHNICAL_FAILURE
        try:
            data = layout.letter(dict(row.personalisation), row.address_lines, row.create_time)
            return self._typesetter.typeset(data, row.create_time)
        except LetterTooLong:
            return EventKind.VALIDATION_FAILED
        except MemoryError:
            raise
        except Exception as error:  # whatever a letter provokes, the others of its batch go on
            self._log.error(
                "letter can't be typeset", notification_id=str(row.id), **describe_exception(error)
            )
            return EventKind.TECHNICAL_FAILURE

    def _upload(self, letter_id: UUID, pdf: bytes) -> None:
        self._blobs.put(pdf_key(letter_id), pdf, content_type="application/pdf")

    def _heartbeat(self, batch: Row[Any]) -> None:
        with self._uow.begin() as conn:
            if not self._queue.heartbeat(conn, [batch]):
                raise LeaseLost

    def _record(self, batch: Row[Any], outcomes: Sequence[Rendered]) -> None:
        with self._uow.begin() as conn:
            if not self._queue.finish(conn, [batch]):
                raise LeaseLost
            letters.record_rendered(conn, outcomes, ids.uuid7(), batch.request_id, batch.traceparent)

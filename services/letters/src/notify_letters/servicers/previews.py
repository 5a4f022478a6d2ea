"""PreviewsService: converts and calls, decides nothing."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from typing import Any, Final

import grpc
from notify.letters.v1 import previews_service_pb2 as pb
from notify.letters.v1.previews_service_pb2_grpc import PreviewsServiceServicer
from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.errors import FieldViolation, NotifyError, invalid_field

from notify_letters.domain.letter import sheets
from notify_letters.domain.template import TemplateVersion
from notify_letters.pdf.reader import PdfReader, Zones
from notify_letters.servicers.letters import value_of
from notify_letters.usecases.previews import (
    Format,
    PreviewCommand,
    draw_page,
    get_attachment_page_image,
    mark_pdf,
    render_preview,
    sanitise_pdf,
)
from notify_letters.usecases.template_assets import Logos

_CHUNK_BYTES: Final = 256 * 1024
_WAIT_SECONDS: Final = 8.0
_ZONES: Final = {pb.PAGE_RULES_LETTER: Zones.LETTER, pb.PAGE_RULES_ATTACHMENT: Zones.ATTACHMENT}
_FORMATS: Final = {
    pb.RenderPreviewRequest.FORMAT_PDF: Format.PDF,
    pb.RenderPreviewRequest.FORMAT_PNG: Format.PNG,
    pb.RenderPreviewRequest.FORMAT_COUNT: Format.COUNT,
}


class PreviewsServicer(PreviewsServiceServicer):
    """Looks of letters that are not sent.

    Each takes a process of its own, so only so many are made at the same time.
    """

    def __init__(
        self,
        reader: PdfReader,
        attachments: BlobStore | None,
        logos: Logos,
        head: Sequence[str],
        processes: int,
    ) -> None:
        self._reader = reader
        self._attachments = attachments
        self._logos = logos
        self._head = head
        self._processes = threading.BoundedSemaphore(processes)

    def RenderPreview(
        self, request: pb.RenderPreviewRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.RenderPreviewResponse]:
        """Typeset wording; see the proto."""
        time = request.letter_time.ToDatetime(UTC) if request.HasField("letter_time") else clock.now()
        command = PreviewCommand(
            service_id=request.service_id,
            version=TemplateVersion(
                request.subject,
                request.content,
                request.welsh_subject,
                request.welsh_content,
                request.contact_block,
            ),
            personalisation=[(field.key, value_of(field)) for field in request.personalisation],
            letter_time=time,
            format=_FORMATS[request.format],
            page_number=request.page_number or 1,
            attachment_id=request.attachment_id,
            logo_filename=request.logo_filename,
        )
        with self._process():
            preview, made = render_preview(self._reader, self._attachments, self._logos, self._head, command)
        metadata = pb.PreviewMetadata(**preview._asdict(), sheet_count=sheets(preview.page_count))
        yield pb.RenderPreviewResponse(metadata=metadata)
        yield from _chunks(made, pb.RenderPreviewResponse)

    def DrawPdf(
        self, request: pb.DrawPdfRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.DrawPdfResponse]:
        """Draw a PDF; see the proto."""
        zones = _ZONES.get(request.page_rules)
        if zones is None and not request.page_number:
            raise invalid_field(FieldViolation("page_rules", "should say what to mark"))
        with self._process():
            if zones is not None and not request.page_number:
                made, page_count = mark_pdf(self._reader, request.pdf, zones)
            else:
                made, page_count = draw_page(self._reader, request.pdf, request.page_number, zones)
        yield pb.DrawPdfResponse(metadata=pb.DrawingMetadata(page_count=page_count))
        yield from _chunks(made, pb.DrawPdfResponse)

    def SanitisePdf(
        self, request: pb.SanitisePdfRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.SanitisePdfResponse]:
        """Check a PDF and make it printable; see the proto."""
        with self._process():
            inspected, printable = sanitise_pdf(
                self._reader,
                request.pdf,
                _ZONES[request.page_rules],
                allow_international=request.allow_international,
            )
        result = pb.SanitisedPdf(
            page_count=inspected.page_count,
            failure=inspected.failure,
            failure_pages=inspected.pages,
            address_lines=inspected.address_lines,
        )
        yield pb.SanitisePdfResponse(result=result)
        yield from _chunks(printable, pb.SanitisePdfResponse)

    def GetAttachmentPageImage(
        self, request: pb.GetAttachmentPageImageRequest, context: grpc.ServicerContext
    ) -> pb.GetAttachmentPageImageResponse:
        """Return a picture of a page of an attachment; see the proto."""
        with self._process():
            png, page_count = get_attachment_page_image(
                self._reader,
                self._attachments,
                request.service_id,
                request.attachment_id,
                request.page_number,
            )
        return pb.GetAttachmentPageImageResponse(png=png, page_count=page_count)

    @contextmanager
    def _process(self) -> Iterator[None]:
        if not self._processes.acquire(timeout=_WAIT_SECONDS):
            raise NotifyError("OVERLOADED", "as many previews as may be are being made")
        try:
            yield
        finally:
            self._processes.release()


def _chunks(content: bytes, response: Callable[..., Any]) -> Iterator[Any]:
    for start in range(0, len(content), _CHUNK_BYTES):
        yield response(chunk=content[start : start + _CHUNK_BYTES])

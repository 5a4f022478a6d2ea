"""LettersService: converts and calls, decides nothing."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import grpc
from notify.common.v1.common_pb2 import PersonalisationField
from notify.letters.v1 import letter_pb2
from notify.letters.v1 import letters_service_pb2 as pb
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceServicer
from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import KeyType, Lane, Postage
from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.rpc.enums import from_proto, from_text, optional_from_proto, to_proto
from notify_common.rpc.paging import Pager, page_size
from notify_content.postal_address import MIN_LINES

from notify_letters.domain.letter import (
    AwaitingLetter,
    Letter,
    LetterEvent,
    NewLetter,
    PersonalisationValue,
    PrecompiledPdf,
    Source,
)
from notify_letters.pdf.reader import PdfReader
from notify_letters.usecases.change_letters import cancel_letters, record_returned_letters, render_letters
from notify_letters.usecases.create_letters import create_letters
from notify_letters.usecases.read_letters import (
    download_pdf,
    get_letter,
    get_page_image,
    letters_awaiting_print,
    list_letter_events,
)
from notify_letters.usecases.upload_pdf import NewUpload, take_uploaded_pdf, upload_pdf

MAX_EVENTS = 500
_STREAMS: Final = 2
"""Lists being streamed at once, each of which has a thread of the process."""


class LettersServicer(LettersServiceServicer):
    """Letters from template to PDF, and from PDF to the printer."""

    def __init__(
        self, uow: UnitOfWork, blobs: BlobStore, uploads: BlobStore | None, reader: PdfReader, pager: Pager
    ) -> None:
        self._uow = uow
        self._blobs = blobs
        self._uploads = uploads
        self._reader = reader
        self._pager = pager
        self._streams = threading.BoundedSemaphore(_STREAMS)

    def UploadPdf(
        self, request_iterator: Iterator[pb.UploadPdfRequest], context: grpc.ServicerContext
    ) -> pb.UploadPdfResponse:
        """Take a PDF; see the proto."""
        first = next(request_iterator, None)
        if first is None or first.WhichOneof("part") != "header":
            raise invalid_field(FieldViolation("header", "should come first"))
        header = first.header
        upload = NewUpload(header.letter_id, header.service_id, header.size_bytes, header.sha256)
        duplicate = upload_pdf(self._uow, self._blobs, upload, (part.chunk for part in request_iterator))
        return pb.UploadPdfResponse(duplicate=duplicate)

    def TakeUploadedPdf(
        self, request: pb.TakeUploadedPdfRequest, context: grpc.ServicerContext
    ) -> pb.TakeUploadedPdfResponse:
        """Take a PDF from the admin web app's bucket; see the proto."""
        sha256 = take_uploaded_pdf(
            self._uow, self._blobs, self._uploads, request.service_id, request.letter_id
        )
        return pb.TakeUploadedPdfResponse(sha256=sha256)

    def BatchCreateLetters(
        self, request: pb.BatchCreateLettersRequest, context: grpc.ServicerContext
    ) -> pb.BatchCreateLettersResponse:
        """Take letters over; see the proto."""
        letters = [_new_letter(f"letters[{index}]", letter) for index, letter in enumerate(request.letters)]
        created = create_letters(self._uow, letters)
        return pb.BatchCreateLettersResponse(created_count=created, duplicate_count=len(letters) - created)

    def GetLetter(self, request: pb.GetLetterRequest, context: grpc.ServicerContext) -> pb.GetLetterResponse:
        """Return one letter; see the proto."""
        return pb.GetLetterResponse(
            letter=_letter(get_letter(self._uow, request.service_id, request.letter_id))
        )

    def DownloadPdf(
        self, request: pb.DownloadPdfRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.DownloadPdfResponse]:
        """Stream a PDF; see the proto."""
        pdf = download_pdf(
            self._uow, self._blobs, request.service_id, request.letter_id, request.offset_bytes
        )
        metadata = pb.PdfMetadata(size_bytes=pdf.size_bytes, page_count=pdf.page_count, sha256=pdf.sha256)
        yield pb.DownloadPdfResponse(metadata=metadata)
        for chunk in pdf.chunks:
            yield pb.DownloadPdfResponse(chunk=chunk)

    def GetPageImage(
        self, request: pb.GetPageImageRequest, context: grpc.ServicerContext
    ) -> pb.GetPageImageResponse:
        """Return a picture of a page; see the proto."""
        png, page_count = get_page_image(
            self._uow,
            self._blobs,
            self._reader,
            request.service_id,
            request.letter_id,
            request.page_number,
            mark_zones=request.mark_zones,
        )
        return pb.GetPageImageResponse(png=png, page_count=page_count)

    def BatchCancelLetters(
        self, request: pb.BatchCancelLettersRequest, context: grpc.ServicerContext
    ) -> pb.BatchCancelLettersResponse:
        """Cancel letters; see the proto."""
        outcomes = cancel_letters(
            self._uow,
            request.service_id,
            request.letter_ids,
            clock.now(),
            cancel_unknown=request.cancel_unknown,
        )
        return pb.BatchCancelLettersResponse(
            cancellations=[
                pb.Cancellation(
                    letter_id=letter_id,
                    outcome=from_text(pb.Cancellation.Outcome, outcome),  # type: ignore[arg-type]
                )
                for letter_id, outcome in zip(request.letter_ids, outcomes, strict=True)
            ]
        )

    def BatchRenderLetters(
        self, request: pb.BatchRenderLettersRequest, context: grpc.ServicerContext
    ) -> pb.BatchRenderLettersResponse:
        """Have PDFs made anew; see the proto."""
        count = render_letters(self._uow, request.service_id, request.letter_ids)
        return pb.BatchRenderLettersResponse(render_count=count)

    def BatchRecordReturnedLetters(
        self, request: pb.BatchRecordReturnedLettersRequest, context: grpc.ServicerContext
    ) -> pb.BatchRecordReturnedLettersResponse:
        """Record what the post brought back; see the proto."""
        recorded, unknown = record_returned_letters(self._uow, request.references)
        return pb.BatchRecordReturnedLettersResponse(recorded_count=recorded, unknown_references=unknown)

    def StreamLettersAwaitingPrint(
        self, request: pb.StreamLettersAwaitingPrintRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.StreamLettersAwaitingPrintResponse]:
        """Stream the letters that wait for a run; see the proto."""
        deadline = request.deadline.ToDatetime(UTC) if request.HasField("deadline") else None
        filters = {"list": "awaiting_letters", "deadline": str(deadline)}
        position = self._pager.decode(request.resume_token, filters)
        after = None
        if position is not None:
            postage, service_id, create_time, letter_id = position
            after = postage, service_id, datetime.fromisoformat(create_time), letter_id
        if not self._streams.acquire(blocking=False):
            raise NotifyError("OVERLOADED", "as many callers as can be are being streamed to")
        try:
            for page in letters_awaiting_print(self._uow, deadline, after):
                last = page[-1]
                at = (last.postage, last.service_id, last.create_time.isoformat(), last.id)
                yield pb.StreamLettersAwaitingPrintResponse(
                    letters=map(_awaiting, page), resume_token=self._pager.encode(at, filters)
                )
                if not context.is_active():
                    return
        finally:
            self._streams.release()

    def ListLetterEvents(
        self, request: pb.ListLetterEventsRequest, context: grpc.ServicerContext
    ) -> pb.ListLetterEventsResponse:
        """Return events after a cursor; see the proto."""
        limit = page_size(request.page_size, default=MAX_EVENTS, maximum=MAX_EVENTS)
        rows, next_cursor = list_letter_events(self._uow, request.cursor, limit)
        return pb.ListLetterEventsResponse(events=map(_event, rows), next_cursor=next_cursor)


def _new_letter(at: str, letter: letter_pb2.Letter) -> NewLetter:
    key_type = from_proto(KeyType, letter.key_type)
    if key_type == KeyType.TEAM:
        raise invalid_field(FieldViolation(f"{at}.key_type", "is a team key, which sends no letters"))
    precompiled = None
    if letter.HasField("precompiled"):
        pdf = letter.precompiled
        precompiled = PrecompiledPdf(pdf.allow_international, pdf.uploaded)
    elif len(letter.address_lines) < MIN_LINES:
        raise invalid_field(FieldViolation(f"{at}.address_lines", f"should have at least {MIN_LINES} items"))
    return NewLetter(
        id=letter.id,
        service_id=letter.service_id,
        key_type=key_type,
        template_id=letter.template_id,
        template_version=letter.template_version,
        personalisation=[(field.key, value_of(field)) for field in letter.personalisation],
        address_lines=list(letter.address_lines),
        postage=from_proto(Postage, letter.postage),
        reference=letter.reference,
        create_time=letter.create_time.ToDatetime(UTC),
        origin_request_id=letter.origin_request_id,
        traceparent=letter.traceparent,
        lane=optional_from_proto(Lane, letter.lane) or Lane.API,
        precompiled=precompiled,
    )


def value_of(field: PersonalisationField) -> PersonalisationValue:
    """Return a value as the domain has it."""
    match field.WhichOneof("value"):
        case "text":
            return field.text
        case "list":
            return list(field.list.items)
        case _:
            return None


def _letter(letter: Letter) -> letter_pb2.Letter:
    return letter_pb2.Letter(
        id=letter.id,
        service_id=letter.service_id,
        key_type=to_proto(letter.key_type),
        template_id=letter.template_id,
        template_version=letter.template_version,
        address_lines=letter.address_lines,
        postage=to_proto(letter.postage),
        reference=letter.reference,
        create_time=letter.create_time,
        origin_request_id=letter.origin_request_id,
        traceparent=letter.traceparent,
        state=from_text(letter_pb2.Letter.State, letter.state),  # type: ignore[arg-type]
        page_count=letter.page_count,
        sheet_count=letter.sheet_count,
        failure=letter.failure,
        failure_detail=letter.failure_detail,
        failure_pages=letter.failure_pages,
        remove_time=letter.remove_time,
        precompiled=letter_pb2.PrecompiledPdf() if letter.source is Source.PRECOMPILED else None,
    )


def _awaiting(letter: AwaitingLetter) -> pb.AwaitingLetter:
    return pb.AwaitingLetter(
        id=letter.id,
        service_id=letter.service_id,
        postage=to_proto(letter.postage),
        create_time=letter.create_time,
        page_count=letter.page_count,
        sheet_count=letter.sheet_count,
    )


def _event(event: LetterEvent) -> pb.LetterEvent:
    return pb.LetterEvent(
        letter_id=event.letter_id,
        kind=from_text(pb.LetterEvent.Kind, event.kind),  # type: ignore[arg-type]
        event_time=event.event_time,
        page_count=event.page_count,
        sheet_count=event.sheet_count,
        postage=to_proto(event.postage),
    )

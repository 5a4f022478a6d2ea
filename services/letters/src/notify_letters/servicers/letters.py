"""LettersService: converts and calls, decides nothing."""

from collections.abc import Iterator
from datetime import UTC

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1.common_pb2 import PersonalisationField
from notify.letters.v1 import letter_pb2
from notify.letters.v1 import letters_service_pb2 as pb
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceServicer
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import KeyType, Lane, Postage
from notify_common.errors import FieldViolation, invalid_field
from notify_common.rpc.enums import from_proto, from_text, optional_from_proto, to_proto
from notify_common.rpc.paging import page_size

from notify_letters.domain.letter import Letter, LetterEvent, NewLetter, PersonalisationValue
from notify_letters.usecases.create_letters import create_letters
from notify_letters.usecases.read_letters import download_pdf, get_letter, get_page_image, list_letter_events

MAX_EVENTS = 500


class LettersServicer(LettersServiceServicer):
    """Letters from template to PDF."""

    def __init__(self, uow: UnitOfWork, blobs: BlobStore) -> None:
        self._uow = uow
        self._blobs = blobs

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
        pdf = download_pdf(self._uow, self._blobs, request.service_id, request.letter_id)
        metadata = pb.PdfMetadata(size_bytes=pdf.size_bytes, page_count=pdf.page_count)
        yield pb.DownloadPdfResponse(metadata=metadata)
        for chunk in pdf.chunks:
            yield pb.DownloadPdfResponse(chunk=chunk)

    def GetPageImage(
        self, request: pb.GetPageImageRequest, context: grpc.ServicerContext
    ) -> pb.GetPageImageResponse:
        """Return a picture of a page; see the proto."""
        png, page_count = get_page_image(
            self._uow, self._blobs, request.service_id, request.letter_id, request.page_number
        )
        return pb.GetPageImageResponse(png=png, page_count=page_count)

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
    return NewLetter(
        id=letter.id,
        service_id=letter.service_id,
        key_type=key_type,
        template_id=letter.template_id,
        template_version=letter.template_version,
        personalisation=[(field.key, _value(field)) for field in letter.personalisation],
        address_lines=list(letter.address_lines),
        postage=from_proto(Postage, letter.postage),
        reference=letter.reference,
        create_time=letter.create_time.ToDatetime(UTC),
        origin_request_id=letter.origin_request_id,
        traceparent=letter.traceparent,
        lane=optional_from_proto(Lane, letter.lane) or Lane.API,
    )


def _value(field: PersonalisationField) -> PersonalisationValue:
    match field.WhichOneof("value"):
        case "text":
            return field.text
        case "list":
            return list(field.list.items)
        case _:
            return None


def _letter(letter: Letter) -> letter_pb2.Letter:
    create_time = Timestamp()
    create_time.FromDatetime(letter.create_time)
    return letter_pb2.Letter(
        id=letter.id,
        service_id=letter.service_id,
        key_type=to_proto(letter.key_type),
        template_id=letter.template_id,
        template_version=letter.template_version,
        address_lines=letter.address_lines,
        postage=to_proto(letter.postage),
        reference=letter.reference,
        create_time=create_time,
        origin_request_id=letter.origin_request_id,
        traceparent=letter.traceparent,
        state=from_text(letter_pb2.Letter.State, letter.state),  # type: ignore[arg-type]
        page_count=letter.page_count,
        sheet_count=letter.sheet_count,
    )


def _event(event: LetterEvent) -> pb.LetterEvent:
    event_time = Timestamp()
    event_time.FromDatetime(event.event_time)
    return pb.LetterEvent(
        letter_id=event.letter_id,
        kind=from_text(pb.LetterEvent.Kind, event.kind),  # type: ignore[arg-type]
        event_time=event_time,
        page_count=event.page_count,
        sheet_count=event.sheet_count,
    )

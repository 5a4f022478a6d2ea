"""LettersService: converts and calls, decides nothing."""

from collections.abc import Iterator

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1 import common_pb2
from notify.common.v1.common_pb2 import PersonalisationField
from notify.letters.v1 import letter_pb2
from notify.letters.v1 import letters_service_pb2 as pb
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceServicer
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import KeyType, Postage
from notify_common.rpc.enums import from_text, to_proto
from notify_common.rpc.paging import page_size
from notify_common.rpc.validate import Checker, validating

from notify_letters.domain.letter import MAX_CREATE, Letter, LetterEvent, NewLetter, PersonalisationValue
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
        with validating() as check:
            check.size("letters", request.letters, 1, MAX_CREATE)
            letters = [
                _new_letter(check, f"letters[{index}]", letter)
                for index, letter in enumerate(request.letters[:MAX_CREATE])
            ]
        created = create_letters(self._uow, letters)
        return pb.BatchCreateLettersResponse(created_count=created, duplicate_count=len(letters) - created)

    def GetLetter(self, request: pb.GetLetterRequest, context: grpc.ServicerContext) -> pb.GetLetterResponse:
        """Return one letter; see the proto."""
        service_id, letter_id = _ids(request)
        return pb.GetLetterResponse(letter=_letter(get_letter(self._uow, service_id, letter_id)))

    def DownloadPdf(
        self, request: pb.DownloadPdfRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.DownloadPdfResponse]:
        """Stream a PDF; see the proto."""
        service_id, letter_id = _ids(request)
        pdf = download_pdf(self._uow, self._blobs, service_id, letter_id)
        metadata = pb.PdfMetadata(size_bytes=pdf.size_bytes, page_count=pdf.page_count)
        yield pb.DownloadPdfResponse(metadata=metadata)
        for chunk in pdf.chunks:
            yield pb.DownloadPdfResponse(chunk=chunk)

    def GetPageImage(
        self, request: pb.GetPageImageRequest, context: grpc.ServicerContext
    ) -> pb.GetPageImageResponse:
        """Return a picture of a page; see the proto."""
        service_id, letter_id = _ids(request)
        png, page_count = get_page_image(self._uow, self._blobs, service_id, letter_id, request.page_number)
        return pb.GetPageImageResponse(png=png, page_count=page_count)

    def ListLetterEvents(
        self, request: pb.ListLetterEventsRequest, context: grpc.ServicerContext
    ) -> pb.ListLetterEventsResponse:
        """Return events after a cursor; see the proto."""
        limit = page_size(request.page_size, default=MAX_EVENTS, maximum=MAX_EVENTS)
        rows, next_cursor = list_letter_events(self._uow, request.cursor, limit)
        return pb.ListLetterEventsResponse(events=map(_event, rows), next_cursor=next_cursor)


def _ids(request: pb.GetLetterRequest | pb.DownloadPdfRequest | pb.GetPageImageRequest) -> tuple[str, str]:
    with validating() as check:
        return check.id("service_id", request.service_id), check.id("letter_id", request.letter_id)


def _new_letter(check: Checker, at: str, letter: letter_pb2.Letter) -> NewLetter:
    key_type = check.enum(f"{at}.key_type", common_pb2.KeyType, letter.key_type)
    postage = check.enum(f"{at}.postage", common_pb2.Postage, letter.postage)
    if key_type == KeyType.TEAM:
        check.fail(f"{at}.key_type", "is a team key, which sends no letters")
    check.size(f"{at}.address_lines", letter.address_lines, 3, 7)
    return NewLetter(
        id=check.id(f"{at}.id", letter.id),
        service_id=check.id(f"{at}.service_id", letter.service_id),
        # texts that failed their check stand in for nothing: the block's end refuses them
        key_type=KeyType(key_type or KeyType.TEAM),
        template_id=check.id(f"{at}.template_id", letter.template_id),
        template_version=check.number(f"{at}.template_version", letter.template_version, 1, 2**31 - 1),
        personalisation=[
            (check.text(f"{at}.personalisation[{index}].key", field.key), _value(check, at, index, field))
            for index, field in enumerate(letter.personalisation)
        ],
        address_lines=[
            check.required(f"{at}.address_lines[{index}]", line)
            for index, line in enumerate(letter.address_lines)
        ],
        postage=Postage(postage or Postage.SECOND),
        reference=check.required(f"{at}.reference", letter.reference, max_length=16),
        create_time=check.timestamp(f"{at}.create_time", letter),
        origin_request_id=check.text(f"{at}.origin_request_id", letter.origin_request_id),
        traceparent=check.text(f"{at}.traceparent", letter.traceparent),
    )


def _value(check: Checker, at: str, index: int, field: PersonalisationField) -> PersonalisationValue:
    name = f"{at}.personalisation[{index}]"
    match field.WhichOneof("value"):
        case "text":
            return check.text(f"{name}.text", field.text)
        case "list":
            return [check.text(f"{name}.list", item) for item in field.list.items]
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

"""PDFs that are printed behind the letters of a template (internal-api.md C5 to C7)."""

from collections.abc import Iterable
from typing import Any, Final

from flask import abort
from notify.admin.v1 import template_files_service_pb2 as pb
from notify.admin.v1.letter_attachment_pb2 import LetterAttachment
from notify.admin.v1.template_pb2 import Template
from notify_common.errors import NotifyError

from notify_gateway.admin.forms import INTEGER, TEXT, UUID, schema
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare, plain
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.clients import InternalClients
from notify_gateway.errors import Rows

LETTER_ATTACHMENT = Shape(
    LetterAttachment,
    "id original_filename page_count created_by_id",
    created_at="create_time",
    archived_at="archive_time",
    archived_by_id=nullable("archived_by_id"),
)
INPUT = Shape(LetterAttachment, "original_filename page_count created_by_id template_id")
CREATE = schema(
    "upload_id created_by_id original_filename page_count template_id",
    upload_id=UUID,
    created_by_id=UUID,
    original_filename={**TEXT, "maxLength": 1000},
    page_count={**INTEGER, "minimum": 1, "maximum": 1000},
    template_id=UUID,
)
ARCHIVE = schema("archived_by", archived_by=UUID)
ERRORS: Final[Rows] = {
    "TEMPLATE_HAS_ATTACHMENT": plain("template-already-has-attachment"),
    "FILE_ARCHIVED": plain("letter-attachment-already-archived"),
}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("letter_attachments", clients, ERRORS)
    one = "/letter-attachment/<uuid:letter_attachment_id>"

    @made.post("/letter-attachment", CREATE)
    def create(call: Call) -> Answer:
        request_id, given = call.form["upload_id"].lower(), INPUT.message(call.form)
        ask = pb.CreateLetterAttachmentRequest(request_id=request_id, letter_attachment=given)
        return bare(LETTER_ATTACHMENT.json(clients.ask(ask).letter_attachment), 201)

    @made.get(one)
    def get(call: Call) -> Answer:
        try:
            return bare(_read(clients, call.id("letter_attachment_id")))
        except NotifyError as error:
            if error.reason != "FILE_NOT_FOUND":
                raise
            abort(404)

    archived: dict[str, Any] = {"form": ARCHIVE, "names": {"archived_by": "archived_by_id"}}
    made.call("POST", f"{one}/archive", pb.ArchiveLetterAttachmentRequest, **archived)
    return made


def attachments_of(clients: InternalClients, templates: Iterable[Template]) -> list[Json]:
    """Return what is attached to each version of a template; None for nothing."""
    ids = [template.letter_attachment_id for template in templates]
    found = {one: _read(clients, one) if one else None for one in dict.fromkeys(ids)}
    return [found[one] for one in ids]


def _read(clients: InternalClients, attachment_id: str) -> Json:
    ask = pb.GetLetterAttachmentRequest(letter_attachment_id=attachment_id)
    return LETTER_ATTACHMENT.json(clients.ask(ask).letter_attachment)

"""The template preview service that the admin web app asks for looks of letters (internal-api.md §6).

Pages are drawn, and PDFs checked, by letters; nothing is stored. `filename` names the logo of a letter
branding. `hide_notify` has no effect, as the printer's mark is white.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, request
from notify.letters.v1 import previews_service_pb2 as pb
from notify_common.errors import NotifyError
from notify_common.rpc.options import LARGEST_CONTENT_BYTES

from notify_gateway.admin.forms import NULLABLE_TEXT, UUID, InvalidForm, schema
from notify_gateway.admin.routes import Answer, Call, Routes, bare
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.answers import json_response
from notify_gateway.clients import InternalClients
from notify_gateway.public.body import read_body, too_large
from notify_gateway.public.personalisation import to_fields

PREVIEW: Final = schema(
    "letter_contact_block template values filename",
    letter_contact_block=NULLABLE_TEXT,
    template={"type": "object"},
    values={"type": ["object", "null"]},
    filename=NULLABLE_TEXT,
    date=NULLABLE_TEXT,
)
ATTACHMENT: Final = schema("letter_attachment_id service_id", letter_attachment_id=UUID, service_id=UUID)
COUNTS: Final = Shape(pb.PreviewMetadata, "welsh_page_count attachment_page_count", count="page_count")
CHECKED: Final = Shape(
    pb.SanitisedPdf,
    "page_count",
    recipient_address=nullable("address_lines", "\n".join),
    message=nullable("failure"),
    invalid_pages=nullable("failure_pages", list),
)
NO_FILE: Final = "no-encoded-string"
"""What is said of a check without a PDF."""

_SECONDS: Final = 28.0
_LARGEST_PAGE_NUMBER: Final = 2**31 - 1
# Base64 with a line feed after each 57 bytes at the most
_LARGEST_ENCODED_BYTES: Final = LARGEST_CONTENT_BYTES * 3 // 2


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("previews", clients, seconds=_SECONDS)

    @made.post("/preview.pdf", PREVIEW)
    def preview_pdf(call: Call) -> Response:
        _, pdf = _render(clients, call, pb.RenderPreviewRequest.FORMAT_PDF)
        return _pdf(pdf)

    @made.post("/preview.png", PREVIEW)
    def preview_png(call: Call) -> Response:
        _, png = _render(clients, call, pb.RenderPreviewRequest.FORMAT_PNG, page_number("page"))
        return _png(png)

    @made.post("/get-page-count", PREVIEW)
    def count_pages(call: Call) -> Answer:
        counts, _ = _render(clients, call, pb.RenderPreviewRequest.FORMAT_COUNT)
        return bare(COUNTS.json(counts))

    @made.post("/letter_attachment_preview.png", ATTACHMENT)
    def preview_attachment(call: Call) -> Response:
        ask = pb.GetAttachmentPageImageRequest(
            service_id=call.form["service_id"].lower(),
            attachment_id=call.form["letter_attachment_id"].lower(),
            page_number=page_number("page"),
        )
        return _png(clients.ask(ask).png)

    @made.post("/precompiled-preview.png")
    def preview_precompiled(call: Call) -> Response:
        encoded = read_body(request.environ, _LARGEST_ENCODED_BYTES)
        try:
            pdf = base64.b64decode(encoded)
        except (binascii.Error, ValueError):
            raise NotifyError("PDF_UNREADABLE") from None
        return _png(draw(clients, pdf, page_number=page_number("page")))

    @made.post("/precompiled/overlay.png")
    def overlay_png(call: Call) -> Response:
        rules = _rules(call)
        return _png(draw(clients, _body(), page_number=page_number("page_number"), page_rules=rules))

    @made.post("/precompiled/overlay.pdf")
    def overlay_pdf(call: Call) -> Response:
        return _pdf(draw(clients, _body(), page_rules=_rules(call)))

    @made.post("/precompiled/sanitise")
    def sanitise(call: Call) -> Response:
        pdf = _body()
        if not pdf:
            return _checked(pb.SanitisedPdf(failure=NO_FILE), b"")
        ask = pb.SanitisePdfRequest(
            pdf=pdf,
            page_rules=_rules(call),
            allow_international=call.flag("allow_international_letters"),
        )
        parts = clients.ask(ask)
        return _checked(next(parts).result, joined(parts))

    return made


def draw(clients: InternalClients, pdf: bytes, **wanted: Any) -> bytes:
    """Return a page of a PDF as PNG, or a PDF with marks. Raises NotifyError as DrawPdf does."""
    if not pdf:
        raise NotifyError("PDF_UNREADABLE")
    if len(pdf) > LARGEST_CONTENT_BYTES:
        raise too_large(LARGEST_CONTENT_BYTES)
    parts = clients.ask(pb.DrawPdfRequest(pdf=pdf, **wanted))
    next(parts)
    return joined(parts)


def page_number(name: str) -> int:
    """Return a page's number in the query, the first where it is not there. Raises InvalidForm."""
    written = request.args.get(name) or "1"
    if not (written.isascii() and written.isdigit() and 1 <= int(written[:12]) <= _LARGEST_PAGE_NUMBER):
        raise InvalidForm({name: ["Not a valid integer."]})
    return int(written)


def _render(
    clients: InternalClients, call: Call, format: pb.RenderPreviewRequest.Format, number: int = 0
) -> tuple[pb.PreviewMetadata, bytes]:
    form = call.form
    template: Mapping[str, Any] = form["template"]
    attachment = template.get("letter_attachment")
    try:
        personalisation = to_fields(form["values"] or {}, sending=False)
    except RecursionError:
        raise NotifyError("JSON_INVALID") from None
    ask = pb.RenderPreviewRequest(
        service_id=_text(template, "service"),
        subject=_text(template, "subject"),
        content=_text(template, "content"),
        welsh_subject=_text(template, "letter_welsh_subject"),
        welsh_content=_text(template, "letter_welsh_content"),
        contact_block=form["letter_contact_block"] or "",
        personalisation=personalisation,
        format=format,
        page_number=number,
        attachment_id=_text(attachment, "id") if isinstance(attachment, dict) else "",
        logo_filename=form["filename"] or "",
    )
    if written := form.get("date"):
        ask.letter_time.FromDatetime(_time(written))
    if ask.ByteSize() > LARGEST_CONTENT_BYTES:
        raise NotifyError("LETTER_NOT_PREVIEWABLE")
    parts = clients.ask(ask)
    return next(parts).metadata, joined(parts)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidForm({name: ["Not a valid string."]})
    return value or ""


def _time(written: str) -> datetime:
    try:
        read = datetime.fromisoformat(written)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidForm({"date": ["Not a valid datetime."]}) from None


def _rules(call: Call) -> pb.PageRules:
    return pb.PAGE_RULES_ATTACHMENT if call.flag("is_an_attachment") else pb.PAGE_RULES_LETTER


def _body() -> bytes:
    return read_body(request.environ, LARGEST_CONTENT_BYTES)


def joined(parts: Iterator[Any]) -> bytes:
    """Return the file that is streamed in these parts."""
    return b"".join(part.chunk for part in parts)


def _checked(result: pb.SanitisedPdf, printable: bytes) -> Response:
    file = base64.b64encode(printable).decode() if printable else None
    return json_response({**CHECKED.json(result), "file": file}, 400 if result.failure else 200)


def _png(png: bytes) -> Response:
    return Response(png, mimetype="image/png")


def _pdf(pdf: bytes) -> Response:
    return Response(pdf, mimetype="application/pdf")

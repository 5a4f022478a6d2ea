"""Letters as the admin web app shows them (internal-api.md C4)."""

import base64
import json
from typing import Any, Final

from notify.letters.v1 import letters_service_pb2 as pb
from notify.letters.v1.letter_pb2 import Letter
from notify.letters.v1.previews_service_pb2 import PAGE_RULES_LETTER
from notify_common.rpc.options import LARGEST_CONTENT_BYTES

from notify_gateway.admin.forms import InvalidForm
from notify_gateway.admin.previews import draw, joined, page_number
from notify_gateway.admin.routes import Answer, Call, Routes, bare
from notify_gateway.clients import InternalClients

OUTSIDE: Final = "content-outside-printable-area"
"""What is wrong with a letter that is shown with marks where nothing may be printed."""

_SECONDS: Final = 28.0


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("letters", clients, seconds=_SECONDS)

    @made.get("/service/<uuid:service_id>/template/preview/<uuid:notification_id>/<file_type>")
    def preview_letter(call: Call) -> Answer:
        if call.path["file_type"] not in ("pdf", "png"):
            raise InvalidForm({"content": ["file_type must be pdf or png"]})
        service_id, letter_id = call.id("service_id"), call.id("notification_id")
        letter: Letter = clients.ask(pb.GetLetterRequest(service_id=service_id, letter_id=letter_id)).letter
        marked = letter.failure == OUTSIDE
        if call.path["file_type"] == "png":
            page: dict[str, Any] = {"page_number": page_number("page"), "mark_zones": marked}
            ask = pb.GetPageImageRequest(service_id=service_id, letter_id=letter_id, **page)
            content = clients.ask(ask).png
        else:
            content = joined(clients.ask(pb.DownloadPdfRequest(service_id=service_id, letter_id=letter_id)))
            # a larger one is shown as it came
            if marked and len(content) <= LARGEST_CONTENT_BYTES:
                content = draw(clients, content, page_rules=PAGE_RULES_LETTER)
        return bare({"content": base64.b64encode(content).decode(), "metadata": _metadata(letter)})

    return made


def _metadata(letter: Letter) -> dict[str, Any]:
    """What is known of a PDF that came ready made, as its object in the contract's store says it."""
    if not letter.HasField("precompiled"):
        return {}
    known = {"page_count": str(letter.page_count)}
    if letter.failure:
        known |= {
            "validation_status": "failed",
            "message": letter.failure,
            "invalid_pages": json.dumps(list(letter.failure_pages)),
        }
    return known

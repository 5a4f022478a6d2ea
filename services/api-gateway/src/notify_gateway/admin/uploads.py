"""Letters that people upload as PDFs (internal-api.md C1, B20, B21).

The admin web app has put the PDF into its bucket, named by the id that the letter will have, and had it
checked (§6). It goes the road of every letter that comes ready made: letters take it over and check it again.
"""

from collections.abc import Mapping
from datetime import UTC, date
from typing import Any, Final
from urllib.parse import unquote

from notify.admin.v1.services_service_pb2 import GetServiceRequest
from notify.common.v1.common_pb2 import KeyType, Postage
from notify.letters.v1.letters_service_pb2 import TakeUploadedPdfRequest
from notify.notifications.v1 import jobs_service_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify.notifications.v1.notification_pb2 import Notification
from notify_common import ids
from notify_common.errors import NotifyError
from notify_common.rpc import enums

from notify_gateway.admin.forms import STRING, TEXT, UUID, InvalidForm, schema
from notify_gateway.admin.jobs import COUNT, STATES
from notify_gateway.admin.notifications import (
    OF_EVERY_NOTIFICATION,
    PAGE_SIZE,
    Joined,
    caller,
    start_of_day,
    with_facts,
)
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare
from notify_gateway.admin.shapes import Shape, always, as_, each, whole
from notify_gateway.clients import InternalClients
from notify_gateway.errors import BAD_REQUEST, NO_RESULT, TABLE, Rows
from notify_gateway.public.sending import PrecompiledTemplates, refusal_of_letters

SEND: Final = schema(
    "postage filename created_by file_id recipient_address",
    postage={
        "enum": ["first", "second", "economy", "europe", "rest-of-world"],
        "wording": "invalid. It must be first, second, economy, europe or rest-of-world.",
    },
    filename={**TEXT, "maxLength": 1000},
    created_by=UUID,
    file_id=STRING,
    recipient_address={**STRING, "maxLength": 6000},
)
ERRORS: Final[Rows] = {
    "LETTERS_NOT_ALLOWED_FOR_KEY": TABLE["RECIPIENT_NOT_ALLOWED"],
    "NOTIFICATION_NOT_FOUND": NO_RESULT,
}
SHOWN_JOBS: Final = [value for word, value in STATES.items() if word not in ("cancelled", "scheduled")]
_ABROAD: Final = (Postage.POSTAGE_EUROPE, Postage.POSTAGE_REST_OF_WORLD)
_SECONDS: Final = 28.0
_MOST_DAYS: Final = 90
"""Longest time for which a service keeps letters."""


def _db_time(moment: Any) -> str:
    return str(moment.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M:%S"))


UPLOADED = Shape(
    Notification,
    "id postage",
    to="recipient",
    normalised_to=whole(lambda found: "".join(found.recipient.split()).lower()),
    key_name=always(None),
    api_key=always(None),
    personalisation=whole(lambda found: dict(found.address)),
    billable_units="cost.letter_sheets",
    international=whole(lambda found: found.postage in _ABROAD),
    phone_prefix=always(None),
    rate_multiplier=always(None),
    reply_to_text=always(None),
    unsubscribe_link=always(None),
    **OF_EVERY_NOTIFICATION,
)
"""A letter as lists have it (internal-api.md §2.2), without its template and who sent it."""
PRINT_DAY: Final = Shape(
    pb.GetUploadedLetterCountsResponse.PrintDay,
    id=always(None),
    original_file_name=always("Uploaded letters"),
    notification_count="letter_count",
    created_at=as_("deadline", _db_time),
    upload_type=always("letter_day"),
    template_type=always("letter"),
    recipient=always(None),
    statistics=always([]),
)
JOB: Final = Shape(
    jobs_service_pb2.Job,
    "id",
    original_file_name="file_name",
    notification_count="row_count",
    created_at=whole(lambda job: _db_time(job.start_time if job.HasField("start_time") else job.create_time)),
    upload_type=always("job"),
    template_type="channel",
    recipient=always(None),
    statistics=each("counts", COUNT),
)


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("uploads", clients, ERRORS, seconds=_SECONDS)
    templates = PrecompiledTemplates(clients)

    @made.post("/service/<uuid:service_id>/send-pdf-letter", SEND)
    def send_pdf_letter(call: Call) -> Answer:
        service_id, file_id = call.id("service_id"), _file_id(call.form)
        service = clients.ask(GetServiceRequest(service_id=service_id)).service
        refusal = refusal_of_letters(service.permissions, service.restricted, KeyType.KEY_TYPE_NORMAL)
        if refusal is not None:
            raise refusal
        # an accepted letter always has its PDF
        sha256 = clients.ask(TakeUploadedPdfRequest(letter_id=file_id, service_id=service_id)).sha256
        user_id = ids.canonical_uuid(call.form["created_by"])
        ask = pb.SendPrecompiledLetterRequest(
            request_id=file_id,
            caller=caller(service_id, user_id),
            template_id=templates.of(service_id),
            reference=call.form["filename"],
            postage=enums.from_text(Postage, call.form["postage"]),  # type: ignore[arg-type] # of the enum
            pdf_sha256=sha256,
            recipient_address=unquote(call.form["recipient_address"])[:2000],
        )
        try:
            clients.ask(ask)
        except NotifyError as error:
            # whatever it says otherwise: a letter that was sent is not sent again
            if error.reason != "REQUEST_ID_REUSED":
                raise with_facts(error, clients, user_id) from None
            clients.ask(pb.GetNotificationRequest(service_id=service_id, notification_id=file_id))
        return bare({"id": file_id}, 201)

    @made.get("/service/<uuid:service_id>/upload")
    def list_uploads(call: Call) -> Answer:
        service_id = call.id("service_id")
        ask = pb.GetUploadedLetterCountsRequest(
            service_id=service_id, template_id=templates.of(service_id), days=_days(call.query("limit_days"))
        )
        days = PRINT_DAY.list(clients.ask(ask).print_days)
        first = (_page(call) - 1) * PAGE_SIZE
        # as many jobs as may stand on the page, however many of the days stand before it
        skipped = max(0, first - len(days))
        wanted = jobs_service_pb2.GetJobsRequest(
            service_id=service_id,
            states=SHOWN_JOBS,
            without_contact_lists=True,
            offset=min(skipped, 1_000_000),
            page_size=PAGE_SIZE + len(days),
        )
        wanted.since_time.FromDatetime(start_of_day(ask.days))
        found = clients.ask(wanted)
        merged = sorted([*days, *JOB.list(found.jobs)], key=lambda one: str(one["created_at"]), reverse=True)
        shown = merged[first - skipped : first - skipped + PAGE_SIZE]
        return bare({"data": shown, **_page_of(len(days) + found.total_count)})

    @made.get("/service/<uuid:service_id>/upload/uploaded-letters/<print_date>")
    def list_uploaded_letters(call: Call) -> Answer:
        service_id, template_id = call.id("service_id"), templates.of(call.id("service_id"))
        asked: dict[str, Any] = {"print_date": _date(call.id("print_date")), "page_number": _page(call)}
        ask = pb.GetUploadedLettersRequest(
            service_id=service_id, template_id=template_id, page_size=PAGE_SIZE, **asked
        )
        found, joined = clients.ask(ask), Joined(clients, service_id)
        letters = [
            {
                **UPLOADED.json(one),
                "template": joined.template(template_id, 0),
                "created_by": joined.person(one.created_by_id),
            }
            for one in found.notifications
        ]
        return bare({"notifications": letters, **_page_of(found.total_count)})

    return made


def _page_of(total: int) -> dict[str, Json]:
    return {"page_size": PAGE_SIZE, "total": total, "links": {}}


def _file_id(form: Mapping[str, Json]) -> str:
    try:
        return ids.canonical_uuid(form["file_id"])
    except ValueError:
        raise NotifyError("INVALID_FIELD") from None


def _date(written: str) -> str:
    try:
        return date.fromisoformat(written).isoformat()
    except ValueError:
        raise InvalidForm(BAD_REQUEST) from None


def _page(call: Call) -> int:
    written = call.query("page") or "1"
    if not (written.isascii() and written.isdecimal() and 1 <= int(written[:8]) <= 1_000_000):
        raise InvalidForm(BAD_REQUEST)
    return int(written)


def _days(written: str) -> int:
    if not (written.isascii() and written.isdecimal()):
        return _MOST_DAYS
    return min(int(written[:8]), _MOST_DAYS) or _MOST_DAYS

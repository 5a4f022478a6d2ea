"""Jobs (internal-api.md B13 to B19, C3).

The admin web app has put the spreadsheet into its bucket, and what is to be sent into its metadata (§4.10).
"""

from datetime import UTC
from typing import Final
from urllib.parse import urlencode

from flask import abort, request
from notify.admin.v1.services_service_pb2 import GetServiceRequest
from notify.notifications.v1 import jobs_service_pb2 as pb
from notify.notifications.v1.batches_service_pb2 import StateCount

from notify_gateway.admin.forms import InvalidForm, fields, moment, nullable, uuid
from notify_gateway.admin.notifications import MOST_AT_ONCE, PAGE_SIZE, Joined, number_of, start_of_day
from notify_gateway.admin.routes import Answer, Call, Json, Routes, alone, bare, by_field, data, of_field
from notify_gateway.admin.shapes import Shape, each, whole
from notify_gateway.admin.shapes import nullable as empty_as_null
from notify_gateway.clients import InternalClients
from notify_gateway.errors import NO_RESULT, TABLE, Rows
from notify_gateway.presenters.notifications import states_of

CREATE: Final = fields(
    "created_by",
    first="id",
    id=uuid,
    created_by=uuid,
    scheduled_for=nullable(moment),
    contact_list_id=nullable(uuid),
)
CREATING: Final[Rows] = {
    "JOB_IN_PAST": of_field("scheduled_for", TABLE["JOB_IN_PAST"]),
    "JOB_TOO_FAR_AHEAD": of_field("scheduled_for", TABLE["JOB_TOO_FAR_AHEAD"]),
    "TEMPLATE_ARCHIVED": by_field("template", "Template has been deleted"),
}
CANCELLING: Final[Rows] = {
    reason: alone(TABLE[reason]) for reason in ("JOB_NOT_OF_LETTERS", "JOB_RUNNING", "JOB_LETTERS_SENT")
}
ERRORS: Final[Rows] = {"SERVICE_NOT_FOUND": NO_RESULT}
_MOST_ROWS: Final = 10_000
"""Of one answer; the web app reads spreadsheets in pages of 5,000."""
_SECONDS: Final = 28.0
STATES: Final = {
    "pending": pb.Job.STATE_PENDING,
    "scheduled": pb.Job.STATE_SCHEDULED,
    "in progress": pb.Job.STATE_IN_PROGRESS,
    "finished all notifications created": pb.Job.STATE_FINISHED,
    "sending limits exceeded": pb.Job.STATE_SENDING_LIMITS_EXCEEDED,
    "cancelled": pb.Job.STATE_CANCELLED,
    "error": pb.Job.STATE_ERROR,
}
"""Where jobs stand, in the contract's words; of its others there is none here."""
_WORDS: Final = {value: word for word, value in STATES.items()}
COUNT: Final = Shape(StateCount, status="state", count="message_count")
JOB: Final = Shape(
    pb.Job,
    "id archived",
    service="service_id",
    template="template_id",
    template_version="template_version",
    template_type="channel",
    original_file_name="file_name",
    notification_count="row_count",
    job_status=whole(lambda job: _WORDS[job.state]),
    statistics=each("counts", COUNT),
    created_at="create_time",
    updated_at="update_time",
    scheduled_for="scheduled_time",
    processing_started="start_time",
    processing_finished="finish_time",
    contact_list_id=empty_as_null("contact_list_id"),
)
"""A job, without what other services know of it."""


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("jobs", clients, ERRORS, seconds=_SECONDS)
    of_job = "/service/<uuid:service_id>/job/<job_id>"

    def shown(jobs: list[pb.Job], service_id: str) -> list[Json]:
        service = clients.ask(GetServiceRequest(service_id=service_id)).service
        joined = Joined(clients, service_id)
        return [
            {
                **JOB.json(job),
                "service_name": {"name": service.name},
                "template_name": joined.template(job.template_id, job.template_version)["name"],
                "created_by": {key: joined.person(job.created_by_id)[key] for key in ("id", "name")},
            }
            for job in jobs
        ]

    def one(job: pb.Job, status: int = 200) -> Answer:
        return data(shown([job], job.service_id)[0], status)

    @made.get("/service/<uuid:service_id>/job")
    def list_jobs(call: Call) -> Answer:
        page = number_of(request.args, "page", 1)
        ask = pb.GetJobsRequest(
            service_id=call.id("service_id"),
            states=[STATES[word] for word in call.query("statuses").split(",") if word in STATES],
            contact_list_id=call.query("contact_list_id").lower(),
            offset=(page - 1) * PAGE_SIZE,
            page_size=PAGE_SIZE,
        )
        if days := call.query("limit_days"):
            if not (days.isascii() and days.isdecimal()):
                raise InvalidForm({"limit_days": [f"{days} is not an integer"]})
            ask.since_time.FromDatetime(start_of_day(min(int(days[:8]), 3650)))
        found = clients.ask(ask)
        if page > 1 and not found.jobs:
            abort(404)
        jobs = shown(list(found.jobs), ask.service_id)
        links = _links(f"/service/{ask.service_id}/job", page, PAGE_SIZE, found.total_count)
        return bare({"data": jobs, "page_size": PAGE_SIZE, "total": found.total_count, "links": links})

    @made.post("/service/<uuid:service_id>/job", CREATE, CREATING)
    def create_job(call: Call) -> Answer:
        form = call.form
        # who makes it is shown with it: of nobody there is no job
        Joined(clients, call.id("service_id")).person(form["created_by"])
        ask = pb.CreateJobRequest(
            request_id=form["id"],
            service_id=call.id("service_id"),
            created_by_id=form["created_by"],
            scheduled_time=form.get("scheduled_for"),
            contact_list_id=form.get("contact_list_id") or "",
        )
        return one(clients.ask(ask).job, 201)

    @made.get("/service/<uuid:service_id>/job/scheduled-job-stats")
    def count_scheduled_jobs(call: Call) -> Answer:
        found = clients.ask(pb.CountScheduledJobsRequest(service_id=call.id("service_id")))
        first = found.first_time.ToDatetime(UTC).isoformat() if found.HasField("first_time") else None
        return bare({"count": found.job_count, "soonest_scheduled_for": first})

    @made.get(of_job)
    def get_job(call: Call) -> Answer:
        return one(clients.ask(pb.GetJobRequest(**call.path)).job)

    @made.post(f"{of_job}/cancel")
    def cancel_job(call: Call) -> Answer:
        return one(clients.ask(pb.CancelJobRequest(**call.path)).job)

    @made.post(f"{of_job}/cancel-letter-job", errors=CANCELLING)
    def cancel_job_letters(call: Call) -> Answer:
        ask = pb.CancelJobLettersRequest(**call.path)
        while (answer := clients.ask(ask)).has_more:
            pass
        return bare(answer.letter_count)

    @made.get(f"{of_job}/notification_count")
    def count_notifications(call: Call) -> Answer:
        counts = clients.ask(pb.GetJobRequest(**call.path)).job.counts
        return bare({"count": sum(one.message_count for one in counts)})

    @made.get(f"{of_job}/notifications")
    def list_notifications(call: Call) -> Answer:
        given = request.args
        page, size = number_of(given, "page", 1), min(number_of(given, "page_size", PAGE_SIZE), _MOST_ROWS)
        joined, total = Joined(clients, call.id("service_id")), 0
        rows: list[Json] = []
        write = joined.row if given.get("format_for_csv") else joined.notification
        states = states_of([word for word in given.getlist("status") if word])
        ask = pb.GetJobNotificationsRequest(**call.path, states=states, offset=(page - 1) * size)
        while len(rows) < size:
            ask.page_size = min(size - len(rows), MOST_AT_ONCE)
            found = clients.ask(ask)
            rows += [write(each) for each in found.notifications]
            total, ask.offset = found.total_count, ask.offset + ask.page_size
            if ask.offset >= total:
                break
        if page > 1 and not rows:
            abort(404)
        path = f"/service/{ask.service_id}/job/{ask.job_id}/notifications"
        links = _links(path, page, size, total)
        return bare({"notifications": rows, "page_size": size, "total": total, "links": links})

    return made


def _links(path: str, page: int, size: int, total: int) -> dict[str, str]:
    """Return where the pages around one are (internal-api.md §1.3)."""
    pages = -(-total // size)
    others = {"prev": page - 1} if page > 1 else {}
    others |= {"next": page + 1, "last": pages} if page < pages else {}
    kept = [(name, values) for name, values in request.args.items(multi=True) if name != "page"]
    return {name: f"{path}?{urlencode([*kept, ('page', number)])}" for name, number in others.items()}

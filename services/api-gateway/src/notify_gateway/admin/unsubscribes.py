"""Requests to unsubscribe, as services deal with them (internal-api.md B33 to B37)."""

from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from notify.admin.v1.templates_service_pb2 import GetTemplateRequest
from notify.notifications.v1 import unsubscribe_service_pb2 as pb
from notify_common.clock import LONDON

from notify_gateway.admin.forms import InvalidForm, moment
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare, by_key, plain
from notify_gateway.admin.shapes import Shape, always, as_, http_time
from notify_gateway.clients import InternalClients

REPORT: Final = Shape(
    pb.UnsubscribeReport,
    "service_id count",
    batch_id="id",
    created_at="create_time",
    earliest_timestamp="earliest_time",
    latest_timestamp="latest_time",
    processed_by_service_at="process_time",
    is_a_batched_report=always(True),
    will_be_archived_at="delete_time",
)
_NOT_YET: Final[dict[str, Any]] = dict.fromkeys(
    ("batch_id", "created_at", "processed_by_service_at"), always(None)
)
UNREPORTED: Final = Shape(
    pb.UnsubscribeStatistics,
    count="unreported_count",
    earliest_timestamp="unreported_earliest_time",
    latest_timestamp="unreported_latest_time",
    is_a_batched_report=always(False),
    will_be_archived_at="unreported_delete_time",
    **_NOT_YET,
)
"""What no report has yet, told like one; its service comes besides."""
STATISTICS: Final = Shape(
    pb.UnsubscribeStatistics,
    unsubscribe_requests_count="open_count",
    datetime_of_latest_unsubscribe_request=as_("latest_time", http_time),
)
_TIMES: Final = {"earliest_timestamp": "earliest_time", "latest_timestamp": "latest_time"}
BATCH: Final = Shape(
    pb.UnsubscribeReport,
    batch_id="id",
    **{name: as_(path, http_time) for name, path in _TIMES.items()},
)
REPORT_ID: Final = Shape(pb.UnsubscribeReport, report_id="id")
_UNKNOWN_REPORT: Final = {
    "UNSUBSCRIBE_REPORT_NOT_FOUND": by_key("batch_id", "No UnsubscribeRequestReport found for id:{report_id}")
}
_NO_REPORT: Final = {"UNSUBSCRIBE_REPORT_NOT_FOUND": plain("No report available for {report_id}")}
_SUMMARY_MISSING: Final = {
    "summary_data": "summary data needed to create an unsubscribe request report is missing"
}
_FLAG_MISSING: Final = {"marked_as_completed": "missing data for required field"}
_NO_FILE: Final = "N/A"
"""Said of emails that are no rows of a spreadsheet."""


class _Summary:
    """The times of a report, as the summary told them."""

    names: tuple[str, ...] = tuple(_TIMES)

    def check(self, body: Json) -> dict[str, Json]:
        """See Form."""
        try:
            return {name: moment(body[name]) for name in self.names}
        except (TypeError, KeyError, ValueError):
            raise InvalidForm(_SUMMARY_MISSING) from None


class _Flag:
    """Whether a report was dealt with."""

    names: tuple[str, ...] = ("processed",)

    def check(self, body: Json) -> dict[str, Json]:
        """See Form."""
        flag = body.get("report_has_been_processed") if isinstance(body, dict) else None
        if not isinstance(flag, bool):
            raise InvalidForm(_FLAG_MISSING)
        return {"processed": flag}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("unsubscribes", clients)
    service = "/service/<uuid:service_id>"

    def statistics(call: Call) -> pb.UnsubscribeStatistics:
        found: pb.UnsubscribeStatistics
        found = clients.ask(pb.GetUnsubscribeStatisticsRequest(**call.path)).unsubscribe_statistics
        return found

    @made.get(f"{service}/unsubscribe-request-reports-summary")
    def list_reports(call: Call) -> Answer:
        found = statistics(call)
        reports = REPORT.list(clients.all(pb.ListUnsubscribeReportsRequest(**call.path)))
        first = [{**UNREPORTED.json(found), **call.path}] if found.unreported_count else []
        return bare(first + reports)

    @made.get(f"{service}/unsubscribe-request-statistics")
    def get_statistics(call: Call) -> Answer:
        found = statistics(call)
        return bare(STATISTICS.json(found) if found.open_count else {})

    create, mark = f"{service}/create-unsubscribe-request-report", pb.MarkUnsubscribeReportRequest
    process = f"{service}/process-unsubscribe-request-report/<uuid:report_id>"
    made.call(
        "POST", create, pb.CreateUnsubscribeReportRequest, REPORT_ID, bare, form=_Summary(), names=_TIMES
    )
    made.call("POST", process, mark, form=_Flag(), errors=_UNKNOWN_REPORT)

    @made.get(f"{service}/unsubscribe-request-report/<uuid:report_id>", errors=_NO_REPORT)
    def get_report(call: Call) -> Answer:
        report = clients.ask(pb.GetUnsubscribeReportRequest(**call.path)).unsubscribe_report
        requests = clients.all(pb.ListUnsubscribeRequestsRequest(**call.path))
        told = list(_requests(clients, call.id("service_id"), requests))
        return bare({**BATCH.json(report), "unsubscribe_requests": told})

    return made


def _requests(
    clients: InternalClients, service_id: str, requests: Iterable[pb.UnsubscribeRequest]
) -> Iterator[dict[str, Any]]:
    names: dict[tuple[str, int], str] = {}
    for one in requests:
        template = (one.template_id, one.template_version)
        if template not in names:
            ask = GetTemplateRequest(
                service_id=service_id, template_id=one.template_id, version=one.template_version
            )
            names[template] = clients.ask(ask).template.name
        yield {
            "email_address": one.email_address,
            "template_name": names[template],
            "original_file_name": _NO_FILE,
            "template_sent_at": _local_time(one.send_time),
            "unsubscribe_request_received_at": _local_time(one.create_time),
        }


def _local_time(time: Timestamp) -> str:
    """Write a moment as `2024-05-17 16:58:38`, in London."""
    return f"{time.ToDatetime(UTC).astimezone(LONDON):%Y-%m-%d %H:%M:%S}"

"""Requests to unsubscribe, as services deal with them (internal-api.md B33 to B37)."""

from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from notify.admin.v1.templates_service_pb2 import GetTemplateRequest
from notify.notifications.v1 import unsubscribe_service_pb2 as pb
from notify_common.clock import LONDON

from notify_gateway.admin.forms import InvalidForm, moment
from notify_gateway.admin.routes import (
    Answer,
    Call,
    Json,
    Routes,
    bare,
    by_key,
    plain,
)
from notify_gateway.admin.shapes import Shape, always, http_time, z_time
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

    names: tuple[str, ...] = ("earliest_timestamp", "latest_timestamp")

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
        ask = pb.GetUnsubscribeStatisticsRequest(service_id=call.id("service_id"))
        found: pb.UnsubscribeStatistics
        found = clients.ask(ask).unsubscribe_statistics
        return found

    @made.get(f"{service}/unsubscribe-request-reports-summary")
    def list_reports(call: Call) -> Answer:
        found = statistics(call)
        reports = REPORT.list(clients.all(pb.ListUnsubscribeReportsRequest(service_id=call.id("service_id"))))
        return bare(([_unreported(call.id("service_id"), found)] if found.unreported_count else []) + reports)

    @made.get(f"{service}/unsubscribe-request-statistics")
    def get_statistics(call: Call) -> Answer:
        found = statistics(call)
        if not found.open_count:
            return bare({})
        latest = http_time(found.latest_time)
        return bare(
            {
                "unsubscribe_requests_count": found.open_count,
                "datetime_of_latest_unsubscribe_request": latest,
            }
        )

    made.call(
        "POST",
        f"{service}/create-unsubscribe-request-report",
        pb.CreateUnsubscribeReportRequest,
        REPORT_ID,
        bare,
        form=_Summary(),
        names={"earliest_timestamp": "earliest_time", "latest_timestamp": "latest_time"},
    )
    made.call(
        "POST",
        f"{service}/process-unsubscribe-request-report/<uuid:report_id>",
        pb.MarkUnsubscribeReportRequest,
        form=_Flag(),
        errors=_UNKNOWN_REPORT,
    )

    @made.get(f"{service}/unsubscribe-request-report/<uuid:report_id>", errors=_NO_REPORT)
    def get_report(call: Call) -> Answer:
        service_id, report_id = call.id("service_id"), call.id("report_id")
        ask = pb.GetUnsubscribeReportRequest(service_id=service_id, report_id=report_id)
        report = clients.ask(ask).unsubscribe_report
        requests = clients.all(pb.ListUnsubscribeRequestsRequest(service_id=service_id, report_id=report_id))
        return bare(
            {
                "batch_id": report.id,
                "earliest_timestamp": http_time(report.earliest_time),
                "latest_timestamp": http_time(report.latest_time),
                "unsubscribe_requests": list(_requests(clients, service_id, requests)),
            }
        )

    return made


def _unreported(service_id: str, found: pb.UnsubscribeStatistics) -> Json:
    return {
        "batch_id": None,
        "service_id": service_id,
        "count": found.unreported_count,
        "created_at": None,
        "earliest_timestamp": z_time(found.unreported_earliest_time),
        "latest_timestamp": z_time(found.unreported_latest_time),
        "processed_by_service_at": None,
        "is_a_batched_report": False,
        "will_be_archived_at": z_time(found.unreported_delete_time),
    }


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

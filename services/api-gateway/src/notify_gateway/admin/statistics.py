"""Counts of messages (internal-api.md B3 to B5, B8 to B11, B50)."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from flask import request
from notify.admin.v1.services_service_pb2 import ListServicesRequest
from notify.admin.v1.template_pb2 import Template
from notify.admin.v1.templates_service_pb2 import GetTemplateRequest
from notify.common.v1.common_pb2 import KEY_TYPE_TEST, Channel
from notify.notifications.v1.statistics_service_pb2 import MessageCount
from notify_common.rpc import enums

from notify_gateway.admin.counted import (
    CHANNELS,
    channel_of,
    counts,
    service_of,
    state_of,
    stats,
    templates_of,
    usage,
)
from notify_gateway.admin.days import (
    Days,
    financial_year,
    last_days,
    number_of_days,
    range_asked,
    range_or_today,
)
from notify_gateway.admin.forms import InvalidForm
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data
from notify_gateway.admin.templates import is_precompiled
from notify_gateway.clients import InternalClients

NO_YEAR: Final = "Year must be a number"
_FAILURES: Final = ("technical-failure", "temporary-failure", "permanent-failure", "virus-scan-failed")
_REPORTED: Final = ("delivered", "technical-failure", "temporary-failure", "permanent-failure", "sent")
_LONGEST_DAYS: Final = 7
_A_YEAR: Final = 365
_SECONDS: Final = 28.0


def routes(clients: InternalClients) -> Routes:
    """Return the routes of one service."""
    made = Routes("statistics", clients)
    one = "/service/<uuid:service_id>"

    def live(call: Call, days: Days, groups: str, **asked: Any) -> Iterable[MessageCount]:
        ids = [call.id("service_id")]
        return counts(clients, days, groups, services=ids, without_test_keys=True, **asked)

    @made.get(f"{one}/notifications/count")
    def count_sent(call: Call) -> Answer:
        days = last_days(number_of_days(call, "limit_days", "7"))
        types = request.args.getlist("template_type") or CHANNELS
        answers = usage(clients, days, "channel", services=[service_of(clients, call)])
        sums = [each for answer in answers for each in answer.sums]
        return bare(
            {"notifications_sent_count": sum(s.message_count for s in sums if channel_of(s) in types)}
        )

    @made.get(f"{one}/notifications/monthly")
    def count_by_month(call: Call) -> Answer:
        days = financial_year(call, NO_YEAR)
        service_of(clients, call)
        months: dict[str, Any] = {month: {channel: {} for channel in CHANNELS} for month in days.months()}
        for each in live(call, days, "month channel state"):
            months[each.day[:7]][channel_of(each)][state_of(each)] = each.count
        return data(months)

    @made.get(f"{one}/notifications/templates_usage/monthly")
    def count_templates_by_month(call: Call) -> Answer:
        sums: defaultdict[tuple[str, str], int] = defaultdict(int)
        for each in live(call, financial_year(call, NO_YEAR), "month template state"):
            if state_of(each) != "cancelled":
                sums[each.day, each.template_id] += each.count
        templates = templates_of(clients, call.id("service_id"), (id for _, id in sums))
        rows = [
            {
                "template_id": id,
                "name": templates[id].name,
                "type": _type(templates[id]),
                "month": int(day[5:7]),
                "year": int(day[:4]),
                "count": count,
                "is_precompiled_letter": is_precompiled(templates[id]),
            }
            for (day, id), count in sums.items()
            if id in templates
        ]
        return bare({"stats": sorted(rows, key=lambda row: (row["year"], row["month"], row["name"]))})

    @made.get(f"{one}/statistics")
    def get_statistics(call: Call) -> Answer:
        number = 0 if call.flag("today_only") else number_of_days(call, "limit_days", "7")
        return data(stats(live(call, last_days(number), "channel state")))

    @made.get(f"{one}/template-statistics")
    def count_templates(call: Call) -> Answer:
        found = list(live(call, last_days(_whole_days(call)), "template state"))
        templates = templates_of(clients, call.id("service_id"), (each.template_id for each in found))
        return data(
            [
                {
                    "template_id": template.id,
                    "template_name": template.name,
                    "template_type": _type(template),
                    "is_precompiled_letter": is_precompiled(template),
                    "status": state_of(each),
                    "count": each.count,
                }
                for each in found
                if (template := templates.get(each.template_id)) is not None
            ]
        )

    @made.get(f"{one}/template-statistics/last-used/<uuid:template_id>")
    def get_last_use(call: Call) -> Answer:
        service_id, template_id = call.id("service_id"), call.id("template_id")
        clients.ask(GetTemplateRequest(service_id=service_id, template_id=template_id))
        days = [each.day for each in live(call, last_days(_A_YEAR), "day", template_id=template_id)]
        return bare({"last_date_used": f"{max(days)}T00:00:00.000000Z" if days else None})

    return made


def report_routes(clients: InternalClients) -> Routes:
    """Return the routes of all services."""
    made = Routes("statistics_reports", clients, seconds=_SECONDS)

    @made.get("/service/monthly-data-by-service")
    def count_by_service(call: Call) -> Answer:
        asked = ListServicesRequest(only_active=True)
        services = {each.id: each for each in clients.all(asked) if not each.restricted}
        groups = "service month channel state"
        rows: defaultdict[tuple[str, str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for each in counts(clients, range_asked(call), groups, services=services, without_test_keys=True):
            state = "sending" if state_of(each) == "pending" else state_of(each)
            if state != "created":
                rows[each.day, each.service_id, channel_of(each)][state] += each.count
        return bare(
            [
                [month, id, services[id].name, channel, states["sending"], *(states[s] for s in _REPORTED)]
                for (month, id, channel), states in sorted(rows.items())
            ]
        )

    @made.get("/platform-stats")
    def count_all(call: Call) -> Answer:
        days = range_or_today(call)
        made: dict[str, Any] = {
            channel: {"total": 0, "test-key": 0, "failures": dict.fromkeys(_FAILURES, 0)}
            for channel in CHANNELS
        }
        for each in counts(clients, days, "channel key-type state"):
            figures = made[channel_of(each)]
            if each.key_type == KEY_TYPE_TEST:
                figures["test-key"] += each.count
                continue
            figures["total"] += each.count
            if (state := state_of(each)) in _FAILURES:
                figures["failures"][state] += each.count
        return bare(made)

    return made


def _whole_days(call: Call) -> int:
    name = "whole_days" if call.query("whole_days") else "limit_days"
    number = number_of_days(call, name, told_as="whole_days")
    if not 0 <= number <= _LONGEST_DAYS:
        raise InvalidForm({"whole_days": ["whole_days must be between 0 and 7"]})
    return number


def _type(template: Template) -> str:
    return enums.to_text(Channel, template.channel)

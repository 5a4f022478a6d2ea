"""Usage of all services, for those who run the platform (internal-api.md B12, B48, B51, B53 to B56)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from notify.admin.v1.organisation_pb2 import Organisation
from notify.admin.v1.organisations_service_pb2 import GetOrganisationRequest, ListOrganisationsRequest
from notify.admin.v1.service_pb2 import Service
from notify.admin.v1.services_service_pb2 import ListServicesRequest
from notify.admin.v1.user_pb2 import User
from notify.admin.v1.users_service_pb2 import GetUserRequest
from notify.common.v1.common_pb2 import Postage
from notify.notifications.v1 import usage_service_pb2 as pb
from notify.notifications.v1.statistics_service_pb2 import GetPerformanceRequest
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.rpc import enums

from notify_gateway.admin.counted import channel_of, usage
from notify_gateway.admin.days import Days, current_year, financial_year, range_asked, range_or_today
from notify_gateway.admin.organisations import sorted_by_name
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare, data
from notify_gateway.admin.shapes import Shape, as_, http_time
from notify_gateway.admin.shapes import nullable as or_null
from notify_gateway.admin.usage import NO_YEAR, money
from notify_gateway.clients import InternalClients

_SECONDS: Final = 28.0
_ABROAD: Final = frozenset({"europe", "rest-of-world"})
_PLURALS: Final = {"email": "emails", "sms": "sms", "letter": "letters"}
_POUND: Final = 1_000_000

LIVE_SERVICE = Shape(
    Service,
    service_id="id",
    service_name="name",
    organisation_type=or_null("organisation_type"),
    consent_to_research="consent_to_research",
    live_date=as_("go_live_time", http_time),
    sms_volume_intent="volume_sms",
    email_volume_intent="volume_email",
    letter_volume_intent="volume_letter",
)
BILLED_SERVICE = Shape(
    Service,
    "billing_reference purchase_order_number",
    service_id="id",
    service_name="name",
    contact_names="billing_contact_names",
    contact_email_addresses="billing_contact_email_addresses",
)
OF_PROVIDER = Shape(pb.UsageSum, "day provider")
OF_TEXTS = Shape(
    pb.UsageSum,
    sms_totals="message_count",
    sms_fragment_totals="unit_count",
    sms_chargeable_units="chargeable_count",
)


@dataclass(slots=True)
class Used:
    """What one service, or one day, used of each channel."""

    texts: pb.UsageSum = field(default_factory=pb.UsageSum)
    emails: pb.UsageSum = field(default_factory=pb.UsageSum)
    letters: pb.UsageSum = field(default_factory=pb.UsageSum)
    letter_rows: list[pb.UsageSum] = field(default_factory=list)
    """Letters by class of post and rate."""
    allowance: int = 0

    def add(self, one: pb.UsageSum) -> None:
        """Add a group of one channel."""
        channel = channel_of(one)
        total = {"sms": self.texts, "email": self.emails, "letter": self.letters}[channel]
        for name in ("message_count", "unit_count", "chargeable_count", "free_count", "cost_micropounds"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
        if channel == "letter":
            self.letter_rows.append(one)


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("usage_reports", clients, seconds=_SECONDS)

    def services(**asked: Any) -> list[Service]:
        return list(clients.all(ListServicesRequest(**asked)))

    def organisations() -> dict[str, Organisation]:
        found = clients.all(ListOrganisationsRequest())
        return {each.id: each for each in found}

    @made.get("/organisations/<uuid:organisation_id>/services-with-usage")
    def list_usage_of_organisation(call: Call) -> Answer:
        days = financial_year(call, NO_YEAR)
        asked = {"organisation_id": call.id("organisation_id")}
        clients.ask(GetOrganisationRequest(**asked))
        live = sorted_by_name(each for each in services(**asked) if _is_live(each))
        used = _by_service(clients, days, live)
        rows = [_of_organisation(each, used[each.id]) for each in live]
        return bare({"services": rows, "updated_at": clock.now().isoformat() if rows else None})

    @made.get("/service/live-services-data")
    def list_live_services(call: Call) -> Answer:
        live = [each for each in services(only_active=True) if _is_live(each)]
        used, all_ = _by_service(clients, current_year(), live), organisations()
        people = _people(clients, (each.go_live_user_id for each in live))
        live.sort(key=lambda each: (each.go_live_time.ToNanoseconds(), each.name))
        return data([_live(each, used[each.id], all_, people.get(each.go_live_user_id)) for each in live])

    @made.get("/platform-stats/data-for-billing-report")
    def list_bills(call: Call) -> Answer:
        days = range_asked(call, of_one_year=True)
        all_, found = organisations(), services()
        used = _by_service(clients, days, found)
        rows = [
            {**_organisation(each, all_), **BILLED_SERVICE.json(each), **_bill(used[each.id])}
            for each in found
            if used[each.id].texts.cost_micropounds or used[each.id].letters.message_count
        ]
        return bare(sorted(rows, key=_by_organisation))

    @made.get("/platform-stats/daily-volumes-report")
    def list_days(call: Call) -> Answer:
        by_day: defaultdict[str, Used] = defaultdict(Used)
        for answer in usage(clients, range_asked(call), "day channel"):
            for each in answer.sums:
                by_day[each.day].add(each)
        return bare(
            [
                {
                    "day": day,
                    **OF_TEXTS.json(used.texts),
                    "email_totals": used.emails.message_count,
                    "letter_totals": used.letters.message_count,
                    "letter_sheet_totals": used.letters.unit_count,
                }
                for day, used in sorted(by_day.items())
            ]
        )

    @made.get("/platform-stats/daily-sms-provider-volumes-report")
    def list_days_of_providers(call: Call) -> Answer:
        return bare(
            [
                {**OF_PROVIDER.json(each), **OF_TEXTS.json(each), "sms_cost": money(each.cost_micropounds)}
                for answer in usage(clients, range_asked(call), "day provider channel")
                for each in answer.sums
                if channel_of(each) == "sms"
            ]
        )

    @made.get("/platform-stats/volumes-by-service")
    def list_volumes(call: Call) -> Answer:
        days, all_ = range_asked(call), organisations()
        live = [each for each in services() if _is_live(each)]
        used = _by_service(clients, days, live)
        rows = [_volumes(each, used[each.id], all_) for each in live]
        return bare(sorted(rows, key=_by_organisation))

    @made.get("/performance-dashboard")
    def get_performance(call: Call) -> Answer:
        asked = range_or_today(call).asked()
        found = clients.ask(GetPerformanceRequest(**asked))
        totals = {channel_of(one): one.message_count for one in found.totals}
        days: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_PLURALS.values(), 0))
        for one in found.days:
            days[one.day][_PLURALS[channel_of(one)]] = one.message_count
        live, all_ = [each for each in services(only_active=True) if _is_live(each)], organisations()
        return bare(
            {
                "total_notifications": sum(totals.values()),
                **{f"{channel}_notifications": totals.get(channel, 0) for channel in _PLURALS},
                "notifications_by_type": [{"date": day, **counts} for day, counts in days.items()],
                "processing_time": [
                    {
                        "date": one.day,
                        "percentage_under_10_seconds": 100 * one.prompt_count / one.message_count,
                    }
                    for one in found.processing_days
                ],
                "live_service_count": len(live),
                "services_using_notify": [
                    {
                        "service_id": each.id,
                        "service_name": each.name,
                        **{name: value or None for name, value in _organisation(each, all_).items()},
                    }
                    for each in live
                ],
            }
        )

    return made


def _by_service(clients: InternalClients, days: Days, services: Iterable[Service]) -> defaultdict[str, Used]:
    used: defaultdict[str, Used] = defaultdict(Used)
    for answer in usage(clients, days, "service channel postage rate", services=services):
        for each in answer.sums:
            used[each.service_id].add(each)
        for allowance in answer.allowances:
            used[allowance.service_id].allowance = allowance.fragment_count
    return used


def _is_live(service: Service) -> bool:
    return service.count_as_live and not service.restricted


def _organisation(service: Service, all_: Mapping[str, Organisation]) -> dict[str, Json]:
    known = service.organisation_id in all_
    return {
        "organisation_id": service.organisation_id,
        "organisation_name": all_[service.organisation_id].name if known else "",
    }


def _by_organisation(row: Mapping[str, Json]) -> tuple[bool, str, str]:
    return not row["organisation_name"], row["organisation_name"], row["service_name"]


def _people(clients: InternalClients, ids: Iterable[str]) -> dict[str, User]:
    found: dict[str, User] = {}
    for id in filter(None, dict.fromkeys(ids)):
        try:
            found[id] = clients.ask(GetUserRequest(user_id=id)).user
        except NotifyError as error:
            if error.reason != "USER_NOT_FOUND":
                raise
    return found


def _of_organisation(service: Service, used: Used) -> dict[str, Json]:
    texts = used.texts
    return {
        "service_id": service.id,
        "service_name": service.name,
        "active": service.active,
        "free_sms_limit": used.allowance,
        "sms_remainder": max(used.allowance - texts.chargeable_count, 0),
        "sms_billable_units": texts.chargeable_count,
        "chargeable_billable_sms": texts.chargeable_count - texts.free_count,
        "sms_cost": money(texts.cost_micropounds),
        "letter_cost": money(used.letters.cost_micropounds),
        "emails_sent": used.emails.message_count,
    }


def _live(
    service: Service, used: Used, organisations: Mapping[str, Organisation], person: User | None
) -> dict[str, Json]:
    return {
        **LIVE_SERVICE.json(service),
        "organisation_name": _organisation(service, organisations)["organisation_name"] or None,
        "contact_name": person.name if person else None,
        "contact_email": person.email_address if person else None,
        "contact_mobile": person.mobile_number or None if person else None,
        "sms_totals": used.texts.message_count,
        "email_totals": used.emails.message_count,
        "letter_totals": used.letters.message_count,
        "free_sms_fragment_limit": used.allowance,
    }


def _bill(used: Used) -> dict[str, Json]:
    return {
        "sms_cost": money(used.texts.cost_micropounds),
        "sms_chargeable_units": used.texts.chargeable_count - used.texts.free_count,
        "total_letters": used.letters.message_count,
        "letter_cost": money(used.letters.cost_micropounds),
        "letter_breakdown": _breakdown(used.letter_rows),
    }


def _volumes(service: Service, used: Used, organisations: Mapping[str, Organisation]) -> dict[str, Json]:
    return {
        "service_id": service.id,
        "service_name": service.name,
        **_organisation(service, organisations),
        "free_allowance": used.allowance,
        "sms_notifications": used.texts.message_count,
        "sms_chargeable_units": used.texts.chargeable_count,
        "email_totals": used.emails.message_count,
        "letter_totals": used.letters.message_count,
        "letter_sheet_totals": used.letters.unit_count,
        "letter_cost": money(used.letters.cost_micropounds),
    }


def _breakdown(letters: Iterable[pb.UsageSum]) -> str:
    """Return a line for each class and rate, such as `10 second class letters at 77p`."""
    counts: defaultdict[tuple[str, int], int] = defaultdict(int)
    for each in letters:
        postage = enums.to_text(Postage, each.postage)
        kind = "international" if postage in _ABROAD else f"{postage} class"
        counts[kind, each.rate_micropounds] += each.message_count
    return "".join(f"{n} {kind} letters at {_price(rate)}\n" for (kind, rate), n in sorted(counts.items()))


def _price(micropounds: int) -> str:
    pounds = money(micropounds)
    return f"£{pounds:,.2f}" if micropounds >= _POUND else f"{pounds * 100:.0f}p"

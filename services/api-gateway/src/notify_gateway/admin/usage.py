"""Rates, allowances, and what services used (internal-api.md B44 to B47, B49, C8)."""

from datetime import date
from decimal import Decimal
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1.common_pb2 import Postage
from notify.notifications.v1 import usage_service_pb2 as pb
from notify_common.rpc import enums

from notify_gateway.admin.counted import channel_of, service_of, usage
from notify_gateway.admin.days import financial_year
from notify_gateway.admin.forms import InvalidForm, schema
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare
from notify_gateway.admin.shapes import Shape, as_
from notify_gateway.answers import v2_shape
from notify_gateway.clients import InternalClients
from notify_gateway.errors import BAD_REQUEST

_MICRO: Final = Decimal("0.000001")
_PENNIES: Final = Decimal("0.01")


def naive_time(moment: Timestamp) -> str:
    """Write a moment as `2026-03-31T23:00:00`, in UTC."""
    return moment.ToDatetime().isoformat()


def pounds(micropounds: int) -> str:
    """Write money as `0.73` or `0.638`: pounds, two decimals or more."""
    exact = (micropounds * _MICRO).normalize()
    return f"{exact if exact != exact.quantize(_PENNIES) else exact.quantize(_PENNIES):f}"


def money(micropounds: int) -> float:
    """Return money as a number of pounds."""
    return float(micropounds * _MICRO)


LETTER_RATE = Shape(
    pb.Rates.LetterRate,
    "sheet_count",
    post_class="postage",
    rate=as_("rate_micropounds", pounds),
    start_date=as_("valid_from_time", naive_time),
)
ALLOWANCE = Shape(pb.Allowance, free_sms_fragment_limit="fragment_count", financial_year_start="year")
NO_YEAR: Final = "No valid year provided"
SET = schema("free_sms_fragment_limit", free_sms_fragment_limit={"type": "integer", "minimum": 0})


def routes(clients: InternalClients) -> Routes:
    """Return the routes of one service's usage and allowance."""
    made = Routes("usage", clients)
    billing = "/service/<uuid:service_id>/billing"
    one = f"{billing}/free-sms-fragment-limit"

    def organisation_type(call: Call) -> str:
        return service_of(clients, call).organisation_type

    def used(call: Call, groups: str) -> list[pb.UsageSum]:
        days = financial_year(call, NO_YEAR)
        (answer,) = usage(clients, days, groups, services=[service_of(clients, call)])
        return sorted(answer.sums, key=lambda each: (each.day, channel_of(each), each.rate_micropounds))

    @made.get(f"{billing}/monthly-usage")
    def list_monthly_usage(call: Call) -> Answer:
        return bare(
            [
                {
                    "month": f"{date.fromisoformat(each.day):%B}",
                    "postage": enums.to_text(Postage, each.postage) if each.postage else "none",
                    **_used(each),
                }
                for each in used(call, "month channel postage rate")
                if channel_of(each) != "email"
            ]
        )

    @made.get(f"{billing}/yearly-usage-summary")
    def list_yearly_usage(call: Call) -> Answer:
        return bare([_used(each) for each in used(call, "channel rate")])

    @made.get(one)
    def get_allowance(call: Call) -> Answer:
        year = call.query("financial_year_start")
        if year and not (year.isascii() and year.isdecimal() and len(year) == 4):
            raise InvalidForm(BAD_REQUEST)
        ask = pb.GetAllowanceRequest(
            service_id=call.id("service_id"), year=int(year or 0), organisation_type=organisation_type(call)
        )
        return bare(ALLOWANCE.json(clients.ask(ask).allowance))

    @made.post(one, SET)
    def set_allowance(call: Call) -> Answer:
        given = ALLOWANCE.message(call.form, service_id=call.id("service_id"))
        clients.ask(pb.SetAllowanceRequest(allowance=given, organisation_type=organisation_type(call)))
        return bare(dict(call.form), 201)

    return made


def _used(each: pb.UsageSum) -> dict[str, Json]:
    return {
        "notification_type": channel_of(each),
        "rate": money(each.rate_micropounds),
        "chargeable_units": each.chargeable_count,
        "charged_units": each.chargeable_count - each.free_count,
        "free_allowance_used": each.free_count,
        "notifications_sent": each.message_count,
        "cost": money(each.cost_micropounds),
    }


def rate_routes(clients: InternalClients) -> Routes:
    """Return the routes of rates, whose errors have the shape of the public API (internal-api.md §1.2)."""
    made = Routes("rates", clients, shape=v2_shape)

    @made.get("/sms-rate")
    def get_sms_rate(call: Call) -> Answer:
        rates = clients.ask(pb.GetRatesRequest()).rates
        rate = float(pounds(rates.sms_rate_micropounds))
        return bare({"rate": rate, "valid_from": naive_time(rates.sms_valid_from_time)})

    @made.get("/letter-rates")
    def list_letter_rates(call: Call) -> Answer:
        return bare(LETTER_RATE.list(clients.ask(pb.GetRatesRequest()).rates.letter_rates))

    return made

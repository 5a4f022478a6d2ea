"""Rates and allowances (internal-api.md B46, B47, B49, C8)."""

from decimal import Decimal
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from notify.admin.v1.services_service_pb2 import GetServiceRequest
from notify.notifications.v1 import usage_service_pb2 as pb

from notify_gateway.admin.forms import InvalidForm, schema
from notify_gateway.admin.routes import Answer, Call, Routes, bare
from notify_gateway.admin.shapes import Shape, as_
from notify_gateway.answers import v2_shape
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import Clients
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


LETTER_RATE = Shape(
    pb.Rates.LetterRate,
    "sheet_count",
    post_class="postage",
    rate=as_("rate_micropounds", pounds),
    start_date=as_("valid_from_time", naive_time),
)
ALLOWANCE = Shape(pb.Allowance, free_sms_fragment_limit="fragment_count", financial_year_start="year")
SET = schema("free_sms_fragment_limit", free_sms_fragment_limit={"type": "integer", "minimum": 0})


def routes(clients: Clients, client: ClientAuthenticator) -> Routes:
    """Return the routes of allowances."""
    made = Routes("allowances", client)
    one = "/service/<uuid:service_id>/billing/free-sms-fragment-limit"

    def organisation_type(call: Call) -> str:
        ask = GetServiceRequest(service_id=call.id("service_id"))
        return str(clients.services.GetService(ask).service.organisation_type)

    @made.get(one)
    def get_allowance(call: Call) -> Answer:
        year = call.query("financial_year_start")
        if year and not (year.isascii() and year.isdecimal() and len(year) == 4):
            raise InvalidForm(BAD_REQUEST)
        ask = pb.GetAllowanceRequest(
            service_id=call.id("service_id"), year=int(year or 0), organisation_type=organisation_type(call)
        )
        return bare(ALLOWANCE.json(clients.usage.GetAllowance(ask).allowance))

    @made.post(one, SET)
    def set_allowance(call: Call) -> Answer:
        given = ALLOWANCE.message(call.form, service_id=call.id("service_id"))
        ask = pb.SetAllowanceRequest(allowance=given, organisation_type=organisation_type(call))
        clients.usage.SetAllowance(ask)
        return bare(dict(call.form), 201)

    return made


def rate_routes(clients: Clients, client: ClientAuthenticator) -> Routes:
    """Return the routes of rates, whose errors have the shape of the public API (internal-api.md §1.2)."""
    made = Routes("rates", client, shape=v2_shape)

    @made.get("/sms-rate")
    def get_sms_rate(call: Call) -> Answer:
        rates = clients.usage.GetRates(pb.GetRatesRequest()).rates
        rate = float(pounds(rates.sms_rate_micropounds))
        return bare({"rate": rate, "valid_from": naive_time(rates.sms_valid_from_time)})

    @made.get("/letter-rates")
    def list_letter_rates(call: Call) -> Answer:
        return bare(LETTER_RATE.list(clients.usage.GetRates(pb.GetRatesRequest()).rates.letter_rates))

    return made

"""Rates in force and allowances, over gRPC and a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from notify.notifications.v1 import usage_service_pb2 as pb
from notify.notifications.v1 import usage_service_pb2_grpc as pb_grpc
from notify_common import clock
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_common.rpc.server import Registration
from notify_notifications.servicers.usage import SERVICE, UsageServicer
from notify_testing.database import FreshDatabase
from notify_testing.rpc import InProcessServer


class Usage:
    """The calls, at a moment of one's choice."""

    def __init__(self, stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stub, self._monkeypatch = stub, monkeypatch

    def at(self, year: int, month: int) -> None:
        """Let it be the middle of a month."""
        moment = datetime(year, month, 15, tzinfo=UTC)
        self._monkeypatch.setattr(clock, "now", lambda: moment)

    def rates(self) -> pb.Rates:
        """Return the rates in force."""
        rates: pb.Rates = self._stub.GetRates(pb.GetRatesRequest()).rates
        return rates

    def get(self, service_id: str, year: int = 0, organisation_type: str = "central") -> int:
        """Return an allowance."""
        ask = pb.GetAllowanceRequest(service_id=service_id, year=year, organisation_type=organisation_type)
        count: int = self._stub.GetAllowance(ask).allowance.fragment_count
        return count

    def set(self, service_id: str, count: int) -> None:
        """Set an allowance."""
        given = pb.Allowance(service_id=service_id, fragment_count=count)
        self._stub.SetAllowance(pb.SetAllowanceRequest(allowance=given, organisation_type="central"))


@pytest.fixture
def usage(fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Usage]:
    """Provide the service over an empty database."""
    engine = create_engine(fresh_database("notify_notifications"))
    add = pb_grpc.add_UsageServiceServicer_to_server
    served = [Registration(add, UsageServicer(UnitOfWork(engine)), SERVICE)]
    with InProcessServer("notifications", served, allowed_callers={SERVICE: ["gateway-internal"]}) as server:
        yield Usage(pb_grpc.UsageServiceStub(server.channel("gateway-internal")), monkeypatch)
    engine.dispose()


def test_rates_are_those_in_force(usage: Usage) -> None:
    usage.at(2026, 3)
    before = usage.rates()
    assert before.sms_rate_micropounds == 23_300
    assert {rate.rate_micropounds for rate in before.letter_rates if rate.sheet_count == 1} == {730_000}
    usage.at(2026, 7)
    rates = usage.rates()
    assert rates.sms_rate_micropounds == 24_000
    assert rates.sms_valid_from_time.ToDatetime() == datetime(2026, 3, 31, 23, 0)  # noqa: DTZ001 - as protos have it
    order = [(rate.sheet_count, rate.rate_micropounds) for rate in rates.letter_rates]
    assert len(order) == 25
    assert order == sorted(order)


def test_an_allowance_that_was_set_is_kept_by_later_years(usage: Usage) -> None:
    service_id, other = new_id(), new_id()
    usage.at(2024, 5)
    assert usage.get(service_id) == 30_000
    for count in (7, 8):
        usage.set(service_id, count)
    assert (usage.get(service_id), usage.get(service_id, 2023), usage.get(other)) == (8, 40_000, 30_000)
    usage.at(2026, 5)
    assert (usage.get(service_id), usage.get(service_id, 2025)) == (8, 8)
    usage.set(service_id, 20_000)
    assert (usage.get(service_id), usage.get(service_id, organisation_type="local")) == (20_000, 10_000)
    assert usage.get(service_id, 2025) == 8


@pytest.mark.parametrize("year", [2015, 2027, 9999, -1])
def test_years_without_allowances_have_none(usage: Usage, year: int) -> None:
    usage.at(2026, 5)
    with pytest.raises(NotifyError) as caught:
        usage.get(new_id(), year)
    assert caught.value.reason == "ALLOWANCE_NOT_FOUND"


def test_an_allowance_is_never_negative(usage: Usage) -> None:
    usage.at(2026, 5)
    with pytest.raises(NotifyError) as caught:
        usage.set(new_id(), -1)
    assert caught.value.reason == "INVALID_FIELD"

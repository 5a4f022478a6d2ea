"""What dashboards and bills are told, over gRPC and a real database (internal-api.md §§4.13, 4.15)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pytest
from notify.common.v1.common_pb2 import CHANNEL_EMAIL, CHANNEL_LETTER, CHANNEL_SMS, KEY_TYPE_TEST
from notify.notifications.v1 import statistics_service_pb2 as pb
from notify.notifications.v1 import usage_service_pb2 as usage_pb
from notify.notifications.v1.notification_pb2 import Notification
from notify.notifications.v1.statistics_service_pb2_grpc import (
    StatisticsServiceStub,
    add_StatisticsServiceServicer_to_server,
)
from notify.notifications.v1.usage_service_pb2_grpc import (
    UsageServiceStub,
    add_UsageServiceServicer_to_server,
)
from notify_common import clock
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel, KeyType, Postage
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_common.rpc.server import Registration
from notify_notifications.domain.counts import CountKey, Usage, UsageKey
from notify_notifications.domain.notification import State
from notify_notifications.servicers.statistics import StatisticsServicer
from notify_notifications.servicers.usage import UsageServicer
from notify_notifications.store.counts import add_counts, add_usage
from notify_notifications.usecases.usage import keep_allowances, list_allowances
from notify_testing.database import FreshDatabase
from notify_testing.rpc import InProcessServer

APRIL = date(2026, 4, 1)
LAST = date(2027, 3, 31)


class Figures:
    """Counts and usage facts, and who asks for them."""

    def __init__(self, uow: UnitOfWork, channel: Any) -> None:
        self.uow = uow
        self._statistics, self._usage = StatisticsServiceStub(channel), UsageServiceStub(channel)

    def count(self, changes: Mapping[tuple[Any, ...], int]) -> None:
        with self.uow.begin() as tx:
            add_counts(tx, {CountKey(*key): count for key, count in changes.items()})

    def use(self, changes: Mapping[tuple[Any, ...], tuple[int, int]]) -> None:
        """Add usage facts: (service, day, channel, multiplier, postage, sheets) -> (messages, units)."""
        made = {}
        for (service, day, channel, multiplier, postage, sheets), usage in changes.items():
            key = UsageKey(service, day, channel, TEMPLATE, "mmg", multiplier, postage, sheets)
            made[key] = Usage(*usage)
        with self.uow.begin() as tx:
            add_usage(tx, made)

    def counts(self, groups: list[Any], first: date = APRIL, last: date = LAST, **asked: Any) -> list[Any]:
        ask = pb.GetMessageCountsRequest(
            from_day=str(first),
            to_day=str(last),
            group_by=[pb.CountGroup.Name(one) for one in groups],
            **asked,
        )
        return list(self._statistics.GetMessageCounts(ask).counts)

    def sums(
        self,
        groups: list[Any],
        types: Mapping[str, str] | None = None,
        first: date = APRIL,
        last: date = LAST,
    ) -> usage_pb.SumUsageResponse:
        services = [
            usage_pb.ServiceOfType(service_id=id, organisation_type=type)
            for id, type in (types or {}).items()
        ]
        ask = usage_pb.SumUsageRequest(
            services=services, from_day=str(first), to_day=str(last), group_by=groups
        )
        answered: usage_pb.SumUsageResponse = self._usage.SumUsage(ask)
        return answered

    def allow(self, service_id: str, count: int, moment: datetime) -> None:
        given = usage_pb.Allowance(service_id=service_id, fragment_count=count)
        with clock.set_for_tests(moment):
            self._usage.SetAllowance(usage_pb.SetAllowanceRequest(allowance=given))


TEMPLATE, OTHER_TEMPLATE = new_id(), new_id()


@contextmanager
def figures_over(url: str) -> Iterator[Figures]:
    engine = create_engine(url)
    uow = UnitOfWork(engine)
    names = {name: f"notify.notifications.v1.{name}Service" for name in ("Statistics", "Usage")}
    served = [
        Registration(add_StatisticsServiceServicer_to_server, StatisticsServicer(uow), names["Statistics"]),
        Registration(add_UsageServiceServicer_to_server, UsageServicer(uow), names["Usage"]),
    ]
    with InProcessServer(
        "notifications", served, allowed_callers={name: ["gateway-internal"] for name in names.values()}
    ) as server:
        yield Figures(uow, server.channel("gateway-internal"))
    engine.dispose()


@pytest.fixture(scope="module")
def figures(module_database: FreshDatabase) -> Iterator[Figures]:
    with figures_over(module_database("notify_notifications")) as made:
        yield made


def test_counts_are_summed_up_by_group(figures: Figures) -> None:
    service, other = new_id(), new_id()
    live, tried = (Channel.SMS, TEMPLATE, KeyType.NORMAL), (Channel.SMS, TEMPLATE, KeyType.TEST)
    figures.count(
        {
            (service, APRIL, *live, State.DELIVERED): 3,
            (service, date(2026, 4, 30), *live, State.DELIVERED): 4,
            (service, date(2026, 4, 30), *live, State.SENDING): 1,
            (service, APRIL, *tried, State.DELIVERED): 9,
            (service, LAST, Channel.EMAIL, OTHER_TEMPLATE, KeyType.TEAM, State.CREATED): 2,
            (other, APRIL, *live, State.DELIVERED): 100,
            (service, date(2026, 3, 31), *live, State.DELIVERED): 1000,
            (service, date(2027, 4, 1), *live, State.DELIVERED): 1000,
        }
    )
    figures.count({(service, date(2026, 4, 30), *live, State.SENDING): -1})
    mine: dict[str, Any] = {"service_ids": [service]}
    (total,) = figures.counts([], **mine)
    assert total == pb.MessageCount(count=18)
    (may_be_tried,) = figures.counts([pb.COUNT_GROUP_KEY_TYPE], first=APRIL, last=APRIL, **mine)[1:]
    assert may_be_tried == pb.MessageCount(key_type=KEY_TYPE_TEST, count=9)
    months = figures.counts(
        [pb.COUNT_GROUP_MONTH, pb.COUNT_GROUP_CHANNEL, pb.COUNT_GROUP_STATE], without_test_keys=True, **mine
    )
    assert months == [
        pb.MessageCount(day="2026-04-01", channel=CHANNEL_SMS, state=Notification.STATE_DELIVERED, count=7),
        pb.MessageCount(day="2027-03-01", channel=CHANNEL_EMAIL, state=Notification.STATE_CREATED, count=2),
    ]
    days = figures.counts([pb.COUNT_GROUP_DAY], template_id=OTHER_TEMPLATE, **mine)
    assert days == [pb.MessageCount(day=str(LAST), count=2)]
    by_template = figures.counts([pb.COUNT_GROUP_TEMPLATE], **mine)
    assert {one.template_id: one.count for one in by_template} == {TEMPLATE: 16, OTHER_TEMPLATE: 2}
    both = figures.counts([pb.COUNT_GROUP_SERVICE], first=APRIL, last=APRIL, service_ids=[service, other])
    assert {one.service_id: one.count for one in both} == {service: 12, other: 100}


@pytest.mark.parametrize(
    ("groups", "services"),
    [([pb.COUNT_GROUP_SERVICE], 0), ([pb.COUNT_GROUP_TEMPLATE], 0), ([pb.COUNT_GROUP_TEMPLATE], 2)],
)
def test_groups_without_a_bound_are_refused(figures: Figures, groups: list[Any], services: int) -> None:
    with pytest.raises(NotifyError) as caught:
        figures.counts(groups, service_ids=[new_id() for _ in range(services)])
    assert caught.value.reason == "INVALID_FIELD"


def test_a_day_is_a_day(figures: Figures) -> None:
    with pytest.raises(NotifyError) as caught:
        figures.counts([], first="2026-13-1")  # type: ignore[arg-type] # what this is about
    assert caught.value.reason == "INVALID_FIELD"


def test_an_allowance_is_used_up_day_by_day(figures: Figures) -> None:
    service = new_id()
    sms = (Channel.SMS, 1, None, 0)
    figures.use(
        {
            (service, date(2026, 3, 31), *sms): (50, 50),
            (service, APRIL, *sms): (30, 60),
            (service, date(2026, 5, 1), Channel.SMS, 3, None, 0): (10, 10),
            (service, date(2026, 5, 2), *sms): (20, 20),
            (service, date(2026, 5, 2), Channel.LETTER, 0, Postage.SECOND, 2): (3, 6),
            (service, date(2026, 5, 2), Channel.EMAIL, 0, None, 0): (5, 0),
        }
    )
    figures.allow(service, 75, datetime(2026, 5, 15, tzinfo=UTC))
    by_month = [usage_pb.USAGE_GROUP_MONTH, usage_pb.USAGE_GROUP_CHANNEL]
    answered = figures.sums(by_month, {service: "central"})
    assert [(one.day, one.channel) for one in answered.sums] == [
        ("2026-04-01", CHANNEL_SMS),
        ("2026-05-01", CHANNEL_EMAIL),
        ("2026-05-01", CHANNEL_LETTER),
        ("2026-05-01", CHANNEL_SMS),
    ]
    april, mails, letters, may = answered.sums
    assert (april.unit_count, april.chargeable_count, april.free_count, april.cost_micropounds) == (
        60,
        60,
        60,
        0,
    )
    assert (mails.message_count, mails.chargeable_count, mails.cost_micropounds) == (5, 0, 0)
    assert (letters.message_count, letters.chargeable_count, letters.free_count) == (3, 3, 0)
    assert (letters.unit_count, letters.cost_micropounds) == (6, 3 * 770_000)
    assert (may.unit_count, may.chargeable_count, may.free_count) == (30, 50, 15)
    assert may.cost_micropounds == 35 * 24_000
    assert [(one.year, one.fragment_count) for one in answered.allowances] == [(2026, 75)]
    # what was used before the days asked for is used up all the same
    (late,) = figures.sums([], {service: ""}, first=date(2026, 5, 2), last=date(2026, 5, 2)).sums
    assert late.free_count == 0
    # nobody's allowance counts where all services are summed up
    (all_of_it,) = figures.sums([], first=APRIL, last=APRIL).sums
    assert all_of_it.free_count == 0


def test_who_sent_much_last_year_has_no_allowance_unless_one_was_set(figures: Figures) -> None:
    service, set_apart, little = new_id(), new_id(), new_id()
    day, sms = date(2025, 6, 1), (Channel.SMS, 3, None, 0)
    figures.use(
        {(service, day, *sms): (100_000, 100_000), (set_apart, day, *sms): (100_000, 100_000)}
        | {(little, day, *sms): (99_999, 99_999)}
    )
    figures.allow(set_apart, 7, datetime(2025, 6, 1, tzinfo=UTC))
    types = {service: "central", set_apart: "central", little: "central"}
    answered = figures.sums([usage_pb.USAGE_GROUP_SERVICE], types)
    allowed = {one.service_id: one.fragment_count for one in answered.allowances}
    assert allowed == {service: 0, set_apart: 7, little: 20_000}


def test_allowances_of_a_past_year_are_kept_and_later_ones_follow_the_type(figures: Figures) -> None:
    service, set_apart, unused = new_id(), new_id(), new_id()
    sms = (Channel.SMS, 1, None, 0)
    figures.use({(service, date(2024, 6, 1), *sms): (1, 2), (set_apart, date(2024, 6, 1), *sms): (1, 1)})
    figures.allow(set_apart, 7, datetime(2023, 6, 1, tzinfo=UTC))
    types = dict.fromkeys((service, set_apart, unused), "central")

    def listed(year: int) -> dict[str, tuple[int, int]]:
        found = list_allowances(figures.uow, lambda id: types.get(id, ""), year)
        return {one.service_id: (one.fragment_count, used) for one, used in found if one.service_id in types}

    assert listed(2024) == {service: (30_000, 2), set_apart: (7, 1)}
    for _ in range(2):
        keep_allowances(figures.uow, lambda id: types.get(id, ""), 2024)
    types[service] = "local"
    assert listed(2024) == {service: (30_000, 2), set_apart: (7, 1)}
    assert listed(2026) == {service: (10_000, 0), set_apart: (7, 0)}
    with pytest.raises(NotifyError) as caught:
        keep_allowances(figures.uow, lambda id: "", 9000)
    assert caught.value.reason == "ALLOWANCE_NOT_FOUND"


def test_days_of_two_financial_years_have_no_one_allowance(figures: Figures) -> None:
    with pytest.raises(NotifyError) as caught:
        figures.sums([], {new_id(): ""}, first=date(2026, 3, 31), last=APRIL)
    assert caught.value.reason == "INVALID_FIELD"

"""Links by which people get no more emails, and what services see of it (public-api.md §7)."""

from datetime import timedelta
from typing import Any

import pytest
from notify.notifications.v1 import unsubscribe_service_pb2 as pb
from notify.notifications.v1.unsubscribe_service_pb2_grpc import UnsubscribeServiceStub
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_notifications.domain.unsubscribe import LINK_LIFETIME
from notify_notifications.store.unsubscribes import delete_old

from .conftest import World
from .neighbours import at_once
from .requests import email

API = "http://localhost:6011/unsubscribe/"
PAGE = "http://localhost:6011/unsubscribe/page/"
BLOCK = "Unsubscribe from these emails"


class Mailing:
    """A service with a template whose emails carry a link."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stub: Any = UnsubscribeServiceStub(world.channel)
        self.service = world.admin.add_service()
        self.template = world.admin.add_template(self.service, "email", "News", has_unsubscribe_link=True)

    def send(self, **fields: Any) -> str:
        request = email(self.service, self.template, **fields)
        sent: str = self.world.stub.SendEmail(request).notification_id
        return sent

    def token(self, notification_id: str) -> str:
        """Return the token that reading the email shows."""
        url = self.world.get(self.service, notification_id).one_click_unsubscribe_url
        assert url.startswith(f"{API}{notification_id}/")
        return url.rpartition("/")[2]

    def unsubscribe(self, notification_id: str, token: str = "") -> bool:
        ask = pb.RecordUnsubscribeRequestRequest(
            notification_id=notification_id, token=token or self.token(notification_id)
        )
        new: bool = self.stub.RecordUnsubscribeRequest(ask).new_request
        return new

    def statistics(self) -> pb.UnsubscribeStatistics:
        ask = pb.GetUnsubscribeStatisticsRequest(service_id=self.service)
        found: pb.UnsubscribeStatistics = self.stub.GetUnsubscribeStatistics(ask).unsubscribe_statistics
        return found

    def report(self, **fields: Any) -> pb.UnsubscribeReport:
        """Make a report of all that is in none."""
        found = self.statistics()
        ask = pb.CreateUnsubscribeReportRequest(
            **{"request_id": new_id(), "service_id": self.service} | fields,
            earliest_time=found.unreported_earliest_time,
            latest_time=found.unreported_latest_time,
        )
        report: pb.UnsubscribeReport = self.stub.CreateUnsubscribeReport(ask).unsubscribe_report
        return report

    def mark(self, report_id: str, *, processed: bool, service: str = "") -> pb.UnsubscribeReport:
        ask = pb.MarkUnsubscribeReportRequest(
            service_id=service or self.service, report_id=report_id, processed=processed
        )
        report: pb.UnsubscribeReport = self.stub.MarkUnsubscribeReport(ask).unsubscribe_report
        return report

    def addresses(self, report_id: str) -> list[str]:
        ask = pb.ListUnsubscribeRequestsRequest(service_id=self.service, report_id=report_id)
        return [one.email_address for one in self.stub.ListUnsubscribeRequests(ask).unsubscribe_requests]


@pytest.fixture
def mailing(world: World) -> Mailing:
    return Mailing(world)


def test_an_email_carries_the_link_in_its_headers_and_at_its_end(world: World, mailing: Mailing) -> None:
    sent = mailing.send()
    world.relay()
    content = world.providers.dispatches[sent].email
    assert content.unsubscribe_url.startswith(f"{API}{sent}/")
    assert len(content.unsubscribe_url) < 800
    link = f"{PAGE}{sent}/{content.unsubscribe_url.rpartition('/')[2]}"
    assert f"{BLOCK}: {link}" in content.plain_body
    assert f'href="{link}"' in content.html_body
    assert mailing.unsubscribe(sent, content.unsubscribe_url.rpartition("/")[2])


def test_the_longest_address_has_a_link_that_a_header_holds(world: World, mailing: Mailing) -> None:
    address = f"{'a' * 64}@{'.'.join(['b' * 60] * 4)}.example"
    sent = mailing.send(email_address=address)
    world.relay()
    assert len(world.providers.dispatches[sent].email.unsubscribe_url) < 800


def test_the_client_s_own_address_wins_in_the_headers_alone(world: World, mailing: Mailing) -> None:
    own = "https://example.com/unsubscribe?x=1"
    sent = mailing.send(one_click_unsubscribe_url=own)
    world.relay()
    content = world.providers.dispatches[sent].email
    assert content.unsubscribe_url == own
    assert f"{PAGE}{sent}/" in content.html_body
    assert world.get(mailing.service, sent).one_click_unsubscribe_url == own


def test_a_template_without_it_sends_no_link(world: World, mailing: Mailing) -> None:
    plain = world.admin.add_template(mailing.service, "email", "News")
    sent = world.stub.SendEmail(email(mailing.service, plain)).notification_id
    world.relay()
    content = world.providers.dispatches[sent].email
    assert (content.unsubscribe_url, BLOCK in content.html_body) == ("", False)
    assert world.get(mailing.service, sent).one_click_unsubscribe_url == ""


def test_the_version_that_an_email_was_accepted_with_decides(world: World, mailing: Mailing) -> None:
    sent = mailing.send()
    world.admin.change_template(mailing.service, mailing.template, has_unsubscribe_link=False)
    world.relay()
    assert BLOCK in world.providers.dispatches[sent].email.html_body


def test_a_repeat_is_no_new_request_until_the_service_has_dealt_with_it(mailing: Mailing) -> None:
    sent = mailing.send()
    assert mailing.unsubscribe(sent)
    assert not mailing.unsubscribe(sent)
    report = mailing.report()
    assert not mailing.unsubscribe(sent)
    mailing.mark(report.id, processed=True)
    assert mailing.unsubscribe(sent)


def test_of_requests_that_come_at_once_one_is_kept(mailing: Mailing) -> None:
    sent = mailing.send()
    token = mailing.token(sent)
    assert sorted(at_once(*[lambda: mailing.unsubscribe(sent, token)] * 4)) == [False, False, False, True]


def test_a_link_outlives_its_email_for_a_year(world: World, mailing: Mailing) -> None:
    sent = mailing.send()
    token = mailing.token(sent)
    world.execute("DELETE FROM notifications")
    with (
        clock.set_for_tests(clock.now() + LINK_LIFETIME + timedelta(minutes=1)),
        pytest.raises(NotifyError) as caught,
    ):
        mailing.unsubscribe(sent, token)
    assert caught.value.reason == "LINK_EXPIRED"
    assert mailing.unsubscribe(sent, token)


@pytest.mark.parametrize("token", ["x", "é", "gAAAAA==", "a" * 4096])
def test_a_token_of_nobody_s_is_none(mailing: Mailing, token: str) -> None:
    with pytest.raises(NotifyError) as caught:
        mailing.unsubscribe(mailing.send(), token)
    assert caught.value.reason == "LINK_INVALID"


def test_a_token_holds_for_its_own_email_alone(mailing: Mailing) -> None:
    token = mailing.token(mailing.send())
    with pytest.raises(NotifyError) as caught:
        mailing.unsubscribe(mailing.send(), token)
    assert caught.value.reason == "NOTIFICATION_NOT_FOUND"
    assert mailing.statistics().open_count == 0


def test_a_report_holds_what_was_in_none_and_is_made_once(mailing: Mailing) -> None:
    for name in ("ann", "bob"):
        mailing.unsubscribe(mailing.send(email_address=f"{name}@example.com"))
    found = mailing.statistics()
    assert (found.open_count, found.unreported_count) == (2, 2)
    asked = pb.CreateUnsubscribeReportRequest(
        request_id=new_id(),
        service_id=mailing.service,
        earliest_time=found.unreported_earliest_time,
        latest_time=found.unreported_latest_time,
    )
    first, second = (mailing.stub.CreateUnsubscribeReport(asked).unsubscribe_report for _ in range(2))
    assert first == second
    assert first.count == 2
    assert mailing.addresses(first.id) == ["bob@example.com", "ann@example.com"]
    found = mailing.statistics()
    assert (found.open_count, found.unreported_count) == (2, 0)
    marked = mailing.mark(first.id, processed=True)
    assert mailing.mark(first.id, processed=True).process_time == marked.process_time
    assert mailing.statistics().open_count == 0
    assert not mailing.mark(first.id, processed=False).HasField("process_time")
    asked.latest_time.FromDatetime(clock.now())
    with pytest.raises(NotifyError) as caught:
        mailing.stub.CreateUnsubscribeReport(asked)
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_a_report_is_its_service_s_alone(world: World, mailing: Mailing) -> None:
    other = Mailing(world)
    mailing.unsubscribe(mailing.send())
    report = mailing.report()
    with pytest.raises(NotifyError) as caught:
        mailing.mark(report.id, processed=True, service=other.service)
    assert caught.value.reason == "UNSUBSCRIBE_REPORT_NOT_FOUND"
    assert other.addresses(report.id) == []
    assert other.statistics().open_count == 0


def test_requests_are_deleted_a_week_after_their_report_or_after_90_days(
    world: World, mailing: Mailing
) -> None:
    mailing.unsubscribe(mailing.send(email_address="reported@example.com"))
    report = mailing.report()
    mailing.unsubscribe(mailing.send(email_address="alone@example.com"))

    def left(after: timedelta) -> set[str]:
        with clock.set_for_tests(clock.now() + after), world.parts.uow.begin() as tx:
            delete_old(tx, 10)
        return {row.email_address for row in world.rows("SELECT email_address FROM unsubscribe_requests")}

    assert left(timedelta(days=6)) == {"reported@example.com", "alone@example.com"}
    assert left(timedelta(days=8)) == {"alone@example.com"}
    assert mailing.addresses(report.id) == []
    assert left(timedelta(days=91)) == set()

"""Reading notifications back (public-api.md §3.1, §3.2)."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from notify.common.v1 import common_pb2
from notify.notifications.v1 import notification_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import clock
from notify_common.errors import NotifyError

from .conftest import House
from .neighbours import new_id
from .requests import ADDRESS, email, letter, sms

NORMAL = common_pb2.KEY_TYPE_NORMAL


def listed(house: House, service: str, **filters: Any) -> pb.ListNotificationsResponse:
    given: dict[str, Any] = {"key_type": NORMAL} | filters
    request = pb.ListNotificationsRequest(service_id=service, **given)
    response: pb.ListNotificationsResponse = house.stub.ListNotifications(request)
    return response


def ids(response: pb.ListNotificationsResponse) -> list[str]:
    return [notification.id for notification in response.notifications]


@pytest.fixture
def sent(house: House) -> tuple[str, list[str]]:
    """A service with a text, an email and a letter of a live key, and a text of a test key, oldest first."""
    service = house.admin.add_service()
    text = house.admin.add_template(service, "sms", "x")
    requests: list[Any] = [
        sms(service, text, reference="r"),
        email(service, house.admin.add_template(service, "email", "x", "s"), reference=""),
        letter(service, house.admin.add_template(service, "letter", "x", "s")),
    ]
    for request, send in zip(
        requests, (house.stub.SendSms, house.stub.SendEmail, house.stub.SendLetter), strict=True
    ):
        send(request)
    house.stub.SendSms(sms(service, text, key_type="test"))
    return service, [request.request_id for request in requests]


def test_filters(house: House, sent: tuple[str, list[str]]) -> None:
    service, (text, mail, post) = sent
    state = notification_pb2.Notification
    assert ids(listed(house, service)) == [post, mail, text]
    assert ids(listed(house, service, key_type=common_pb2.KEY_TYPE_TEAM)) == []
    assert len(ids(listed(house, service, key_type=common_pb2.KEY_TYPE_TEST))) == 1
    channels = [common_pb2.CHANNEL_SMS, common_pb2.CHANNEL_LETTER]
    assert ids(listed(house, service, channels=channels)) == [post, text]
    assert ids(listed(house, service, reference="r")) == [text]
    assert ids(listed(house, service, reference="")) == [mail]
    house.providers.tell(mail, "sent", "delivered")
    house.apply_events()
    assert ids(listed(house, service, states=[state.STATE_DELIVERED])) == [mail]
    assert ids(listed(house, service, states=[state.STATE_CREATED, state.STATE_SENDING])) == [post, text]
    assert ids(listed(house, new_id())) == []


def test_older_than(house: House, sent: tuple[str, list[str]]) -> None:
    service, (text, mail, post) = sent
    assert ids(listed(house, service, older_than_id=post)) == [mail, text]
    assert ids(listed(house, service, older_than_id=text)) == []
    assert ids(listed(house, service, older_than_id=new_id())) == []
    other = house.admin.add_service()
    assert ids(listed(house, other, older_than_id=post)) == []


def test_pages(house: House) -> None:
    service = house.admin.add_service()
    template = house.admin.add_template(service, "sms", "x")
    requests = [sms(service, template, request_id=new_id()) for _ in range(7)]
    for request in requests:
        house.stub.SendSms(request)
    # of the same microsecond, so that the id decides
    house.execute("UPDATE notifications SET create_time = '2026-11-24T09:00:00Z'")
    seen: list[str] = []
    token = ""
    while True:
        page = listed(house, service, page_size=3, page_token=token)
        seen += ids(page)
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted((request.request_id for request in requests), reverse=True)


def test_a_page_of_long_emails_is_cut_to_what_the_wire_takes(house: House) -> None:
    service = house.admin.add_service()
    template = house.admin.add_template(service, "email", "((x))", "s")
    for _ in range(4):
        house.stub.SendEmail(email(service, template, [("x", "x" * 1_500_000)]))
    first = listed(house, service)
    assert len(first.notifications) == 2
    second = listed(house, service, page_token=first.next_page_token)
    assert len(second.notifications) == 2
    assert not second.next_page_token


def test_a_page_of_long_links_and_addresses_is_cut_too(house: House) -> None:
    service = house.admin.add_service()
    mail = house.admin.add_template(service, "email", "x", "s")
    post = house.admin.add_template(service, "letter", "x", "s")
    url = f"https://example.gov.uk/{'u' * 1_500_000}"
    for _ in range(2):
        house.stub.SendEmail(email(service, mail, one_click_unsubscribe_url=url))
        house.stub.SendLetter(letter(service, post, [("address_line_1", "x" * 1_500_000), *ADDRESS[1:]]))
    first = listed(house, service)
    assert len(first.notifications) == 2
    assert len(listed(house, service, page_token=first.next_page_token).notifications) == 2


def test_no_more_is_read_for_a_page_than_the_wire_takes(house: House) -> None:
    service = house.admin.add_service()
    template = house.admin.add_template(service, "sms", "x")
    requests = [sms(service, template, [("unused", "x" * 1_500_000)]) for _ in range(4)]
    for request in requests:
        house.stub.SendSms(request)
    first = listed(house, service)
    assert len(first.notifications) == 2
    second = listed(house, service, page_token=first.next_page_token)
    assert not second.next_page_token
    assert ids(first) + ids(second) == [request.request_id for request in reversed(requests)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_type": 0},
        {"key_type": 99},
        {"channels": [0]},
        {"states": [77]},
        {"older_than_id": "x"},
        {"page_size": -1},
        {"page_token": "rubbish"},
        {"reference": "a\0b"},
    ],
)
def test_bad_lists_are_invalid(house: House, wrong: dict[str, object]) -> None:
    with pytest.raises(NotifyError) as raised:
        listed(house, new_id(), **wrong)
    assert raised.value.reason in ("INVALID_FIELD", "PAGE_TOKEN_INVALID")


def test_a_page_token_belongs_to_its_filters(house: House, sent: tuple[str, list[str]]) -> None:
    service, _ = sent
    token = listed(house, service, page_size=1).next_page_token
    with pytest.raises(NotifyError) as raised:
        listed(house, service, page_size=1, page_token=token, reference="r")
    assert raised.value.reason == "PAGE_TOKEN_INVALID"


def test_another_service_s_notification_is_not_found(house: House, sent: tuple[str, list[str]]) -> None:
    _, (text, _, _) = sent
    for service, notification in ((house.admin.add_service(), text), (new_id(), new_id())):
        with pytest.raises(NotifyError) as raised:
            house.get(service, notification)
        assert raised.value.reason == "NOTIFICATION_NOT_FOUND"
    with pytest.raises(NotifyError) as raised:
        house.get("", "x")
    assert {violation.field for violation in raised.value.violations} == {"service_id", "notification_id"}


@pytest.mark.parametrize(
    ("postage", "last_line", "day"),
    [
        (common_pb2.POSTAGE_FIRST, "SW1A 1AA", date(2026, 11, 26)),
        (common_pb2.POSTAGE_SECOND, "SW1A 1AA", date(2026, 12, 2)),
        (common_pb2.POSTAGE_ECONOMY, "SW1A 1AA", date(2026, 12, 4)),
        (common_pb2.POSTAGE_FIRST, "France", date(2026, 12, 3)),
        (common_pb2.POSTAGE_FIRST, "Japan", date(2026, 12, 7)),
    ],
)
def test_a_letter_is_estimated_to_arrive_on_its_last_likely_day(
    house: House, postage: common_pb2.Postage, last_line: str, day: date
) -> None:
    service = house.admin.add_service()
    template = house.admin.add_template(service, "letter", "x", "s")
    house.admin.change_template(service, template, postage=postage)
    request = letter(service, template, [*ADDRESS[:2], ("address_line_7", last_line)])
    # printed on Wednesday the 25th
    with clock.set_for_tests(datetime(2026, 11, 24, 7, 10, 25, 65748, UTC)):
        house.stub.SendLetter(request)
    estimated = house.get(service, request.request_id).estimated_delivery_time
    assert estimated.ToDatetime(UTC) == datetime.combine(day, time(16, 0, 25, 65748, UTC))

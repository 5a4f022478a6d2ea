"""What members of a service send one by one, and how they find what was sent (internal-api.md B1, B7)."""

from typing import Any

import pytest
from notify.common.v1 import common_pb2
from notify.notifications.v1 import notification_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import World
from .requests import email, letter, sms

LIVE = [common_pb2.KEY_TYPE_NORMAL, common_pb2.KEY_TYPE_TEAM]


def by_member(world: World, request: Any) -> Any:
    request.caller.api_key_id, request.caller.created_by_id = "", world.admin.user_id
    return request


def found(world: World, service: str, **filters: Any) -> list[str]:
    return [one.id for one in page(world, service, **filters).notifications]


def page(world: World, service: str, **filters: Any) -> pb.GetActivityResponse:
    given: dict[str, Any] = {"key_types": LIVE} | filters
    answer: pb.GetActivityResponse = world.stub.GetActivity(
        pb.GetActivityRequest(service_id=service, **given)
    )
    return answer


def test_members_send_and_find_what_was_sent(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "Hello ((name))")
    one_off = by_member(world, sms(service, template, [("name", "Ann")], phone_number="07700 900321"))
    by_key = email(service, world.admin.add_template(service, "email", "x", "s"), reference="Case 7")
    tried = sms(service, template, [("name", "Bob")], key_type="test")
    post = letter(service, world.admin.add_template(service, "letter", "x", "s"))
    world.stub.SendSms(one_off)
    world.stub.SendSms(one_off)
    world.stub.SendEmail(by_key)
    world.stub.SendSms(tried)
    world.stub.SendLetter(post)
    text, mail, test, paper = (each.request_id for each in (one_off, by_key, tried, post))

    assert found(world, service) == [paper, mail, text]
    assert found(world, service, key_types=[*LIVE, common_pb2.KEY_TYPE_TEST]) == [paper, test, mail, text]
    assert found(world, service, by_keys_alone=True) == [paper, mail]
    assert found(world, service, channels=[common_pb2.CHANNEL_SMS]) == [text]
    assert found(world, service, states=[notification_pb2.Notification.STATE_DELIVERED]) == []
    assert found(world, service, search="900321") == [text]
    assert found(world, service, search="case 7") == [mail]
    assert found(world, service, search="%") == []
    assert found(world, service, older_than_id=mail) == [text]
    assert found(world, service, older_than_id=new_id()) == []
    assert found(world, new_id()) == []
    first, second = (page(world, service, page_size=2, page_number=number) for number in (1, 2))
    assert ([one.id for one in first.notifications], first.has_more) == ([paper, mail], True)
    assert ([one.id for one in second.notifications], second.has_more) == ([text], False)

    shown = page(world, service, channels=[common_pb2.CHANNEL_SMS]).notifications[0]
    assert (shown.created_by_id, shown.created_by_name) == (world.admin.user_id, "Ann Member")
    assert shown.details.api_key_id == ""
    assert shown.details.normalised_recipient == "447700900321"
    assert [(one.key, one.text) for one in shown.details.personalisation] == [("name", "Ann")]
    ask = pb.GetNotificationRequest(service_id=service, notification_id=mail)
    assert not world.stub.GetNotification(ask).notification.HasField("details")
    ask.with_details = True
    by_a_key = world.stub.GetNotification(ask).notification
    assert (by_a_key.details.api_key_id, by_a_key.created_by_name) == (by_key.caller.api_key_id, "")


def test_a_stranger_sends_nothing(world: World) -> None:
    service = world.admin.add_service()
    request = sms(service, world.admin.add_template(service, "sms", "x"))
    request.caller.api_key_id, request.caller.created_by_id = "", new_id()
    with pytest.raises(NotifyError) as raised:
        world.stub.SendSms(request)
    assert raised.value.reason == "NOT_A_MEMBER"
    assert found(world, service) == []


def test_numbers_that_clients_try_with_are_sent_to_for_members(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    world.stub.SendSms(sms(service, template, phone_number="07700900000"))
    assert found(world, service) == []
    request = by_member(world, sms(service, template, phone_number="07700900000"))
    world.stub.SendSms(request)
    assert found(world, service) == [request.request_id]


def test_letters_that_came_back_are_counted_by_day(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "letter", "x", "s")
    requests = [letter(service, template) for _ in range(2)]
    for request in requests:
        world.stub.SendLetter(request)
    ask = pb.GetReturnedLetterCountsRequest(service_id=service)
    assert not world.stub.GetReturnedLetterCounts(ask).days
    for request in requests:
        world.letters.tell(request.request_id, "returned")
    world.apply_events()
    (day,) = world.stub.GetReturnedLetterCounts(ask).days
    assert (day.date, day.letter_count) == (clock.london_day(clock.now()).isoformat(), 2)
    ask.service_id = world.admin.add_service()
    assert not world.stub.GetReturnedLetterCounts(ask).days

"""Texts that people send reach the service whose number they were sent to (public-api.md §3.7)."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from notify.admin.v1 import inbound_numbers_service_pb2 as numbers_pb
from notify.admin.v1.inbound_numbers_service_pb2_grpc import InboundNumbersServiceStub
from notify.notifications.v1 import inbound_sms_service_pb2 as pb
from notify.notifications.v1.inbound_sms_service_pb2_grpc import InboundSmsServiceStub
from notify.providers.v1.receipts_service_pb2 import InboundSmsEvent
from notify_admin.usecases.inbound_numbers import add_inbound_numbers
from notify_common import clock
from notify_common.callers import OPERATOR
from notify_common.enums import CallbackType, Channel
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_notifications.workers.retention import inbound_sms_retention

from .conftest import World

NUMBERS = itertools.count(7700900600)


class Inbox:
    """A service that receives texts."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.number = f"0{next(NUMBERS)}"
        self.service = world.admin.add_service()
        world.admin.change_service(self.service, permissions=["sms", "inbound_sms"])
        self.numbers: Any = InboundNumbersServiceStub(world.admin.channel(OPERATOR))
        self.stub: Any = InboundSmsServiceStub(world.channel)
        with world.admin.uow.begin() as tx:
            add_inbound_numbers(tx, "mmg", [self.number])
        self.take(self.service)

    def take(self, service: str) -> None:
        """Give a service the number."""
        found = self.numbers.ListInboundNumbers(numbers_pb.ListInboundNumbersRequest(number=self.number))
        (number,) = found.inbound_numbers
        ask = numbers_pb.AssignInboundNumberRequest(service_id=service, inbound_number_id=number.id)
        self.numbers.AssignInboundNumber(ask)

    def release(self) -> None:
        self.numbers.ReleaseInboundNumber(
            numbers_pb.ReleaseInboundNumberRequest(service_id=self.service, retire=False)
        )

    def write(
        self, content: str, source: str = "447700900111", *, ago: timedelta = timedelta(), number: str = ""
    ) -> str:
        """Let somebody have sent a text; return its id."""
        event = InboundSmsEvent(
            id=new_id(),
            provider="mmg",
            source_number=source,
            destination_number=number or self.number,
            content=content,
        )
        event.receive_time.FromDatetime(clock.now() - ago)
        self.world.providers.texts.append(event)
        return event.id

    def read(self, **asked: Any) -> list[str]:
        """Return what is listed, newest first."""
        ask = pb.ListInboundSmsRequest(service_id=self.service, **asked)
        return [text.content for text in self.stub.ListInboundSms(ask).inbound_sms]


@pytest.fixture
def inbox(world: World) -> Inbox:
    return Inbox(world)


def test_a_text_is_its_service_s_as_soon_as_it_is_asked_for(world: World, inbox: Inbox) -> None:
    other = Inbox(world)
    inbox.write("for one")
    other.write("for the other")
    inbox.write("for nobody", number="07700900999")
    assert inbox.read() == ["for one"]
    assert other.read() == ["for the other"]
    assert world.rows("SELECT count(*) AS n FROM inbound_sms")[0].n == 2


def test_the_worker_takes_texts_in_and_no_text_twice(world: World, inbox: Inbox) -> None:
    inbox.write("once")
    assert world.step(world.feeds["inbound-sms"]) == 1
    assert world.step(world.feeds["inbound-sms"]) == 0
    world.execute("DELETE FROM feed_cursors")
    assert inbox.read() == ["once"]


def test_providers_that_are_away_keep_nobody_from_reading(world: World, inbox: Inbox) -> None:
    inbox.write("before")
    assert inbox.read() == ["before"]
    world.providers.away = True
    assert inbox.read() == ["before"]


@pytest.mark.parametrize("why", ["permission", "archived", "released", "moved"])
def test_a_text_that_is_nobody_s_is_not_kept(world: World, inbox: Inbox, why: str) -> None:
    inbox.write("x", ago=timedelta(seconds=30))
    heir = world.admin.add_service()
    world.admin.change_service(heir, permissions=["sms", "inbound_sms"])
    match why:
        case "permission":
            world.admin.change_service(inbox.service, permissions=["sms"])
        case "archived":
            world.admin.archive_service(inbox.service)
        case "released":
            inbox.release()
        case "moved":
            inbox.release()
            inbox.take(heir)
    world.step(world.feeds["inbound-sms"])
    assert world.rows("SELECT * FROM inbound_sms") == []


def test_pages_go_on_from_a_text_and_from_a_token(inbox: Inbox) -> None:
    ids = [inbox.write(str(number)) for number in range(3)]
    assert inbox.read() == ["2", "1", "0"]
    assert inbox.read(older_than_id=ids[1]) == ["0"]
    assert inbox.read(older_than_id=new_id()) == []
    first = inbox.stub.ListInboundSms(pb.ListInboundSmsRequest(service_id=inbox.service, page_size=2))
    assert inbox.read(page_size=2, page_token=first.next_page_token) == ["0"]
    with pytest.raises(NotifyError, match="page_token"):
        inbox.read(page_token=first.next_page_token, older_than_id=ids[0])


def test_a_text_of_another_service_is_no_marker_and_not_found(world: World, inbox: Inbox) -> None:
    other = Inbox(world)
    foreign = other.write("not yours")
    inbox.write("mine")
    assert other.read() == ["not yours"]
    assert inbox.read(older_than_id=foreign) == []
    with pytest.raises(NotifyError) as caught:
        inbox.stub.GetInboundSms(pb.GetInboundSmsRequest(service_id=inbox.service, inbound_sms_id=foreign))
    assert caught.value.reason == "INBOUND_SMS_NOT_FOUND"


def test_conversations_show_the_newest_of_each_writer(inbox: Inbox) -> None:
    inbox.write("a1", "447700900111")
    inbox.write("b1", "447700900222")
    inbox.write("n1", "SENDER")
    inbox.write("a2", "447700900111")
    assert inbox.read(user_number="07700 900111") == ["a2", "a1"]
    assert inbox.read(user_number="SENDER") == ["n1"]
    ask = pb.ListLatestInboundSmsRequest(service_id=inbox.service, page_size=2)
    first = inbox.stub.ListLatestInboundSms(ask)
    assert [text.content for text in first.inbound_sms] == ["a2", "n1"]
    ask.page_token = first.next_page_token
    second = inbox.stub.ListLatestInboundSms(ask)
    assert ([text.content for text in second.inbound_sms], second.next_page_token) == (["b1"], "")
    summary = inbox.stub.GetInboundSmsSummary(pb.GetInboundSmsSummaryRequest(service_id=inbox.service))
    assert summary.inbound_sms_summary.count == 4


def test_texts_are_kept_as_long_as_the_service_keeps_texts(world: World, inbox: Inbox) -> None:
    world.admin.set_retention(inbox.service, Channel.SMS, 3)
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    inbox.write("new")
    inbox.write("old")
    assert world.step(world.feeds["inbound-sms"]) == 2
    world.execute(
        "UPDATE inbound_sms SET create_time = "
        ":now - make_interval(days => CASE content WHEN 'old' THEN 4 ELSE 2 END)",
        now=now,
    )
    with clock.set_for_tests(now):
        assert inbox.read() == ["new"]
        round_ = inbound_sms_retention(world.parts.snapshots)
        while round_.step(world.parts.uow):
            pass
    assert [row.content for row in world.rows("SELECT content FROM inbound_sms")] == ["new"]


def test_a_service_that_wants_to_hear_of_texts_is_told_of_each_once(world: World, inbox: Inbox) -> None:
    world.admin.add_callback(inbox.service, CallbackType.INBOUND_SMS)
    text = inbox.write("Hi \u00e9")
    assert inbox.read() == ["Hi \u00e9"]
    (told,) = world.rows(
        "SELECT subject_id::text, body FROM callbacks WHERE service_id = :id", id=inbox.service
    )
    assert told.subject_id == text
    assert json.loads(told.body)["message"] == "Hi \u00e9"

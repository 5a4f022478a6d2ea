"""Messages that are sent at a time of their own, or not after one (design.md §3.5)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_notifications.domain.hand_over import Destination
from notify_notifications.store import outbox
from notify_testing.waiting import until

from .conftest import World
from .requests import caller, email, sms
from .test_callback_queue import known_service, queued

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


def later(by: timedelta) -> Timestamp:
    """Return the time so much later than now."""
    return moment(clock.now() + by)


def moment(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


def accept(world: World, service: str = "", **times: Any) -> tuple[str, str]:
    """Have a text accepted; return its service and id."""
    service = service or world.admin.add_service()
    request = sms(service, world.admin.add_template(service, "sms", "x"), **times)
    world.stub.SendSms(request)
    return service, request.request_id


def cancel(world: World, service: str, id: str, key_type: str = "normal") -> str:
    asked = pb.CancelNotificationRequest(caller=caller(service, key_type), notification_id=id)
    state: int = world.stub.CancelNotification(asked).notification.state
    return str(state)


def move(world: World, service: str, id: str, send_at: Timestamp) -> Any:
    asked = pb.RescheduleNotificationRequest(caller=caller(service), notification_id=id, send_at=send_at)
    return world.stub.RescheduleNotification(asked).notification


def reason(call: Any, *given: Any) -> str:
    with pytest.raises(NotifyError) as refused:
        call(*given)
    return refused.value.reason


def its_time_comes(world: World, id: str) -> None:
    world.execute("UPDATE outbox SET due_at = now() WHERE notification_id = :id", id=id)


def test_a_message_waits_for_its_time_and_says_it(world: World) -> None:
    send_at, deliver_by = later(HOUR), later(2 * HOUR)
    service, id = accept(world, send_at=send_at, deliver_by=deliver_by)
    assert world.counts() == (1, 1, 1), "it counts for the day on which it is accepted"
    assert world.relay() == 0
    its_time_comes(world, id)
    assert world.relay() == 1
    assert world.providers.dispatches[id].deliver_by == deliver_by
    found = world.get(service, id)
    assert (found.send_at, found.deliver_by) == (send_at, deliver_by)
    assert reason(cancel, world, service, id) == "NOT_SCHEDULED"
    assert reason(move, world, service, id, later(HOUR)) == "NOT_SCHEDULED"


def test_a_message_that_is_taken_when_it_was_to_be_sent_is_prompt(world: World) -> None:
    _, id = accept(world, send_at=later(HOUR))
    world.execute("UPDATE notifications SET create_time = create_time - interval '2 hours', send_at = now()")
    its_time_comes(world, id)
    world.relay()
    world.providers.tell(id, "sent")
    world.apply_events()
    (row,) = world.rows("SELECT sum(message_count), sum(prompt_count) FROM processing_days")
    assert tuple(row) == (1, 1)


@pytest.mark.parametrize(
    ("times", "sentences"),
    [
        ({"send_at": -timedelta(seconds=1)}, ["send_at can not be in the past"]),
        ({"send_at": WEEK + HOUR}, ["send_at can only be 7 days in the future"]),
        ({"deliver_by": -timedelta(seconds=1)}, ["deliver_by can not be in the past"]),
        (
            {"deliver_by": WEEK + HOUR},
            ["deliver_by can only be 7 days after the message is to be sent"],
        ),
        ({"send_at": HOUR, "deliver_by": HOUR / 2}, ["deliver_by should be later than send_at"]),
        (
            {"send_at": -HOUR, "deliver_by": -HOUR},
            ["send_at can not be in the past", "deliver_by can not be in the past"],
        ),
    ],
)
def test_times_that_can_t_be_are_refused_and_nothing_is_kept(
    world: World, times: dict[str, timedelta], sentences: list[str]
) -> None:
    given: Any = {name: later(by) for name, by in times.items()}
    with pytest.raises(NotifyError) as refused:
        accept(world, **given)
    assert refused.value.reason == "INVALID_FIELD"
    assert [f"{one.field} {one.description}" for one in refused.value.violations] == sentences
    assert world.counts() == (0, 0, 0)


def test_the_furthest_times_are_accepted(world: World) -> None:
    near = timedelta(seconds=30)
    _, id = accept(world, send_at=later(WEEK - near), deliver_by=later(2 * WEEK - 2 * near))
    assert world.relay() == 0
    assert world.rows("SELECT FROM outbox WHERE notification_id = :id", id=id)


def test_a_repeat_gets_the_first_answer_though_its_time_has_passed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    asked = {"send_at": later(HOUR), "idempotency_key": "key"}
    first = world.stub.SendSms(sms(service, template, **asked))
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + 2 * HOUR)
    again = world.stub.SendSms(sms(service, template, **asked))
    assert again.notification_id == first.notification_id
    assert reason(world.stub.SendSms, sms(service, template, **asked | {"deliver_by": later(HOUR)})) in (
        "INVALID_FIELD",
        "REQUEST_ID_REUSED",
    )
    assert world.counts()[:2] == (1, 1)


def test_a_cancelled_message_is_never_sent_and_costs_nothing(world: World) -> None:
    service = known_service(world, "delivery_status")
    _, id = accept(world, service, send_at=later(HOUR))
    cancel(world, service, id)
    cancel(world, service, id)
    assert world.state(service, id) == "cancelled"
    assert world.counts()[1] == 0
    assert world.relay() == 0
    assert world.get(service, id).cost == type(world.get(service, id).cost)()
    assert {tuple(row) for row in world.rows("SELECT state, sum(count) FROM message_counts GROUP BY 1")} == {
        ("created", 0),
        ("cancelled", 1),
    }
    assert not world.rows("SELECT FROM usage_facts")
    assert queued(world, service) == [], "who asked for it need not be told"
    assert reason(move, world, service, id, later(HOUR)) == "NOT_SCHEDULED"


def test_only_keys_of_its_type_and_service_cancel_or_move_it(world: World) -> None:
    service, id = accept(world, send_at=later(HOUR))
    other = world.admin.add_service()
    for asked in ((service, id, "test"), (service, id, "team"), (other, id), (service, new_id())):
        assert reason(cancel, world, *asked) == "NOTIFICATION_NOT_FOUND"
    for of, message in ((other, id), (service, new_id())):
        assert reason(move, world, of, message, later(HOUR)) == "NOTIFICATION_NOT_FOUND"
    assert world.state(service, id) == "created"


def test_what_a_relay_ever_had_is_neither_cancelled_nor_moved(world: World) -> None:
    service, id = accept(world)
    assert reason(cancel, world, service, id) == "NOT_SCHEDULED", "it is to be sent at once"
    world.providers.away = True
    with pytest.raises(NotifyError):
        world.relay()
    assert reason(cancel, world, service, id) == "NOT_SCHEDULED", "providers may have it"
    world.providers.away, world.providers.fails_with = False, "INTERNAL"
    world.relay()
    (row,) = world.rows("SELECT due_at > now() AS waits, attempt FROM outbox")
    assert tuple(row) == (True, 1)
    assert reason(cancel, world, service, id) == "NOT_SCHEDULED", "it waits for another try"
    assert reason(move, world, service, id, later(HOUR)) == "NOT_SCHEDULED"
    assert world.state(service, id) == "created"


def test_a_moved_message_is_sent_at_its_new_time(world: World) -> None:
    service, id = accept(world, send_at=later(HOUR), deliver_by=later(3 * HOUR))
    time = later(2 * HOUR)
    assert move(world, service, id, time).send_at == time
    assert move(world, service, id, time).send_at == time
    (row,) = world.rows(
        "SELECT o.due_at, n.send_at FROM outbox o JOIN notifications n ON n.id = notification_id"
    )
    assert moment(row.due_at) == moment(row.send_at) == time


@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        (-HOUR, "send_at can not be in the past"),
        (3 * HOUR, "send_at should be earlier than deliver_by"),
        (WEEK + HOUR, "send_at can only be 7 days after the message was accepted"),
    ],
)
def test_a_message_is_not_moved_to_a_time_that_can_t_be(world: World, by: timedelta, sentence: str) -> None:
    service, id = accept(world, send_at=later(HOUR), deliver_by=later(2 * HOUR))
    with pytest.raises(NotifyError, match=sentence):
        move(world, service, id, later(by))
    (row,) = world.rows("SELECT due_at < now() + interval '90 minutes' AS kept FROM outbox")
    assert row.kept


def test_of_cancelling_and_handing_over_exactly_one_wins(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    ids = []
    for number in range(40):
        request = sms(service, template, send_at=later(timedelta(milliseconds=600 + 5 * number)))
        world.stub.SendSms(request)
        ids.append(request.request_id)

    def try_to_cancel(mine: list[str]) -> set[str]:
        cancelled = set()
        for id in mine:
            # just as its time comes
            until(lambda id=id: is_close(world, id))  # type: ignore[misc]
            try:
                cancel(world, service, id)
                cancelled.add(id)
            except NotifyError as error:
                if error.reason != "NOT_SCHEDULED":
                    raise
        return cancelled

    stop = threading.Event()

    def relay() -> None:
        while not stop.is_set():
            world.relay()

    with ThreadPoolExecutor(4) as threads:
        relaying = threads.submit(relay)
        cancelled = set().union(*threads.map(try_to_cancel, (ids[0::3], ids[1::3], ids[2::3])))
        until(lambda: world.counts()[1] == 0)
        stop.set()
        relaying.result()
    handed = set(world.providers.dispatches)
    assert handed.isdisjoint(cancelled)
    assert handed | cancelled == set(ids)
    assert world.providers.duplicates == 0
    states = {row.id: row.state for row in world.rows("SELECT id::text, state FROM notifications")}
    assert {id for id, state in states.items() if state == "cancelled"} == cancelled


def is_close(world: World, id: str) -> bool:
    query = "SELECT FROM outbox WHERE notification_id = :id AND due_at > now() + interval '2 milliseconds'"
    return not world.rows(query, id=id)


def test_a_claim_that_was_given_back_while_cancelling_waited_for_it_counts(world: World) -> None:
    """The transaction began before the time came, the row is free again only after it was claimed."""
    service, id = accept(world, send_at=later(HOUR))
    with world.parts.uow.begin() as cancelling:
        cancelling.exec_driver_sql("SELECT now()")
        its_time_comes(world, id)
        with world.parts.uow.begin() as tx:
            claimed = outbox.claim(tx, Destination.PROVIDERS)
        with world.parts.uow.begin() as tx:
            outbox.give_back(tx, claimed)
        assert not outbox.take_back(cancelling, id)
    assert world.state(service, id) == "created"


def test_a_message_whose_time_is_over_is_not_handed_over_and_its_service_told(world: World) -> None:
    service = known_service(world, "delivery_status")
    _, id = accept(world, service, deliver_by=later(HOUR))
    _, other = accept(world, service)
    world.execute("UPDATE notifications SET deliver_by = now() WHERE id = :id", id=id)
    world.relay()
    assert list(world.providers.dispatches) == [other]
    assert world.counts()[1] == 0
    assert world.state(service, id) == "expired"
    (told,) = queued(world, service)
    assert (told["id"], told["status"], told["sent_at"]) == (id, "expired", None)
    assert told["completed_at"]
    found = world.get(service, id)
    assert found.HasField("cost")
    assert (found.cost.amount_micropounds, found.cost.sms_fragments) == (0, 0)
    assert not world.rows("SELECT FROM usage_facts")


def test_a_message_that_providers_let_expire_ends_so_and_its_service_is_told_once(world: World) -> None:
    service = known_service(world, "delivery_status")
    _, id = accept(world, service, deliver_by=later(HOUR), phone_number="+1 202 555 0104")
    world.relay()
    world.providers.tell(id, "expired", "expired", provider="")
    world.apply_events()
    assert world.state(service, id) == "expired", "to countries without receipts too"
    assert [one["status"] for one in queued(world, service)] == ["expired"]
    found = world.get(service, id)
    assert not found.cost.amount_micropounds, "it was handed over, and nobody sent it"
    assert not world.rows("SELECT FROM usage_facts")


def test_a_message_that_was_sent_does_not_expire(world: World) -> None:
    service, id = accept(world, deliver_by=later(HOUR))
    world.relay()
    world.providers.tell(id, "sent", "delivered", "expired")
    world.apply_events()
    assert world.state(service, id) == "delivered"


def test_an_email_has_such_times_too(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "x", "s")
    request = email(service, template, send_at=later(HOUR), deliver_by=later(2 * HOUR))
    world.stub.SendEmail(request)
    assert world.relay() == 0
    cancel(world, service, request.request_id)
    assert world.state(service, request.request_id) == "cancelled"

"""Several messages in one call: each stands for itself, and exactly what is answered is stored."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_common.rpc import status
from notify_notifications.store.acceptance import MOST_ROWS
from notify_notifications.usecases.prepare_sms import prepare_sms

from .conftest import World
from .neighbours import at_once
from .requests import ADDRESS, email, letter, sms

KINDS = {pb.SendSmsRequest: "sms", pb.SendEmailRequest: "email", pb.SendLetterRequest: "letter"}


def batch(*requests: Any, **item: Any) -> pb.BatchSendRequest:
    """Return the requests as one; `item` is what each carries besides."""
    return pb.BatchSendRequest(items=[pb.SendItem(**{KINDS[type(one)]: one}, **item) for one in requests])


def send(world: World, *requests: Any, **item: Any) -> list[Any]:
    """Return what became of each: its response, or its error."""
    return outcomes(world.stub.BatchSend(batch(*requests, **item)))


def outcomes(response: pb.BatchSendResponse) -> list[Any]:
    return [
        status.from_bytes(result.error)
        if result.HasField("error")
        else getattr(result, result.WhichOneof("result"))
        for result in response.results
    ]


def said(results: Sequence[Any]) -> list[str]:
    return [result.reason if isinstance(result, NotifyError) else "OK" for result in results]


def stored_ids(world: World) -> set[str]:
    ids = {str(row[0]) for row in world.rows("SELECT id::text FROM notifications")}
    assert ids == {str(row[0]) for row in world.rows("SELECT notification_id::text FROM outbox")}
    return ids


def place(world: World, service: str, counter: str = "sms") -> int:
    """Return places taken in the day, as Redis has them."""
    (key,) = world.redis.keys(f"{service}-{counter}-*-count")
    value: Any = world.redis.get(key)
    return int(value)


def test_all_channels_go_together_as_they_would_alone(world: World) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "Hi ((x))")
    mail = world.admin.add_template(service, "email", "Dear ((x))", "On ((x))")
    post = world.admin.add_template(service, "letter", "Dear ((x))", "s")
    requests = [
        sms(service, text, [("x", "1")]),
        email(service, mail, [("x", "2")]),
        letter(service, post, [*ADDRESS, ("x", "3")]),
    ]
    results = send(world, *requests)
    alone = [
        world.stub.SendSms(requests[0]),
        world.stub.SendEmail(requests[1]),
        world.stub.SendLetter(requests[2]),
    ]
    assert results == alone
    assert [result.body for result in results] == ["Hi 1", "Dear 2", "Dear 3"]
    assert world.counts() == (3, 3, 3)


def test_what_is_wrong_with_some_is_no_matter_to_the_others(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "Hi ((x))")
    good = [sms(service, template, [("x", str(number))]) for number in range(3)]
    results = send(
        world,
        good[0],
        sms(service, template),
        sms(service, template, [("x", "a\0b")]),
        good[1],
        sms(new_id(), template, [("x", "1")]),
        sms(service, template, [("x", "1")], phone_number="nobody"),
        sms(service, template, [("x", "1")], phone_number="07700 900000"),
        good[2],
    )
    wrong = ["MISSING_PERSONALISATION", "INVALID_FIELD"]
    assert said(results) == ["OK", *wrong, "OK", "SERVICE_NOT_FOUND", "RECIPIENT_INVALID", "OK", "OK"]
    assert [violation.field for violation in results[2].violations] == ["sms.personalisation[0].text"]
    assert stored_ids(world) == {one.request_id for one in good}
    assert world.counts() == (3, 3, 3)
    assert place(world, service) == 3


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_has_1_to_500_messages(world: World, count: int) -> None:
    with pytest.raises(NotifyError) as raised:
        world.stub.BatchSend(pb.BatchSendRequest(items=[pb.SendItem()] * count))
    assert raised.value.reason == "INVALID_FIELD"
    assert said(outcomes(world.stub.BatchSend(pb.BatchSendRequest(items=[pb.SendItem()])))) == [
        "INVALID_FIELD"
    ]


def test_500_messages_are_stored_at_once(world: World) -> None:
    service = world.admin.add_service(limits={"rate_limit_per_minute": 3000})
    template = world.admin.add_template(service, "sms", "x")
    requests = [sms(service, template) for _ in range(MOST_ROWS)]
    assert said(send(world, *requests)) == ["OK"] * MOST_ROWS
    assert world.counts() == (MOST_ROWS, MOST_ROWS, MOST_ROWS)
    assert stored_ids(world) == {one.request_id for one in requests}


def test_a_limit_is_reached_in_the_middle(world: World) -> None:
    service = world.admin.add_service(limits={"sms_per_day": 3, "international_sms_per_day": 1})
    other = world.admin.add_service(limits={"rate_limit_per_minute": 6})
    template = world.admin.add_template(service, "sms", "x")
    its = world.admin.add_template(other, "sms", "x")
    french = {"phone_number": "+33612345678"}
    requests = [
        sms(service, template, **french),
        sms(other, its),
        sms(service, template, **french),  # one too many to other countries
        sms(service, template, phone_number="nobody"),  # takes no place of the day
        sms(service, template),
        sms(other, its),
        sms(service, template),
        sms(other, its),  # one too many a minute
        sms(service, template),  # one too many a day
        sms(service, template, key_type="test"),  # not counted
    ]
    results = send(world, *requests)
    day, minute = "DAILY_LIMIT_REACHED", "RATE_LIMITED"
    assert said(results) == ["OK", "OK", day, "RECIPIENT_INVALID", "OK", "OK", "OK", minute, day, "OK"]
    assert results[2].metadata["counter"] == "international_sms"
    facts = {"counter": "sms", "limit": "3", "quota_limit": "3", "quota_remaining": "0"}
    assert results[8].metadata.items() >= facts.items()
    accepted = {one.request_id for one, word in zip(requests, said(results), strict=True) if word == "OK"}
    assert stored_ids(world) == accepted
    assert (place(world, service), place(world, service, "international_sms"), place(world, other)) == (
        3,
        1,
        2,
    )
    # the same batch again: who was accepted gets the first answer, whatever the limits say by now
    world.redis.delete(f"{other}-tokens-normal")
    again = send(world, *requests, is_repeat=True)
    assert [one for one in again if not isinstance(one, NotifyError)] == [
        one for one in results if not isinstance(one, NotifyError)
    ]
    assert stored_ids(world) == accepted
    assert (place(world, service), place(world, other)) == (3, 2)


def test_a_key_twice_in_a_batch_is_one_message(world: World) -> None:
    service = world.admin.add_service()
    other = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "Hi ((x))")
    its = world.admin.add_template(other, "sms", "Hi ((x))")

    def keyed(value: str, service_id: str = service, template_id: str = template) -> Any:
        return sms(service_id, template_id, [("x", value)], idempotency_key="k")

    requests = [
        keyed("1"),
        keyed("1"),
        keyed("2"),
        keyed("1", other, its),
        sms(service, template, [("x", "1")]),
    ]
    results = send(world, *requests)
    assert said(results) == ["OK", "OK", "REQUEST_ID_REUSED", "OK", "OK"]
    assert results[0] == results[1]
    assert stored_ids(world) == {requests[0].request_id, requests[3].request_id, requests[4].request_id}
    assert (place(world, service), place(world, other)) == (2, 1)


def test_an_id_twice_in_a_batch_is_one_message(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "Hi ((x))")
    first = sms(service, template, [("x", "1")])
    same = sms(service, template, [("x", "1")], request_id=first.request_id)
    different = sms(service, template, [("x", "2")], request_id=first.request_id)
    results = send(world, first, same, different)
    assert said(results) == ["OK", "OK", "REQUEST_ID_REUSED"]
    assert results[0] == results[1]
    assert world.counts() == (1, 1, 1)
    assert place(world, service) == 1


def test_the_same_batch_from_many_at_once_is_stored_once(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "Hi ((x))")
    requests = [
        sms(service, template, [("x", str(number))], idempotency_key=f"k{number % 7}" if number % 2 else "")
        for number in range(40)
    ]
    answers = at_once(*[lambda: send(world, *requests)] * 6)
    assert all(said(one) == said(answers[0]) for one in answers)
    accepted = {
        result.notification_id for one in answers for result in one if not isinstance(result, NotifyError)
    }
    assert stored_ids(world) == accepted
    # even ones, and the first of each key
    assert len(accepted) == 20 + 7
    assert world.counts() == (27, 27, 27)
    assert place(world, service) == 27


def test_a_message_that_the_database_can_not_keep_fails_alone(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    requests = [sms(service, template, reference=str(number)) for number in range(9)]
    with world.superuser.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE notifications ADD CONSTRAINT poison CHECK (reference <> '4')")
    try:
        results = send(world, *requests)
    finally:
        with world.superuser.begin() as conn:
            conn.exec_driver_sql("ALTER TABLE notifications DROP CONSTRAINT poison")
    assert said(results) == ["OK"] * 4 + ["INTERNAL"] + ["OK"] * 4
    assert world.counts() == (8, 8, 8)
    assert place(world, service) == 8


def test_a_template_that_can_not_be_filled_in_fails_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(service: Any, template: Any, command: Any, sender: str) -> Any:
        if command.reference == "1":
            raise RecursionError
        return prepare_sms(service, template, command, sender)

    monkeypatch.setattr("notify_notifications.usecases.send.prepare_sms", broken)
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    results = send(world, *(sms(service, template, reference=str(number)) for number in range(3)))
    assert said(results) == ["OK", "INTERNAL", "OK"]
    assert world.counts() == (2, 2, 2)


def test_what_has_no_room_in_the_answer_is_not_stored(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "((x))" * 1500, "s")
    requests = [email(service, template, [("x", "y" * 1000)]) for _ in range(4)]
    results = send(world, *requests)
    assert said(results) == ["OK", "OK", "OVERLOADED", "OVERLOADED"]
    assert stored_ids(world) == {one.request_id for one in requests[:2]}
    assert place(world, service, "email") == 2
    assert said(send(world, *requests[2:])) == ["OK", "OK"]


def test_what_nobody_waits_for_any_more_is_not_stored(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    late, timely = sms(service, template), sms(service, template)
    request = batch(late, timely)
    request.items[0].time_left.FromMilliseconds(1)
    request.items[1].time_left.FromMilliseconds(1900)
    assert said(outcomes(world.stub.BatchSend(request))) == ["DEADLINE_EXCEEDED", "OK"]
    assert stored_ids(world) == {timely.request_id}
    assert place(world, service) == 1


def test_ids_of_each_request_follow_its_message(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    one, other = sms(service, template), sms(service, template)
    request = batch(one, other)
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    request.items[0].origin_request_id, request.items[0].traceparent = "first", trace
    world.stub.BatchSend(request)
    kept = {
        row[0]: (row[1], row[2])
        for row in world.rows("SELECT notification_id::text, request_id, traceparent FROM outbox")
    }
    assert kept[one.request_id] == ("first", trace)
    assert kept[other.request_id][0] not in ("", "first")


def test_a_batch_whose_connection_dies_before_the_answer_is_stored_once(world: World) -> None:
    """The database's connection is cut again and again while batches are stored."""
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    batches = [[sms(service, template) for _ in range(25)] for _ in range(12)]
    done = threading.Event()

    def cut() -> None:
        with world.superuser.connect() as conn:
            while not done.wait(0.02):
                conn.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                    "'notify-notifications-accept' AND datname = current_database()"
                )

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        for one in batches:
            for _ in range(50):
                if set(said(send(world, *one, is_repeat=True))) == {"OK"}:
                    break
    finally:
        done.set()
        cutter.join()
    assert stored_ids(world) == {request.request_id for one in batches for request in one}
    assert world.counts() == (300, 300, 300)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12))
def test_the_answers_name_exactly_what_is_stored(world: World, drawn: list[tuple[int, int, int]]) -> None:
    """Whatever ids, keys and contents meet in a batch, and if it is sent twice."""
    world.empty()
    service = world.admin.add_service(limits={"sms_per_day": 6})
    template = world.admin.add_template(service, "sms", "Hi ((x))")
    ids = [new_id() for _ in range(5)]
    requests = [
        sms(
            service,
            template,
            [("x", str(content))],
            request_id=ids[id],
            idempotency_key=f"k{key}" if key else "",
        )
        for id, key, content in drawn
    ]
    for _ in range(2):
        results = send(world, *requests, is_repeat=True)
        accepted = {one.notification_id for one in results if not isinstance(one, NotifyError)}
        assert stored_ids(world) == accepted
        assert world.counts() == (len(accepted), len(accepted), len(accepted))
        assert place(world, service) == len(accepted)
        assert set(said(results)) <= {"OK", "REQUEST_ID_REUSED", "DAILY_LIMIT_REACHED"}

"""Accepting texts through gRPC, against the real database and Redis (public-api.md §2.1, §2.3)."""

from collections.abc import Callable
from typing import Any

import pytest
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_testing.waiting import until

from .conftest import World
from .neighbours import at_once
from .requests import email, letter, sms


def refused(world: World, request: Any) -> NotifyError:
    """Return the error that sending raises; nothing may be stored or counted by it."""
    before = world.counts()
    with pytest.raises(NotifyError) as raised:
        world.stub.SendSms(request)
    assert world.counts() == before
    return raised.value


def test_a_text_is_stored_and_queued_with_its_counter(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "Hello ((name)), see (( other ))")
    values = [("NAME", "Ann"), ("other", ["a", "b"]), ("extra", None)]

    request = sms(service, template, values, reference="", phone_number=" 07700 900123 ")
    response = world.stub.SendSms(request)

    assert response.notification_id == request.request_id
    assert response.body == "Hello Ann, see a and b"
    assert response.from_number == "TESTGOV"
    assert response.template_version == 1
    assert world.counts() == (1, 1, 1)
    notification = world.get(service, request.request_id)
    assert notification.recipient == "07700 900123"
    assert notification.HasField("reference")
    assert notification.reference == ""
    assert world.rows("SELECT personalisation FROM notifications")[0][0] == [list(pair) for pair in values]


def test_a_repeated_request_gets_the_first_answer(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "one ((x))")
    request = sms(service, template, [("x", "1")])
    first = world.stub.SendSms(request)
    world.admin.change_template(service, template, content="two ((x))")
    world.parts.snapshots._forget_all()

    request.caller.api_key_id = new_id()
    assert world.stub.SendSms(request) == first
    assert first.body == "one 1"
    assert world.counts() == (1, 1, 1)


def test_a_request_id_with_other_content_is_refused(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "one ((x))")
    request = sms(service, template, [("x", "1")])
    world.stub.SendSms(request)
    other = sms(service, template, [("x", "2")], request_id=request.request_id)
    assert refused(world, other).reason == "REQUEST_ID_REUSED"


def test_an_idempotency_key_holds_for_a_day(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "one ((x))")

    def keyed(value: str, service_id: str = service, template_id: str = template) -> Any:
        return sms(service_id, template_id, [("x", value)], idempotency_key="ann@example.com")

    first = world.stub.SendSms(keyed("1"))
    assert world.stub.SendSms(keyed("1")) == first
    assert refused(world, keyed("2")).reason == "REQUEST_ID_REUSED"
    other = world.admin.add_service()
    world.stub.SendSms(keyed("2", other, world.admin.add_template(other, "sms", "one ((x))")))
    assert world.counts() == (2, 2, 2)
    assert b"ann@" not in world.rows("SELECT key_hash FROM idempotency_keys")[0][0]

    world.execute("UPDATE idempotency_keys SET create_time = now() - interval '25 hours'")
    assert world.stub.SendSms(keyed("2")).notification_id != first.notification_id
    assert world.counts() == (3, 3, 3)


def test_a_repeat_gets_its_answer_although_the_limit_is_used_up(world: World) -> None:
    service = world.admin.add_service(limits={"sms_per_day": 1})
    template = world.admin.add_template(service, "sms", "one")
    request = sms(service, template, idempotency_key="k")
    first = world.stub.SendSms(request)
    request.request_id = new_id()
    assert world.stub.SendSms(request) == first
    assert refused(world, sms(service, template)).reason == "DAILY_LIMIT_REACHED"


@pytest.mark.parametrize("keyed", [False, True])
def test_of_the_same_request_at_once_one_is_stored(world: World, keyed: bool) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "one")
    first = sms(service, template, idempotency_key="k" if keyed else "")

    def send() -> Any:
        request = type(first)()
        request.CopyFrom(first)
        if keyed:
            request.request_id = new_id()
        return world.stub.SendSms(request)

    answers = at_once(*[send] * 8)
    refused = [answer for answer in answers if isinstance(answer, NotifyError)]
    assert {error.reason for error in refused} <= ({"REQUEST_RUNNING"} if keyed else set())
    answered = [answer for answer in answers if answer not in refused] + [send()]
    assert len({answer.notification_id for answer in answered}) == 1
    assert world.counts() == (1, 1, 1)


def test_a_database_that_closed_its_connections_is_connected_to_again(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "one")
    at_once(*[lambda: world.stub.SendSms(sms(service, template))] * 8)
    with world.superuser.connect() as conn:
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'notify-notifications%%' AND datname = current_database()"
        )
    answers = at_once(*[lambda: world.stub.SendSms(sms(service, template))] * 8)
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert world.counts() == (16, 16, 16)


def test_who_connects_while_the_table_is_locked_stores_once_it_is_not(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "one")
    world.stub.SendSms(sms(service, template))
    with world.superuser.connect() as blocker:
        blocker.exec_driver_sql("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE")
        blocker.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'notify-notifications-accept' AND datname = current_database()"
        )
        with pytest.raises(NotifyError) as raised:
            world.stub.SendSms(sms(service, template))
        assert raised.value.reason == "DEADLINE_EXCEEDED"
        blocker.rollback()
    world.stub.SendSms(sms(service, template))
    assert world.counts() == (2, 2, 2)


def test_simulated_numbers_are_checked_but_not_stored(world: World) -> None:
    service = world.admin.add_service(limits={"sms_per_day": 1})
    template = world.admin.add_template(service, "sms", "Hi ((name))")
    for number in ("07700 900000", "+447700900111", "447700900222"):
        response = world.stub.SendSms(sms(service, template, [("name", "A")], phone_number=number))
        assert response.body == "Hi A"
    assert world.counts() == (0, 0, 0)
    missing = sms(service, template, phone_number="07700900000")
    assert refused(world, missing).reason == "MISSING_PERSONALISATION"
    world.stub.SendSms(sms(service, template, [("name", "A")]))


def test_checks_in_order_with_the_facts_of_the_contract_s_words(world: World) -> None:
    service = world.admin.add_service()
    archived = world.admin.add_template(service, "sms", "x")
    world.admin.archive_template(service, archived)
    hidden = world.admin.add_template(service, "sms", "x")
    world.admin.hide_template(hidden)
    letter = world.admin.add_template(service, "letter", "x", "s")
    named = world.admin.add_template(service, "sms", "((name)) ((a-b))")
    plain = world.admin.add_template(service, "sms", "x")
    world.admin.change_service(service, permissions=["sms"])
    bare = world.admin.add_service(permissions=[])
    unknown = new_id()
    schema = {"stage": "schema", "field": "phone_number", "problem": "Must not contain letters or symbols"}
    landline = {"stage": "service", "field": "phone_number", "problem": "Not a UK mobile number"}
    sender = {"field": "sms_sender_id", "sender_id": unknown, "service_id": service}
    for request, reason, facts in [
        (sms(new_id(), plain), "SERVICE_NOT_FOUND", {}),
        (sms(bare, plain, phone_number="x"), "RECIPIENT_INVALID", schema),
        (sms(bare, plain), "CHANNEL_NOT_ALLOWED", {"channel": "sms"}),
        (sms(service, unknown), "TEMPLATE_NOT_FOUND", {}),
        (sms(service, hidden), "TEMPLATE_NOT_FOUND", {}),
        (
            sms(service, letter),
            "TEMPLATE_WRONG_CHANNEL",
            {"template_channel": "letter", "channel": "sms"},
        ),
        (sms(service, archived), "TEMPLATE_ARCHIVED", {}),
        (
            sms(service, named, [("Name", None)], sms_sender_id=unknown),
            "MISSING_PERSONALISATION",
            {"names": "name, a-b"},
        ),
        (sms(service, named, [("name", ""), ("ab", "")]), "MESSAGE_EMPTY", {}),
        (
            sms(service, plain, sms_sender_id=unknown, phone_number="+14155552671"),
            "SENDER_NOT_FOUND",
            sender,
        ),
        (
            sms(service, plain, key_type="team", phone_number="+14155552671"),
            "RECIPIENT_NOT_ALLOWED",
            {"key_type": "team"},
        ),
        (sms(service, plain, phone_number="+14155552671"), "INTERNATIONAL_NOT_ALLOWED", {}),
        (sms(service, plain, phone_number="02079460123"), "RECIPIENT_INVALID", landline),
        (
            sms(service, named, [("name", "a" * 910), ("a_b", "b" * 8)]),
            "MESSAGE_TOO_LONG",
            {"channel": "sms", "limit": "918", "size": "919"},
        ),
    ]:
        error = refused(world, request)
        assert (error.reason, error.metadata) == (reason, facts)
    assert world.redis.get(next(iter(world.redis.keys(f"{service}-sms-*-count")))) == "0"


def test_malformed_fields_are_named_all_at_once(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    request = sms(service, template, [("a", "x\0y")], request_id=service.upper(), reference="r" * 1001)
    request.caller.ClearField("key_type")
    request.sms_sender_id = "nope"
    request.idempotency_key = "k" * 256
    error = refused(world, request)
    assert error.reason == "INVALID_FIELD"
    assert {violation.field for violation in error.violations} == {
        "request_id",
        "caller.key_type",
        "reference",
        "personalisation[0].text",
        "sms_sender_id",
        "idempotency_key",
    }
    assert refused(world, type(request)()).reason == "INVALID_FIELD"
    old = sms(service, template, request_id="12345678-1234-4234-8234-123456789abc")
    assert [violation.field for violation in refused(world, old).violations] == ["request_id"]


def test_a_value_of_a_megabyte_is_too_long_and_not_stored(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "((x))")
    error = refused(world, sms(service, template, [("x", "é" * 500_000)]))
    assert error.reason == "MESSAGE_TOO_LONG"
    assert error.metadata["size"] == "500000"


@pytest.mark.parametrize("channel", ["sms", "email", "letter"])
def test_a_value_repeated_past_all_bounds_is_refused_before_it_is_put_in(world: World, channel: str) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, channel, "((x))" * 2_000)
    pairs = [("x", "y" * 2_000_000)]
    send: dict[str, Callable[[], object]] = {
        "sms": lambda: world.stub.SendSms(sms(service, template, pairs)),
        "email": lambda: world.stub.SendEmail(email(service, template, pairs)),
        "letter": lambda: world.stub.SendLetter(letter(service, template, pairs)),
    }
    with pytest.raises(NotifyError) as raised:
        send[channel]()
    assert raised.value.reason == "MESSAGE_TOO_LONG"
    assert world.counts() == (0, 0, 0)


def test_a_trial_service_reaches_its_team_and_a_test_key_anyone(world: World) -> None:
    service = world.admin.add_service(restricted=True)
    template = world.admin.add_template(service, "sms", "x")
    world.stub.SendSms(sms(service, template))
    error = refused(world, sms(service, template, phone_number="07700900456"))
    assert (error.reason, error.metadata) == ("RECIPIENT_NOT_ALLOWED", {"key_type": "normal"})
    world.stub.SendSms(sms(service, template, phone_number="07700900456", key_type="test"))
    assert world.counts() == (2, 2, 1)


def test_admin_away_is_unavailable_for_the_unknown_and_stale_for_the_known(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")

    def works() -> bool:
        world.admin.away = False
        world.stub.SendSms(sms(service, template))
        world.admin.away = True
        try:
            world.stub.SendSms(sms(service, template))
        except NotifyError:
            return False
        return True

    # the feed may still have to tell that the service was made, which evicts it
    until(works)
    before = world.counts()
    with pytest.raises(NotifyError) as raised:
        world.stub.SendSms(sms(new_id(), template))
    assert raised.value.reason in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    assert world.counts() == before

"""What services are told of is queued with the change that they are told of, and for nobody else."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from notify_common.enums import CallbackType
from notify_common.ids import new_id
from notify_notifications import bootstrap
from notify_notifications.domain.callback import inbound_sms
from notify_notifications.usecases.callbacks import enqueue
from notify_testing.waiting import until
from sqlalchemy import event

from .conftest import World
from .requests import email, letter, sms
from .test_inbound_sms import Inbox


def known_service(world: World, *types: str) -> str:
    """Add a service with callbacks, and wait until this process knows of it."""
    service = world.admin.add_service()
    for type in types:
        world.admin.add_callback(service, type)
    until(lambda: service in world.parts.snapshots.known_services([service]))
    return service


def sent_text(world: World, service: str, **changes: Any) -> str:
    request = sms(service, world.admin.add_template(service, "sms", "x"), **changes)
    world.stub.SendSms(request)
    world.relay()
    return request.request_id


def queued(world: World, service: str) -> list[dict[str, Any]]:
    rows = world.rows(
        "SELECT body FROM callbacks WHERE service_id = :id AND due_at <= now() ORDER BY id", id=service
    )
    return [json.loads(row.body) for row in rows]


def test_a_delivered_text_is_told_in_the_words_of_the_contract(world: World) -> None:
    service = known_service(world, "delivery_status")
    message = sent_text(world, service, reference="R", phone_number="07700 900123")
    world.providers.tell(message, "sent", "pending")
    world.apply_events()
    assert queued(world, service) == []
    world.providers.tell(message, "delivered", "delivered")
    world.apply_events()
    (row,) = world.rows("SELECT * FROM notifications WHERE id = :id", id=message)
    (told,) = queued(world, service)
    assert list(told.items()) == [
        ("id", message),
        ("reference", "R"),
        ("to", "07700 900123"),
        ("status", "delivered"),
        ("created_at", f"{row.create_time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"),
        ("completed_at", f"{row.update_time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"),
        ("sent_at", f"{row.sent_time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"),
        ("notification_type", "sms"),
        ("template_id", str(row.template_id)),
        ("template_version", 1),
    ]


@pytest.mark.parametrize(
    ("kinds", "statuses"),
    [
        (["sent", "temporary_failure"], ["temporary-failure"]),
        (["sent", "permanent_failure", "delivered"], ["permanent-failure"]),
        (["sent", "technical_failure"], ["technical-failure"]),
        (["permanent_failure"], ["permanent-failure"]),
        (["technical_failure"], []),
        (["sent", "pending"], []),
    ],
)
def test_ends_are_told_unless_no_provider_took_the_message(
    world: World, kinds: list[str], statuses: list[str]
) -> None:
    service = known_service(world, "delivery_status")
    request = email(service, world.admin.add_template(service, "email", "x", "s"), key_type="test")
    world.stub.SendEmail(request)
    world.providers.tell(request.request_id, *kinds)
    world.apply_events()
    assert [told["status"] for told in queued(world, service)] == statuses


def test_a_complaint_is_told_and_changes_nothing(world: World) -> None:
    service = known_service(world, "complaint")
    other = known_service(world, "delivery_status")
    messages = []
    for each in (service, other):
        request = email(each, world.admin.add_template(each, "email", "x"), reference="R")
        world.stub.SendEmail(request)
        messages.append(request.request_id)
    world.relay()
    for message in messages:
        world.providers.tell(message, "sent", "complaint", "complaint")
    world.apply_events()
    (told,) = queued(world, service)
    assert set(told) == {"notification_id", "complaint_id", "reference", "to", "complaint_date"}
    assert (told["notification_id"], told["reference"]) == (messages[0], "R")
    assert told["to"] == "Reader@example.com"
    assert world.state(service, messages[0]) == "sending"
    assert queued(world, other) == []


def test_a_returned_letter_is_told_and_a_delivered_one_is_not(world: World) -> None:
    service = known_service(world, "delivery_status", "returned_letter")
    request = letter(service, world.admin.add_template(service, "letter", "x", "s"), reference="R")
    world.stub.SendLetter(request)
    world.letters.tell(request.request_id, "ready", sheets=1)
    world.apply_events()
    world.providers.tell(request.request_id, "sent", "delivered", provider="dvla")
    world.apply_events()
    assert queued(world, service) == []
    world.letters.tell(request.request_id, "returned", sheets=1)
    world.letters.tell(request.request_id, "returned", sheets=1)
    world.apply_events()
    (told,) = queued(world, service)
    assert (told["notification_id"], told["reference"], told["sent_by"]) == (request.request_id, "R", "API")


def test_who_wants_to_be_told_of_nothing_costs_nothing(world: World) -> None:
    service = known_service(world, "inbound_sms")
    message = sent_text(world, service)
    world.providers.tell(message, "sent", "delivered")
    statements: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(world.parts.uow.engine, "before_cursor_execute", note)
    try:
        world.apply_events()
    finally:
        event.remove(world.parts.uow.engine, "before_cursor_execute", note)
    assert statements
    assert [statement for statement in statements if "callbacks" in statement] == []
    assert queued(world, service) == []


def test_while_admin_is_away_everything_is_queued_and_nothing_waits(world: World) -> None:
    service = known_service(world)
    message = sent_text(world, service)
    world.providers.tell(message, "sent", "delivered")
    world.parts.snapshots._forget_all()
    world.admin.away = True
    world.step(world.feeds["delivery-events"])
    assert world.state(service, message) == "delivered"
    assert [told["id"] for told in queued(world, service)] == [message]


def test_a_callback_is_queued_with_the_change_or_not_at_all(world: World) -> None:
    service = known_service(world, "delivery_status")
    message = sent_text(world, service)
    world.providers.tell(message, "sent", "delivered")
    with world.failing_updates(), pytest.raises(sa.exc.DBAPIError):
        world.apply_events()
    assert queued(world, service) == []
    world.apply_events()
    assert len(queued(world, service)) == 1


def test_a_received_text_is_told_once_with_its_numbers(world: World) -> None:
    inbox = Inbox(world)
    world.admin.add_callback(inbox.service, "inbound_sms")
    text = inbox.write("Hi é")
    world.apply_events()
    world.execute("DELETE FROM feed_cursors")
    world.feeds.update({worker.name: worker for worker in bootstrap.feed_workers(world.parts)})
    world.apply_events()
    (told,) = queued(world, inbox.service)
    (row,) = world.rows("SELECT create_time FROM inbound_sms WHERE id = :id", id=text)
    assert list(told.items()) == [
        ("id", text),
        ("source_number", "447700900111"),
        ("destination_number", inbox.number),
        ("message", "Hi é"),
        ("date_received", f"{row.create_time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"),
    ]


def test_an_event_is_queued_once(world: World) -> None:
    service = known_service(world, "inbound_sms")
    received = inbound_sms(
        new_id(),
        service,
        source_number="447700900111",
        destination_number="07111111111",
        message="Hi é 😀",
        date_received=datetime(2020, 1, 1, 1, 2, 3, tzinfo=UTC),
    )
    for _ in range(2):
        with world.parts.uow.begin() as tx:
            enqueue(world.parts.snapshots, tx, [received])
    (told,) = queued(world, service)
    assert told["date_received"] == "2020-01-01T01:02:03.000000Z"
    assert received.body.isascii()
    assert received.type is CallbackType.INBOUND_SMS

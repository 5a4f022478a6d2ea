"""Applying what providers and letters report, exactly once (design.md §3.4, §3.8)."""

import pytest
import sqlalchemy as sa
from notify_common.ids import new_id

from .conftest import World
from .neighbours import at_once
from .requests import email, letter, sms


def sent_text(world: World, **changes: object) -> tuple[str, str]:
    service = world.admin.add_service()
    request = sms(service, world.admin.add_template(service, "sms", "x"), **changes)
    world.stub.SendSms(request)
    world.relay()
    return service, request.request_id


def test_a_text_is_delivered_with_its_times_and_cost(world: World) -> None:
    service, notification = sent_text(world)
    world.providers.tell(notification, "sent")
    world.apply_events()
    assert world.state(service, notification) == "sending"
    world.providers.tell(notification, "delivered")
    world.apply_events()
    found = world.get(service, notification)
    assert world.state(service, notification) == "delivered"
    assert found.sent_time == world.providers.events[0].event_time
    assert found.update_time == world.providers.events[1].event_time
    assert found.provider == "sandbox"
    assert found.cost.amount_micropounds == found.cost.sms_rate_micropounds == 24_000
    assert (found.cost.sms_fragments, found.cost.international_rate_multiplier) == (1, 1)


def test_late_repeated_and_unknown_events_do_no_harm(world: World) -> None:
    service, notification = sent_text(world)
    world.providers.tell(new_id(), "delivered")
    world.providers.tell(notification, "delivered", "sent", "pending", "permanent_failure", "delivered")
    assert world.apply_events() == 6
    assert world.apply_events() == 0
    assert world.state(service, notification) == "delivered"
    assert world.get(service, notification).HasField("sent_time")


@pytest.mark.parametrize(
    ("number", "state"),
    [("+14155552671", "sent"), ("+33612345678", "delivered"), ("07797712345", "delivered")],
)
def test_receipts_from_other_countries(world: World, number: str, state: str) -> None:
    service, notification = sent_text(world, phone_number=number)
    world.providers.tell(notification, "sent")
    world.apply_events()
    assert world.state(service, notification) == "sent"
    world.providers.tell(notification, "delivered")
    world.apply_events()
    assert world.state(service, notification) == state


def test_events_in_front_of_the_hand_over_stay(world: World) -> None:
    service = world.admin.add_service()
    request = email(service, world.admin.add_template(service, "email", "x", "s"))
    world.stub.SendEmail(request)
    world.providers.tell(request.request_id, "sent", "delivered")
    world.apply_events()
    world.relay()
    assert world.state(service, request.request_id) == "delivered"
    assert world.get(service, request.request_id).cost.amount_micropounds == 0


@pytest.mark.parametrize(
    ("key_type", "kind", "state", "cost"),
    [
        ("normal", "ready", "created", (770_000, 2)),
        ("test", "ready", "created", (0, 0)),
        ("normal", "validation_failed", "validation_failed", (0, 0)),
        ("normal", "technical_failure", "technical_failure", (0, 0)),
        ("normal", "cancelled", "cancelled", (0, 0)),
    ],
)
def test_letters(world: World, key_type: str, kind: str, state: str, cost: tuple[int, int]) -> None:
    service = world.admin.add_service()
    request = letter(service, world.admin.add_template(service, "letter", "x", "s"), key_type=key_type)
    world.stub.SendLetter(request)
    assert not world.get(service, request.request_id).HasField("cost")
    world.relay()
    world.letters.tell(request.request_id, kind, sheets=2 if kind == "ready" else 0)
    world.apply_events()
    assert world.state(service, request.request_id) == state
    found = world.get(service, request.request_id)
    assert (found.cost.amount_micropounds, found.cost.letter_sheets) == cost


def test_a_printed_letter_is_delivered(world: World) -> None:
    service = world.admin.add_service()
    request = letter(service, world.admin.add_template(service, "letter", "x", "s"))
    world.stub.SendLetter(request)
    world.letters.tell(request.request_id, "ready", sheets=1)
    world.apply_events()
    world.providers.tell(request.request_id, "sent", "delivered", provider="dvla")
    world.apply_events()
    found = world.get(service, request.request_id)
    assert world.state(service, request.request_id) == "delivered"
    assert (found.provider, found.cost.letter_sheets) == ("dvla", 1)


def test_a_letter_that_comes_back_is_returned_and_paid_for(world: World) -> None:
    service = world.admin.add_service()
    request = letter(service, world.admin.add_template(service, "letter", "x", "s"))
    world.stub.SendLetter(request)
    world.letters.tell(request.request_id, "ready", sheets=1)
    world.apply_events()
    world.providers.tell(request.request_id, "sent", "delivered", provider="dvla")
    world.apply_events()
    world.letters.tell(request.request_id, "returned", sheets=1)
    world.letters.tell(request.request_id, "returned", sheets=1)
    world.apply_events()
    assert world.state(service, request.request_id) == "returned_letter"
    assert world.get(service, request.request_id).cost.letter_sheets == 1


def test_a_consumer_that_dies_before_the_commit_applies_the_page_again(world: World) -> None:
    service, notification = sent_text(world)
    world.providers.tell(notification, "sent", "delivered")
    with world.failing_updates(), pytest.raises(sa.exc.DBAPIError):
        world.apply_events()
    assert world.state(service, notification) == "created"
    assert world.apply_events() == 2
    assert world.state(service, notification) == "delivered"


def test_events_and_hand_over_of_the_same_messages_at_once(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    requests = [sms(service, template) for _ in range(60)]
    for request in requests:
        world.stub.SendSms(request)
    for request in reversed(requests):
        world.providers.tell(request.request_id, "sent", "delivered")
    results = at_once(world.relay, world.apply_events)
    assert results == [60, 120]
    rows = world.rows("SELECT DISTINCT state, fragment_count FROM notifications")
    assert [tuple(row) for row in rows] == [("delivered", 1)]

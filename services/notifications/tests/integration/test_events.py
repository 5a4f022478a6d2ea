"""Applying what providers and letters report, exactly once (design.md §3.4, §3.8)."""

import pytest
import sqlalchemy as sa
from notify_common.ids import new_id

from .conftest import House
from .neighbours import at_once
from .requests import email, letter, sms


def sent_text(house: House, **changes: object) -> tuple[str, str]:
    service = house.admin.add_service()
    request = sms(service, house.admin.add_template(service, "sms", "x"), **changes)
    house.stub.SendSms(request)
    house.relay()
    return service, request.request_id


def test_a_text_is_delivered_with_its_times_and_cost(house: House) -> None:
    service, notification = sent_text(house)
    house.providers.tell(notification, "sent")
    house.apply_events()
    assert house.state(service, notification) == "sending"
    house.providers.tell(notification, "delivered")
    house.apply_events()
    found = house.get(service, notification)
    assert house.state(service, notification) == "delivered"
    assert found.sent_time == house.providers.events[0].event_time
    assert found.update_time == house.providers.events[1].event_time
    assert found.provider == "sandbox"
    assert found.cost.amount_micropounds == found.cost.sms_rate_micropounds == 24_000
    assert (found.cost.sms_fragments, found.cost.international_rate_multiplier) == (1, 1)


def test_late_repeated_and_unknown_events_do_no_harm(house: House) -> None:
    service, notification = sent_text(house)
    house.providers.tell(new_id(), "delivered")
    house.providers.tell(notification, "delivered", "sent", "pending", "permanent_failure", "delivered")
    assert house.apply_events() == 6
    assert house.apply_events() == 0
    assert house.state(service, notification) == "delivered"
    assert house.get(service, notification).HasField("sent_time")


@pytest.mark.parametrize(
    ("number", "state"),
    [("+14155552671", "sent"), ("+33612345678", "delivered"), ("07797712345", "delivered")],
)
def test_receipts_from_other_countries(house: House, number: str, state: str) -> None:
    service, notification = sent_text(house, phone_number=number)
    house.providers.tell(notification, "sent")
    house.apply_events()
    assert house.state(service, notification) == "sent"
    house.providers.tell(notification, "delivered")
    house.apply_events()
    assert house.state(service, notification) == state


def test_events_in_front_of_the_hand_over_stay(house: House) -> None:
    service = house.admin.add_service()
    request = email(service, house.admin.add_template(service, "email", "x", "s"))
    house.stub.SendEmail(request)
    house.providers.tell(request.request_id, "sent", "delivered")
    house.apply_events()
    house.relay()
    assert house.state(service, request.request_id) == "delivered"
    assert house.get(service, request.request_id).cost.amount_micropounds == 0


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
def test_letters(house: House, key_type: str, kind: str, state: str, cost: tuple[int, int]) -> None:
    service = house.admin.add_service()
    request = letter(service, house.admin.add_template(service, "letter", "x", "s"), key_type=key_type)
    house.stub.SendLetter(request)
    assert not house.get(service, request.request_id).HasField("cost")
    house.relay()
    house.letters.tell(request.request_id, kind, sheets=2 if kind == "ready" else 0)
    house.apply_events()
    assert house.state(service, request.request_id) == state
    found = house.get(service, request.request_id)
    assert (found.cost.amount_micropounds, found.cost.letter_sheets) == cost


def test_a_printed_letter_is_delivered(house: House) -> None:
    service = house.admin.add_service()
    request = letter(service, house.admin.add_template(service, "letter", "x", "s"))
    house.stub.SendLetter(request)
    house.letters.tell(request.request_id, "ready", sheets=1)
    house.apply_events()
    house.providers.tell(request.request_id, "sent", "delivered", provider="dvla")
    house.apply_events()
    found = house.get(service, request.request_id)
    assert house.state(service, request.request_id) == "delivered"
    assert (found.provider, found.cost.letter_sheets) == ("dvla", 1)


def test_a_letter_that_comes_back_is_returned_and_paid_for(house: House) -> None:
    service = house.admin.add_service()
    request = letter(service, house.admin.add_template(service, "letter", "x", "s"))
    house.stub.SendLetter(request)
    house.letters.tell(request.request_id, "ready", sheets=1)
    house.apply_events()
    house.providers.tell(request.request_id, "sent", "delivered", provider="dvla")
    house.apply_events()
    house.letters.tell(request.request_id, "returned", sheets=1)
    house.letters.tell(request.request_id, "returned", sheets=1)
    house.apply_events()
    assert house.state(service, request.request_id) == "returned_letter"
    assert house.get(service, request.request_id).cost.letter_sheets == 1


def test_a_consumer_that_dies_before_the_commit_applies_the_page_again(house: House) -> None:
    service, notification = sent_text(house)
    house.providers.tell(notification, "sent", "delivered")
    with house.failing_updates(), pytest.raises(sa.exc.DBAPIError):
        house.apply_events()
    assert house.state(service, notification) == "created"
    assert house.apply_events() == 2
    assert house.state(service, notification) == "delivered"


def test_events_and_hand_over_of_the_same_messages_at_once(house: House) -> None:
    service = house.admin.add_service()
    template = house.admin.add_template(service, "sms", "x")
    requests = [sms(service, template) for _ in range(60)]
    for request in requests:
        house.stub.SendSms(request)
    for request in reversed(requests):
        house.providers.tell(request.request_id, "sent", "delivered")
    results = at_once(house.relay, house.apply_events)
    assert results == [60, 120]
    rows = house.rows("SELECT DISTINCT state, hand_over_time IS NOT NULL FROM notifications")
    assert [tuple(row) for row in rows] == [("delivered", True)]

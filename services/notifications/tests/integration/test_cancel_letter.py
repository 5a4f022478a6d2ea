"""Cancelling letters, whatever dies when (pipeline.md §4.9)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import World
from .neighbours import at_once
from .requests import letter, precompiled_letter, sms

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Make it a time at which letters can be cancelled."""
    with clock.set_for_tests(NOON):
        yield


def accept(world: World, key_type: str = "normal") -> tuple[str, str]:
    """Have a letter accepted; return its service and id."""
    service = world.admin.add_service()
    request = letter(service, world.admin.add_template(service, "letter", "x", "s"), key_type=key_type)
    world.stub.SendLetter(request)
    return service, request.request_id


def cancel(world: World, service: str, id: str) -> Any:
    return world.stub.CancelLetter(pb.CancelLetterRequest(service_id=service, notification_id=id))


def refused(world: World, service: str, id: str) -> NotifyError:
    with pytest.raises(NotifyError) as raised:
        cancel(world, service, id)
    return raised.value


def counted(world: World, service: str) -> tuple[int, Any]:
    """Return the letters of today that count, as the database and as Redis have them."""
    ((stored,),) = world.rows(
        "SELECT sum(count) FROM service_day_counters WHERE service_id = :id", id=service
    )
    return stored, world.redis.get(f"{service}-letter-{clock.now().date()}-count")


@pytest.mark.parametrize("handed_over", [False, True])
def test_a_cancelled_letter_is_never_printed_and_counts_no_more(world: World, handed_over: bool) -> None:
    service, id = accept(world)
    assert counted(world, service) == (1, "1")
    if handed_over:
        world.relay()
        world.letters.tell(id, "ready", sheets=2)
        world.apply_events()
    found = cancel(world, service, id).notification
    assert world.state(service, id) == "cancelled"
    assert (found.cost.amount_micropounds, len(found.details.print_reference)) == (0, 16)
    assert counted(world, service) == (0, "0")
    assert refused(world, service, id).reason == "LETTER_CANCELLED"
    world.relay()
    world.apply_events()
    assert (id in world.letters.letters, world.counts()[1]) == (handed_over, 0)
    assert counted(world, service) == (0, "0")
    assert {tuple(row) for row in world.rows("SELECT state, sum(count) FROM message_counts GROUP BY 1")} == {
        ("created", 0),
        ("cancelled", 1),
    }
    assert not world.rows("SELECT FROM usage_facts WHERE message_count <> 0")


def test_one_that_is_checked_for_viruses_is_cancelled(world: World) -> None:
    service = world.admin.add_service()
    request = precompiled_letter(service, world.admin.precompiled_template(service).id)
    world.stub.SendPrecompiledLetter(request)
    cancel(world, service, request.request_id)
    assert world.state(service, request.request_id) == "cancelled"


def test_one_of_a_test_key_never_counted(world: World) -> None:
    service, id = accept(world, "test")
    cancel(world, service, id)
    assert world.counts()[2] == 0


@pytest.mark.parametrize("reason", ["UNAVAILABLE", "INTERNAL"])
def test_without_an_answer_of_letters_nothing_changes(world: World, reason: str) -> None:
    service, id = accept(world)
    world.letters.cancelling_fails_with = reason
    assert refused(world, service, id).reason == reason
    assert (world.state(service, id), counted(world, service)) == ("created", (1, "1"))
    world.letters.cancelling_fails_with = ""
    cancel(world, service, id)
    assert (world.state(service, id), counted(world, service)) == ("cancelled", (0, "0"))


@pytest.mark.parametrize("again", [False, True])
def test_dying_after_the_answer_leaves_it_to_the_event_or_to_who_asks_again(
    world: World, again: bool
) -> None:
    service, id = accept(world)
    with world.failing_updates():
        assert refused(world, service, id).reason == "INTERNAL"
    assert (world.state(service, id), counted(world, service)) == ("created", (1, "1"))
    world.relay()
    assert id not in world.letters.letters
    if again:
        cancel(world, service, id)
    world.apply_events()
    assert (world.state(service, id), counted(world, service)[0]) == ("cancelled", 0)
    assert refused(world, service, id).reason == "LETTER_CANCELLED"


def test_two_at_once_cancel_it_once(world: World) -> None:
    service, id = accept(world)
    at_once(*[lambda: cancel(world, service, id)] * 2, world.apply_events)
    world.apply_events()
    assert world.state(service, id) == "cancelled"
    assert counted(world, service)[0] == 0


def test_a_print_run_that_has_it_keeps_it(world: World) -> None:
    service, id = accept(world)
    world.relay()
    world.letters.cancellation = "NOT_CANCELLABLE"
    error = refused(world, service, id)
    create_time = world.get(service, id).create_time.ToDatetime()
    assert (error.reason, error.metadata["status"]) == ("LETTER_NOT_CANCELLABLE", "created")
    assert error.metadata["create_time"] == str(create_time)
    assert (world.state(service, id), counted(world, service)) == ("created", (1, "1"))


@pytest.mark.parametrize(
    ("later", "day"),
    [
        (timedelta(hours=5, minutes=30), "today"),
        (timedelta(days=1), "2 March"),
        (timedelta(days=9), "2 March"),
    ],
)
def test_the_deadline_ends_cancelling(world: World, later: timedelta, day: str) -> None:
    service, id = accept(world)
    with clock.set_for_tests(NOON + later):
        error = refused(world, service, id)
    assert (error.reason, error.metadata["print_day"]) == ("LETTER_TOO_LATE", day)
    with clock.set_for_tests(NOON + timedelta(hours=5, minutes=29)):
        cancel(world, service, id)
    with clock.set_for_tests(NOON + later):
        assert refused(world, service, id).reason == "LETTER_CANCELLED"


def test_only_the_service_s_own_letters_are_cancelled(world: World) -> None:
    service, id = accept(world)
    other = world.admin.add_service()
    for asked in ((other, id), (service, new_id())):
        assert refused(world, *asked).reason == "NOTIFICATION_NOT_FOUND"
    text = sms(other, world.admin.add_template(other, "sms", "x"))
    world.stub.SendSms(text)
    assert refused(world, other, text.request_id).reason == "NOT_A_LETTER"
    assert world.letters.cancelled == set()

"""Letters that the post brings back after their retention (public-api.md §6.5, pipeline.md §4.11)."""

from datetime import UTC, timedelta
from typing import Any

import pytest
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import clock
from notify_notifications.domain.retention import POSTED_LETTERS_KEPT
from notify_notifications.store.counts import recount
from notify_notifications.workers.housekeeping import Housekeeper

from .conftest import World
from .requests import letter
from .test_callback_queue import known_service, queued
from .test_retention import MIDNIGHT, MOMENT, a_pass, ids

CREATED = MIDNIGHT - MOMENT


def a_letter(world: World, service: str, *told: str, **changes: Any) -> pb.SendLetterRequest:
    """Return a letter from before the retention of all services, of which providers told this."""
    template = world.admin.add_template(service, "letter", "x", "s")
    request = letter(service, template, **changes)
    world.stub.SendLetter(request)
    world.letters.tell(request.request_id, "ready", sheets=1)
    world.apply_events()
    world.providers.tell(request.request_id, *told, provider="dvla")
    world.apply_events()
    world.execute(
        "UPDATE notifications SET create_time = :time WHERE id = :id", id=request.request_id, time=CREATED
    )
    world.execute("DELETE FROM outbox")
    for table in ("message_counts", "usage_facts"):
        world.execute(f"UPDATE {table} SET day = :day WHERE service_id = :id", id=service, day=CREATED.date())
    return request


def counts(world: World, service: str, table: str, count: str) -> dict[str, int]:
    """Return how many letters are counted in each state."""
    rows = world.rows(
        f"SELECT state, sum({count}) AS number FROM {table} WHERE service_id = :id GROUP BY state "
        f"HAVING sum({count}) <> 0",
        id=service,
    )
    return {row.state: int(row.number) for row in rows}


def returned(world: World, service: str) -> dict[str, int]:
    """Return how many letters came back, by day."""
    ask = pb.GetReturnedLetterCountsRequest(service_id=service)
    return {day.date: day.letter_count for day in world.stub.GetReturnedLetterCounts(ask).days}


def test_one_that_comes_back_after_its_retention_is_recorded_and_told_once(world: World) -> None:
    service = known_service(world, "returned_letter")
    request = a_letter(world, service, "sent", "delivered", reference="R")
    billed = world.rows("SELECT * FROM usage_facts WHERE service_id = :id", id=service)
    assert (a_pass(world), ids(world)) == (1, [])
    for _ in range(2):
        for _ in range(2):
            world.letters.tell(request.request_id, "returned", sheets=1)
        world.apply_events()
        [told] = queued(world, service)
    assert told == {
        "notification_id": request.request_id,
        "reference": "R",
        "date_sent": f"{CREATED.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        "sent_by": "API",
        "template_name": None,  # it is filled in when it is told
        "template_id": request.template_id,
        "template_version": 1,
        "spreadsheet_file_name": None,
        "spreadsheet_row_number": None,
        "upload_letter_file_name": None,
    }
    assert returned(world, service) == {clock.london_day(clock.now()).isoformat(): 1}
    assert counts(world, service, "message_counts", "count") == {"returned-letter": 1}
    assert counts(world, service, "deleted_message_counts", "message_count") == {"returned-letter": 1}
    assert world.rows("SELECT * FROM usage_facts WHERE service_id = :id", id=service) == billed
    with world.parts.uow.begin() as tx:
        assert recount(tx, service, CREATED.date()) == 0


def test_one_that_came_back_before_is_still_known_after_its_retention(world: World) -> None:
    service = known_service(world, "returned_letter")
    request = a_letter(world, service, "sent", "delivered")
    world.letters.tell(request.request_id, "returned", sheets=1)
    world.apply_events()
    before = returned(world, service)
    assert a_pass(world) == 1
    world.letters.tell(request.request_id, "returned", sheets=1)
    world.apply_events()
    assert (returned(world, service), len(queued(world, service))) == (before, 1)


@pytest.mark.parametrize("changes", [{"key_type": "test"}, {}])
def test_one_that_was_not_posted_is_not_kept(world: World, changes: dict[str, str]) -> None:
    service = known_service(world, "returned_letter")
    request = a_letter(
        world, service, *(["sent", "delivered"] if changes else ["technical_failure"]), **changes
    )
    assert a_pass(world) == 1
    world.letters.tell(request.request_id, "returned", sheets=1)
    world.apply_events()
    assert (queued(world, service), returned(world, service)) == ([], {})


def test_what_is_left_of_it_goes_in_the_end(world: World) -> None:
    service = known_service(world, "returned_letter")
    a_letter(world, service, "sent", "delivered")
    assert a_pass(world) == 1
    keeper = Housekeeper(world.parts.uow, world.parts.counters, world.parts.limit_store)
    assert keeper.forget_posted_letters(world.parts.uow) == 0
    with clock.set_for_tests(clock.now() + POSTED_LETTERS_KEPT + timedelta(days=1)):
        assert keeper.forget_posted_letters(world.parts.uow) == 1

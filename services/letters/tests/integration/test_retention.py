"""Letters are removed when their service keeps them no longer, and nothing else is (public-api.md §8.4)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from notify.letters.v1 import letters_service_pb2 as pb
from notify_common import clock, ids
from notify_common.enums import Channel
from notify_common.errors import NotifyError
from notify_letters.store import letters as store
from notify_letters.usecases import change_letters
from notify_letters.usecases.change_letters import delete_removed_letters
from notify_letters.workers.retention import Retention

from .conftest import SERVICE_ID, World
from .test_life import get, letter_ids
from .test_print_runs import make_letters, start, submit_all

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
"""Seven days before NOW; London has the time of UTC then."""
MOMENT = timedelta(microseconds=1)
OTHER_ID = "33333333-3333-7333-8333-333333333333"


@pytest.fixture(autouse=True)
def known(world: World) -> None:
    """Make admin know another service; neither has a retention of its own."""
    world.admin.add_service(id=OTHER_ID)


def a_pass(world: World, now: datetime = NOW) -> int:
    """Make a whole round, of a worker that has made none that day; return how many letters it removed."""
    before = len(removed(world))
    worker = worker_of(world)
    with clock.set_for_tests(now):
        while worker.step(world.uow):
            pass
    return len(removed(world)) - before


def worker_of(world: World) -> Retention:
    parts = world.parts()
    return Retention(parts.blobs, parts.retention_days)


def removed(world: World) -> list[str]:
    rows = world.rows("SELECT id FROM letters WHERE remove_time IS NOT NULL ORDER BY id")
    return [str(row.id) for row in rows]


def with_pdf(world: World, letter_ids: Sequence[str]) -> list[str]:
    """Return those of the letters that have a PDF."""
    blobs = world.parts().blobs

    def has_one(letter_id: str) -> bool:
        try:
            blobs.head(f"letters/pdf/{letter_id}.pdf")
        except NotifyError:
            return False
        except Exception as error:
            if "no object" not in str(error):
                raise
            return False
        return True

    return [letter_id for letter_id in letter_ids if has_one(letter_id)]


def an_ended(
    world: World, end: datetime, service_id: str = SERVICE_ID, state: str = "cancelled", count: int = 1
) -> list[str]:
    """Store letters that ended then, with their PDFs; return their ids."""
    known = set(letter_ids(world))
    make_letters(world, count, state=state, service_id=service_id)
    new = [letter_id for letter_id in letter_ids(world) if letter_id not in known]
    world.run("UPDATE letters SET update_time = :end WHERE id = ANY(CAST(:ids AS uuid[]))", end=end, ids=new)
    blobs = world.parts().blobs
    for letter_id in new:
        blobs.put(f"letters/pdf/{letter_id}.pdf", b"%PDF-")
    return new


def test_what_ended_before_midnight_seven_days_ago_goes_with_its_pdf(world: World) -> None:
    [gone] = an_ended(world, MIDNIGHT - MOMENT)
    [kept] = an_ended(world, MIDNIGHT)
    assert a_pass(world) == 1
    assert removed(world) == [gone]
    assert with_pdf(world, [gone, kept]) == [kept]
    rows = world.rows("SELECT personalisation, address_lines FROM letters WHERE remove_time IS NOT NULL")
    assert [tuple(row) for row in rows] == [([], [])]
    pdf = pb.DownloadPdfRequest(service_id=SERVICE_ID, letter_id=gone)
    with pytest.raises(NotifyError, match="removed for its age"):
        next(world.letters.DownloadPdf(pdf))
    image = pb.GetPageImageRequest(service_id=SERVICE_ID, letter_id=gone, page_number=1)
    with pytest.raises(NotifyError, match="removed for its age"):
        world.letters.GetPageImage(image)
    assert get(world, gone).HasField("remove_time")
    assert get(world, kept).address_lines


def test_each_service_has_the_days_that_it_has_set_for_letters(world: World) -> None:
    world.admin.set_retention(SERVICE_ID, Channel.LETTER, 3)
    world.admin.set_retention(SERVICE_ID, Channel.SMS, 90)
    world.admin.set_retention(OTHER_ID, Channel.LETTER, 30)
    world.admin.set_retention(OTHER_ID, Channel.EMAIL, 3)
    three, thirty = MIDNIGHT + timedelta(days=4), MIDNIGHT - timedelta(days=23)
    gone = [*an_ended(world, three - MOMENT), *an_ended(world, thirty - MOMENT, OTHER_ID)]
    kept = [*an_ended(world, three), *an_ended(world, thirty, OTHER_ID)]
    assert a_pass(world) == 2
    assert removed(world) == sorted(gone)
    assert with_pdf(world, [*gone, *kept]) == kept


def test_what_waits_is_kept_however_old(world: World) -> None:
    make_letters(world, 2)
    start(world)
    world.run("UPDATE letters SET update_time = :end", end=MIDNIGHT - timedelta(days=80))
    an_ended(world, MIDNIGHT - timedelta(days=80), state="ready")
    an_ended(world, MIDNIGHT - timedelta(days=80), state="created")
    assert a_pass(world) == 0, "two wait in a batch that providers do not have yet"
    assert all(submit_all(world))
    world.run("UPDATE print_batches SET submit_time = :end", end=MIDNIGHT)
    assert a_pass(world) == 0
    world.run("UPDATE print_batches SET submit_time = :end", end=MIDNIGHT - MOMENT)
    assert a_pass(world) == 2
    assert a_pass(world) == 0


def test_letters_of_a_service_that_admin_does_not_know_are_kept(world: World) -> None:
    [gone] = an_ended(world, MIDNIGHT - MOMENT)
    an_ended(world, MIDNIGHT - MOMENT, "00000000-0000-7000-8000-000000000001")
    assert a_pass(world) == 1
    assert removed(world) == [gone]


def test_without_admin_nothing_goes_and_the_round_is_resumed(world: World) -> None:
    an_ended(world, MIDNIGHT - MOMENT)
    worker = worker_of(world)
    world.admin.away = True
    with clock.set_for_tests(NOW):
        with pytest.raises(NotifyError):
            worker.step(world.uow)
        assert removed(world) == []
        world.admin.away = False
        # what was asked a moment ago in vain is asked again a second later
        worker = worker_of(world)
        while worker.step(world.uow):
            pass
    assert len(removed(world)) == 1


def test_many_go_in_bounded_bites_of_one_round_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_letters, "REMOVE_AT_ONCE", 4)
    an_ended(world, MIDNIGHT - MOMENT, count=9)
    worker = worker_of(world)
    with clock.set_for_tests(NOW):
        assert [worker.step(world.uow) for _ in range(5)] == [4, 4, 1, 0, 0]
        an_ended(world, MIDNIGHT - MOMENT)
        assert worker.step(world.uow) == 0
    with clock.set_for_tests(NOW + timedelta(hours=12)):
        assert worker.step(world.uow) == 1


def test_one_that_dies_between_pdfs_and_rows_is_finished_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = an_ended(world, MIDNIGHT - MOMENT, count=3)

    def dies(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(store, "empty", dies)
        with pytest.raises(SystemExit):
            a_pass(world)
    assert (removed(world), with_pdf(world, ended)) == ([], [])
    assert a_pass(world) == 3
    assert removed(world) == sorted(ended)


def test_one_that_dies_among_the_pdfs_is_finished_by_the_next(world: World) -> None:
    ended = an_ended(world, MIDNIGHT - MOMENT, count=3)
    world.parts().blobs.delete(f"letters/pdf/{ended[0]}.pdf")
    assert a_pass(world) == 3
    assert with_pdf(world, ended) == []


def test_rows_go_long_after_their_letters(world: World) -> None:
    an_ended(world, MIDNIGHT - MOMENT, count=3)
    assert a_pass(world) == 3
    make_letters(world, 1)
    assert delete_removed_letters(world.uow, 400) == 0
    world.run("UPDATE letters SET remove_time = now() - interval '401 days' WHERE remove_time IS NOT NULL")
    assert delete_removed_letters(world.uow, 400) == 3
    assert world.states() == {"ready": 1}
    assert world.rows("SELECT letter_id FROM letter_references") == world.rows("SELECT id FROM letters")


@pytest.mark.parametrize(("days", "told"), [(None, 7), (30, 30), (0, 1), (10_000, 365)])
def test_providers_are_told_how_long(world: World, days: int | None, told: int) -> None:
    if days is not None:
        world.admin.set_retention(SERVICE_ID, Channel.LETTER, days)
    make_letters(world, 2)
    start(world)
    assert all(submit_all(world))
    assert [one.retention_days for one in world.providers.dispatches.values()] == [told, told]


def test_printing_does_not_wait_for_admin(world: World) -> None:
    world.admin.away = True
    make_letters(world, 2)
    start(world)
    assert all(submit_all(world))
    assert [one.retention_days for one in world.providers.dispatches.values()] == [0, 0]


def test_ids_of_services_are_gone_through_in_order(world: World) -> None:
    services = sorted(ids.new_id() for _ in range(3))
    for service_id in services:
        make_letters(world, 1, state="cancelled", service_id=service_id)
    found: list[str] = []
    after = "00000000-0000-0000-0000-000000000000"
    with world.uow.begin() as tx:
        while following := store.next_service_to_remove_of(tx, after):
            found.append(following)
            after = following
    assert found == services

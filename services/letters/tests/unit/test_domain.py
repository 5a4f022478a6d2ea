"""Rules of letters and print runs."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common import ids
from notify_common.clock import LONDON
from notify_common.enums import KeyType, Lane, Postage
from notify_letters.domain.letter import (
    EventKind,
    LetterState,
    NewLetter,
    PdfFacts,
    not_rendered,
    pdf_key,
    render_batches,
    rendered,
    sheets,
)
from notify_letters.domain.print_run import Counts, Schedule, daily_run_id, disagreements

SERVICE_ID = ids.new_id()


def new_letter() -> NewLetter:
    """Return any letter."""
    some = ids.new_id()
    return NewLetter(
        some, some, KeyType.NORMAL, some, 1, [], [], Postage.SECOND, "R", datetime.now(UTC), "", ""
    )


def test_batches_are_of_one_service_and_lane() -> None:
    one, other = new_letter(), new_letter()
    urgent = replace(one, lane=Lane.PLATFORM)
    assert render_batches([one, other, urgent, one]) == [[one, one], [other], [urgent]]


@given(st.integers(0, 500), st.integers(1, 60))
def test_batches_keep_every_letter_once_and_in_order(count: int, size: int) -> None:
    letters = [replace(new_letter(), service_id=SERVICE_ID) for _ in range(count)]
    batches = render_batches(letters, size)
    assert [letter for batch in batches for letter in batch] == letters
    assert all(1 <= len(batch) <= size for batch in batches)
    assert len(batches) == -(-count // size)


@given(st.integers(0, 1000))
def test_two_pages_make_a_sheet(pages: int) -> None:
    assert 2 * sheets(pages) - 1 <= pages <= 2 * sheets(pages) or pages == sheets(pages) == 0


@pytest.mark.parametrize(
    ("pages", "kind"),
    [(1, EventKind.READY), (10, EventKind.READY), (11, EventKind.VALIDATION_FAILED)],
)
def test_more_than_ten_pages_fail_validation(pages: int, kind: EventKind) -> None:
    outcome = rendered(ids.new_id(), PdfFacts(pages, 1000, "ab"))
    assert (outcome.kind, outcome.pdf.page_count, outcome.sheet_count) == (kind, pages, (pages + 1) // 2)


def test_what_was_not_rendered_has_no_pages() -> None:
    outcome = not_rendered(ids.new_id())
    assert outcome.kind == EventKind.TECHNICAL_FAILURE
    assert (outcome.kind, outcome.pdf.page_count, outcome.sheet_count) == (EventKind.TECHNICAL_FAILURE, 0, 0)


def test_every_event_tells_of_a_state_or_of_what_came_after_it() -> None:
    assert {kind.value for kind in EventKind} - {state.value for state in LetterState} == {"returned"}


def test_the_key_of_a_pdf_is_made_of_the_id() -> None:
    letter_id = "018f0000-0000-7000-8000-000000000001"
    assert pdf_key(letter_id) == "letters/pdf/018f0000-0000-7000-8000-000000000001.pdf"


SCHEDULE = Schedule(deadline=time(17, 30), start=time(17, 50))


@pytest.mark.parametrize("day", [date(2026, 1, 15), date(2026, 7, 15), date(2026, 3, 29), date(2026, 10, 25)])
@pytest.mark.parametrize(
    ("moment", "is_due"), [("00:00:00", 0), ("17:49:59", 0), ("17:50:00", 1), ("23:59:59", 1)]
)
def test_a_day_is_due_from_17_50_in_london_on(day: date, moment: str, is_due: bool) -> None:
    local = datetime.fromisoformat(f"{day} {moment}").replace(tzinfo=LONDON)
    assert SCHEDULE.due_day(local.astimezone(UTC)) == (day if is_due else day - timedelta(days=1))


@given(st.integers(1_577_836_800, 2_208_988_800), st.integers(0, 20 * 60))
def test_whoever_asks_once_in_a_day_misses_none(moment: int, minutes: int) -> None:
    """However irregularly it is asked, the days that are due follow one another."""
    first = datetime.fromtimestamp(moment, UTC)
    later = first + timedelta(minutes=minutes)
    between = SCHEDULE.due_day(later) - SCHEDULE.due_day(first)
    assert timedelta(0) <= between <= timedelta(days=1)
    assert SCHEDULE.deadline_of(SCHEDULE.due_day(later)) < later


def test_the_deadline_is_in_londons_time() -> None:
    assert SCHEDULE.deadline_of(date(2026, 1, 15)).astimezone(UTC).time() == time(17, 30)
    assert SCHEDULE.deadline_of(date(2026, 7, 15)).astimezone(UTC).time() == time(16, 30)


def test_counts_that_differ_are_named() -> None:
    assert disagreements(Counts(3, 3, 3, 3)) == []
    assert disagreements(Counts(3, 2, 3, 4)) == ["in_batches", "taken"]


def test_a_day_has_one_run_id() -> None:
    assert daily_run_id(date(2026, 1, 15)) == daily_run_id(date(2026, 1, 15))
    assert daily_run_id(date(2026, 1, 15)) != daily_run_id(date(2026, 1, 16))

"""Rules of letters and print runs."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common import ids
from notify_letters.domain.letter import (
    MAX_CREATE,
    EventKind,
    LetterState,
    NewLetter,
    not_rendered,
    pdf_key,
    render_batches,
    rendered,
    sheets,
)
from notify_letters.domain.print_run import LONDON, daily_deadline, daily_run_id, in_daily_window


def new_letter() -> NewLetter:
    """Any letter."""
    some = ids.uuid7()
    return NewLetter(some, some, "normal", some, 1, [], [], "second", "R", datetime.now(UTC), "", "")


@given(st.integers(0, MAX_CREATE), st.integers(1, 60))
def test_batches_keep_every_letter_once_and_in_order(count: int, size: int) -> None:
    letters = [new_letter() for _ in range(count)]
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
    outcome = rendered(ids.uuid7(), pages)
    assert (outcome.kind, outcome.page_count, outcome.sheet_count) == (kind, pages, (pages + 1) // 2)


def test_what_was_not_rendered_has_no_pages() -> None:
    outcome = not_rendered(ids.uuid7(), EventKind.TECHNICAL_FAILURE)
    assert (outcome.kind, outcome.page_count, outcome.sheet_count) == (EventKind.TECHNICAL_FAILURE, 0, 0)


def test_every_event_tells_of_a_state() -> None:
    assert {kind.value for kind in EventKind} <= {state.value for state in LetterState}


def test_the_key_of_a_pdf_is_made_of_the_id() -> None:
    letter_id = UUID("018f0000-0000-7000-8000-000000000001")
    assert pdf_key(letter_id) == "letters/pdf/018f0000-0000-7000-8000-000000000001.pdf"


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)))
def test_exactly_one_of_the_two_daily_firings_is_in_the_window(day: date) -> None:
    firings = [datetime(day.year, day.month, day.day, hour, 50, tzinfo=UTC) for hour in (16, 17)]
    inside = [moment for moment in firings if in_daily_window(moment)]
    assert len(inside) == 1
    local = inside[0].astimezone(LONDON)
    assert (local.hour, local.minute) == (17, 50)
    deadline = daily_deadline(inside[0])
    assert inside[0] - deadline == timedelta(minutes=20)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [("17:49:59", False), ("17:50:00", True), ("18:49:59", True), ("18:50:00", False)],
)
def test_the_window_is_from_17_50_to_18_50_in_london(moment: str, inside: bool) -> None:
    for day in ("2026-01-15", "2026-07-15"):
        local = datetime.fromisoformat(f"{day} {moment}").replace(tzinfo=LONDON)
        assert in_daily_window(local.astimezone(UTC)) == inside


def test_a_day_has_one_run_id() -> None:
    assert daily_run_id(date(2026, 1, 15)) == daily_run_id(date(2026, 1, 15))
    assert daily_run_id(date(2026, 1, 15)) != daily_run_id(date(2026, 1, 16))

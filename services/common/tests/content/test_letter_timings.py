"""Letter timings: the deadline in both seasons, delivery order, cancelling."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_content.bank_holidays import ENGLAND_AND_WALES
from notify_content.letter_timings import (
    POSTAGE_CLASSES,
    can_be_cancelled,
    is_delivery_day,
    is_printing_day,
    timings,
)

LONDON = ZoneInfo("Europe/London")
MOMENTS = st.datetimes(
    datetime(2018, 1, 1),  # noqa: DTZ001
    datetime(2040, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, LONDON, ZoneInfo("Asia/Tokyo")]),
)


def local(day: int, hour: int, minute: int, second: int = 0, month: int = 2) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=LONDON)


def test_unknown_postage_is_refused() -> None:
    with pytest.raises(KeyError):
        timings(local(2, 9, 0), "third")


@pytest.mark.parametrize("month", [2, 7])
def test_the_deadline_is_in_london_time(month: int) -> None:
    before = timings(local(2, 17, 29, 59, month), "first").printed_by
    after = timings(local(2, 17, 30, 0, month), "first").printed_by
    assert before.astimezone(LONDON).date() == date(2026, month, 3)
    assert after.astimezone(LONDON).date() > date(2026, month, 3)


def test_holidays_can_be_brought_up_to_date() -> None:
    holidays = ENGLAND_AND_WALES | {date(2026, 2, 3)}
    assert not is_printing_day(date(2026, 2, 3), holidays)
    assert not is_delivery_day(date(2026, 2, 3), "first", holidays)
    assert timings(local(2, 9, 0), "first", holidays).printed_by == local(4, 15, 0).astimezone(UTC)


@pytest.mark.parametrize("status", ["sending", "delivered", "cancelled", "", "Created"])
def test_letters_on_their_way_cannot_be_cancelled(status: str) -> None:
    assert not can_be_cancelled(status, local(3, 9, 0), local(3, 9, 1))


def test_a_friday_evening_letter_can_be_cancelled_on_saturday_only() -> None:
    created = local(6, 18, 0)
    assert can_be_cancelled("created", created, local(7, 17, 29, 59))
    assert not can_be_cancelled("created", created, local(7, 17, 30))
    assert not can_be_cancelled("created", created, local(8, 9, 0))


@given(MOMENTS, st.sampled_from(POSTAGE_CLASSES))
def test_a_letter_is_printed_then_delivered_on_working_days(moment: datetime, postage: str) -> None:
    answer = timings(moment, postage)
    uploaded = moment.astimezone(LONDON).date()
    printed, earliest, latest = (
        instant.astimezone(LONDON)
        for instant in (answer.printed_by, answer.earliest_delivery, answer.latest_delivery)
    )
    assert uploaded < printed.date() < earliest.date() <= latest.date()
    assert is_printing_day(printed.date())
    assert is_delivery_day(earliest.date(), postage)
    assert is_delivery_day(latest.date(), postage)
    assert (printed.hour, printed.minute) == (15, 0)
    assert (earliest.hour, latest.hour) == (16, 16)
    assert {printed.second, earliest.second, latest.second} == {moment.second}


@given(MOMENTS, st.integers(0, 3 * 24 * 60), st.integers(0, 24 * 60))
def test_too_late_stays_too_late(created: datetime, age: int, later: int) -> None:
    # Whole minutes: the seconds of a moment move its own deadline.
    created = created.astimezone(UTC).replace(second=0, microsecond=0)
    now = created + timedelta(minutes=age)
    if not can_be_cancelled("created", created, now):
        assert not can_be_cancelled("created", created, now + timedelta(minutes=later))

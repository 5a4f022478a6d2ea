"""Days that the admin web app asks for, all London's (internal-api.md §§4.13, 4.15)."""

from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from notify_common import clock

from notify_gateway.admin.forms import InvalidForm
from notify_gateway.admin.routes import Call
from notify_gateway.answers import InvalidRequest

NO_DATE: Final = "Input must be a date in the format: YYYY-MM-DD"
_APRIL: Final = 4
_MOST_DAYS: Final = 3_660


class Days(NamedTuple):
    """From one day to another, both included."""

    first: date
    last: date

    def asked(self) -> dict[str, Any]:
        """Return them as the fields of a request."""
        return {"from_day": str(self.first), "to_day": str(self.last)}

    @property
    def of_one_year(self) -> bool:
        """Whether they are of one financial year."""
        return _year(self.first) == _year(self.last)

    def months(self) -> list[str]:
        """Return the months of a financial year that have begun, such as `2026-04`."""
        firsts = [date(self.first.year + month // 12, month % 12 + 1, 1) for month in range(3, 15)]
        return [f"{first:%Y-%m}" for first in firsts if first <= today()]


def today() -> date:
    """Return London's."""
    return clock.london_day(clock.now())


def last_days(number: int) -> Days:
    """Return today and as many days before it."""
    return Days(today() - timedelta(days=number), today())


def number_of_days(call: Call, name: str, default: str = "", told_as: str = "") -> int:
    """Return a number of days in the query. Raises InvalidForm, told of that name or of `told_as`."""
    text = call.query(name) or default
    try:
        return max(-1, min(int(text), _MOST_DAYS))
    except ValueError:
        raise InvalidForm({told_as or name: [f"{text} is not an integer"]}) from None


def financial_year(call: Call, sentence: str) -> Days:
    """Return the days of the financial year in the query. Raises InvalidForm with the sentence."""
    text = call.query("year")
    if not (text.isascii() and text.isdecimal() and len(text) == 4 and int(text) >= 2000):
        raise InvalidForm(sentence)
    return year_from(int(text))


def year_from(year: int) -> Days:
    """Return the days of the financial year that begins in a calendar year."""
    return Days(date(year, _APRIL, 1), date(year + 1, _APRIL, 1) - timedelta(days=1))


def current_year() -> Days:
    """Return the days of the financial year of today."""
    return year_from(_year(today()))


def range_asked(call: Call, *, of_one_year: bool = False) -> Days:
    """Return the days from `start_date` to `end_date`. Raises InvalidForm."""
    try:
        days = Days(*(date.fromisoformat(call.query(name)) for name in ("start_date", "end_date")))
    except ValueError:
        raise InvalidForm(NO_DATE) from None
    if of_one_year and days.first > days.last:
        raise InvalidForm("Start date must be before end date")
    if of_one_year and not days.of_one_year:
        raise InvalidForm("Date must be in a single financial year.")
    return days


def range_or_today(call: Call) -> Days:
    """Return the days from `start_date` to `end_date`, each of which is today where it is not asked for.

    Raises InvalidRequest.
    """
    days, wrong = [], []
    for name in ("start_date", "end_date"):
        text = call.query(name)
        try:
            days.append(date.fromisoformat(text) if text else today())
        except ValueError:
            wrong.append(f"{name} {text} is not a date")
    if wrong:
        raise InvalidRequest(*wrong)
    return Days(*days)


def _year(day: date) -> int:
    return day.year if day.month >= _APRIL else day.year - 1

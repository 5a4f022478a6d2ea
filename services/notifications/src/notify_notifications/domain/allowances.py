"""Texts that a service may send without paying (internal-api.md §4.15)."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

from notify_common import clock

from notify_notifications.domain.statistics import Days

FIRST_YEAR: Final = 2016
HIGH_VOLUME: Final = 300_000
"""Chargeable fragments in a year after which the next one has no allowance."""
_APRIL: Final = 4
_GROUPS: Final[Mapping[str, str]] = {
    "central": "central",
    "nhs_central": "central",
    "local": "local",
    "nhs_local": "local",
    "emergency_service": "local",
    "school_or_college": "other",
    "nhs_gp": "nhs_gp",
    "nhs_notify": "nhs_notify",
}
"""Types of organisations whose allowances are the same; all others are `other`."""
_DEFAULTS: Final[Mapping[int, Mapping[str, int]]] = {
    2016: {"central": 250_000, "local": 25_000, "other": 25_000, "nhs_gp": 25_000},
    2021: {"central": 150_000, "local": 25_000, "other": 10_000, "nhs_gp": 10_000},
    2022: {"central": 40_000, "local": 20_000, "other": 10_000, "nhs_gp": 10_000},
    2024: {"central": 30_000, "local": 10_000, "other": 5_000},
    2026: {"central": 20_000, "local": 10_000, "other": 5_000},
}
"""By the first year that they are in force; a group that is not there has none."""


def financial_year(moment: datetime) -> int:
    """Return the calendar year in which the financial year of a moment begins, on 1 April in London."""
    return year_of(clock.london_day(moment))


def year_of(day: date) -> int:
    """Return the calendar year in which the financial year of a London day begins."""
    return day.year if day.month >= _APRIL else day.year - 1


def days_of(year: int) -> Days:
    """Return the London days of a financial year."""
    return Days(date(year, _APRIL, 1), date(year + 1, _APRIL, 1) - timedelta(days=1))


def default_allowance(organisation_type: str, year: int) -> int:
    """Return the fragments that are free in a financial year for services of a type; empty means other."""
    since = max(first for first in _DEFAULTS if first <= year)
    return _DEFAULTS[since].get(_GROUPS.get(organisation_type, "other"), 0)


def allowance(custom: int | None, last_year: int, organisation_type: str, year: int) -> int:
    """Return the fragments that are free for a service in a financial year.

    Args:
        custom: what was set for the year, or for an earlier one; None for nothing.
        last_year: chargeable fragments of the year before.
        organisation_type: empty means other.
        year: of the first of its calendar years.
    """
    if custom is not None:
        return custom
    return 0 if last_year >= HIGH_VOLUME else default_allowance(organisation_type, year)

"""How many texts are free, and when a financial year begins."""

from datetime import UTC, datetime

import pytest
from notify_notifications.domain.allowances import default_allowance, financial_year


@pytest.mark.parametrize(
    ("moment", "year"),
    [
        (datetime(2026, 3, 31, 22, 59, 59, tzinfo=UTC), 2025),
        (datetime(2026, 3, 31, 23, 0, tzinfo=UTC), 2026),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 2026),
        (datetime(2027, 1, 1, tzinfo=UTC), 2026),
    ],
)
def test_a_financial_year_begins_on_the_first_of_april_in_london(moment: datetime, year: int) -> None:
    assert financial_year(moment) == year


@pytest.mark.parametrize(
    ("organisation_type", "year", "free"),
    [
        ("central", 2016, 250_000),
        ("nhs_central", 2020, 250_000),
        ("central", 2021, 150_000),
        ("nhs_gp", 2023, 10_000),
        ("nhs_gp", 2024, 0),
        ("nhs_notify", 2016, 0),
        ("emergency_service", 2025, 10_000),
        ("school_or_college", 2026, 5_000),
        ("", 2026, 5_000),
        ("something_new", 2030, 5_000),
    ],
)
def test_defaults_follow_type_and_year(organisation_type: str, year: int, free: int) -> None:
    assert default_allowance(organisation_type, year) == free

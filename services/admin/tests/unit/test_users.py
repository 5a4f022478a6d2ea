"""Rules of users."""

import pytest
from notify_admin.domain.users import UserFields, checked
from notify_common.errors import NotifyError

ANN = UserFields("Ann", "Ann@example.gov.uk", "")


def test_numbers_are_stored_in_international_form() -> None:
    stored = checked(UserFields("Ann", "ann@example.gov.uk", "07700 900 123"))
    assert stored.mobile_number == "+447700900123"
    assert checked(ANN) == ANN


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (UserFields(" ", "ann@example.gov.uk", ""), "user.name"),
        (UserFields("x" * 256, "ann@example.gov.uk", ""), "user.name"),
        (UserFields("Ann", "nowhere", ""), "user.email_address"),
        (UserFields("Ann", f"{'x' * 300}@example.gov.uk", ""), "user.email_address"),
        (UserFields("Ann", "ann@example.gov.uk", "12"), "user.mobile_number"),
    ],
)
def test_refuses(fields: UserFields, field: str) -> None:
    with pytest.raises(NotifyError) as caught:
        checked(fields)
    assert [violation.field for violation in caught.value.violations] == [field]

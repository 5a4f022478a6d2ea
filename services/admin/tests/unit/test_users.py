"""Rules of users."""

import pytest
from notify.admin.v1.user_pb2 import User
from notify_admin.domain.services import international
from notify_admin.usecases.users import checked
from notify_testing.calls import violations
from notify_testing.requests import replaced

ANN = User(name="Ann", email_address="Ann@example.gov.uk", mobile_number="")


def test_numbers_are_stored_as_typed_and_read_in_international_form() -> None:
    stored = checked(User(name="Ann", email_address="ann@example.gov.uk", mobile_number="07700 900 123"))
    assert stored.mobile_number == "07700 900 123"
    assert international(stored.mobile_number) == "+447700900123"
    assert international("12") is None


def test_new_users_are_active_and_sign_in_with_texts() -> None:
    assert (checked(ANN).state, checked(ANN).auth_type) == ("active", "sms_auth")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "user.name"),
        ({"name": "x" * 256}, "user.name"),
        ({"email_address": "nowhere"}, "user.email_address"),
        ({"email_address": f"{'x' * 300}@example.gov.uk"}, "user.email_address"),
        ({"mobile_number": "12"}, "user.mobile_number"),
    ],
)
def test_refuses(change: dict[str, str], field: str) -> None:
    assert violations(checked, replaced(ANN, **change)) == [field]

"""Rules of users."""

import pytest
from notify.admin.v1.user_pb2 import User
from notify_admin.domain.services import international
from notify_admin.usecases.users import checked
from notify_common.errors import NotifyError

ANN = User(name="Ann", email_address="Ann@example.gov.uk", mobile_number="")


def test_numbers_are_stored_as_typed_and_read_in_international_form() -> None:
    stored = checked(User(name="Ann", email_address="ann@example.gov.uk", mobile_number="07700 900 123"))
    assert stored.mobile_number == "07700 900 123"
    assert international(stored.mobile_number) == "+447700900123"
    assert international("12") is None


def test_new_users_are_active_and_sign_in_with_texts() -> None:
    assert (checked(ANN).state, checked(ANN).auth_type) == ("active", "sms_auth")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (User(name=" ", email_address="ann@example.gov.uk", mobile_number=""), "user.name"),
        (User(name="x" * 256, email_address="ann@example.gov.uk", mobile_number=""), "user.name"),
        (User(name="Ann", email_address="nowhere", mobile_number=""), "user.email_address"),
        (
            User(name="Ann", email_address=f"{'x' * 300}@example.gov.uk", mobile_number=""),
            "user.email_address",
        ),
        (User(name="Ann", email_address="ann@example.gov.uk", mobile_number="12"), "user.mobile_number"),
    ],
)
def test_refuses(fields: User, field: str) -> None:
    with pytest.raises(NotifyError) as caught:
        checked(fields)
    assert [violation.field for violation in caught.value.violations] == [field]

"""SignInService over the wire."""

from functools import partial

import pytest
from notify_testing.calls import at_once

from .conftest import Admin

PASSWORD = "correct horse 9"


@pytest.fixture
def person(admin: Admin) -> str:
    """Provide a user with a password."""
    user = {"name": "Ann", "email_address": "ann@example.gov.uk"}
    return str(admin.CreateUser(user=user, password=PASSWORD).id)


def test_guesses_in_parallel_are_all_counted_and_a_right_one_forgets_them(admin: Admin, person: str) -> None:
    attempt = partial(admin.VerifyPassword, user_id=person)
    assert at_once([partial(attempt, password="wrong")] * 8) == [False] * 8
    assert admin.GetUser(user_id=person).failed_login_count == 8
    assert attempt(password=PASSWORD)
    assert admin.GetUser(user_id=person).failed_login_count == 0
    assert not attempt(password="x" * 100_000)


def test_user_without_a_password_can_not_sign_in(admin: Admin, user_id: str) -> None:
    assert not admin.VerifyPassword(user_id=user_id, password="x")


def test_of_two_who_delete_the_last_two_keys_one_stays(admin: Admin, person: str) -> None:
    data = {"credential_data": "YWJj", "registration_response": "ZGVm"}
    deletes = []
    for name in ("a", "b"):
        made = admin.CreateWebauthnCredential(webauthn_credential={"user_id": person, "name": name, **data})
        ids = {"user_id": person, "webauthn_credential_id": made.id}
        deletes.append(partial(admin.DeleteWebauthnCredential, **ids))
    assert at_once(deletes, 2).count("LAST_CREDENTIAL") == 1
    left = admin.every("ListWebauthnCredentials", user_id=person)
    assert [each.registration_response for each in left] == [""]

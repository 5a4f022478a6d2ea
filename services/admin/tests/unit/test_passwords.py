"""Passwords and their hashes."""

import pytest
from notify_admin.usecases.passwords import PasswordHasher


@pytest.mark.parametrize("password", ["correct horse 9", "\N{GRINNING FACE}" * 100_000])
def test_what_was_set_is_right_with_its_pepper_alone(password: str) -> None:
    hashed = PasswordHasher(b"pepper").hash(password)
    assert PasswordHasher(b"pepper").matches(password, hashed)
    assert not PasswordHasher(b"salt").matches(password, hashed)
    assert not PasswordHasher(b"pepper").matches(password[:-1], hashed)


def test_nobodys_password_is_never_right() -> None:
    hasher = PasswordHasher(b"pepper")
    assert not any(hasher.matches(password, None) for password in ("", "x"))

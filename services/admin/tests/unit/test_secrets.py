"""Encryption of API key secrets at rest."""

import pytest
from cryptography.fernet import Fernet
from notify_admin.usecases.secrets import SecretBox

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_keeps_secrets_secret_and_gives_them_back() -> None:
    box = SecretBox([OLD])
    encrypted = box.encrypt("the secret")
    assert "the secret" not in encrypted
    assert box.decrypt(encrypted) == "the secret"
    assert box.encrypt("the secret") != encrypted


def test_new_key_encrypts_and_old_one_goes_on_decrypting() -> None:
    encrypted = SecretBox([OLD]).encrypt("the secret")
    both = SecretBox([NEW, OLD])
    assert both.decrypt(encrypted) == "the secret"
    assert SecretBox([NEW]).decrypt(both.encrypt("another")) == "another"
    rotated = both.rotate(encrypted.encode())
    assert rotated is not None
    assert SecretBox([NEW]).decrypt_bytes(rotated) == b"the secret"
    assert both.rotate(rotated) is None


def test_key_that_is_gone_is_told_as_such() -> None:
    encrypted = SecretBox([OLD]).encrypt_bytes(b"the secret")
    for use in (SecretBox([NEW]).decrypt_bytes, SecretBox([NEW]).rotate):
        with pytest.raises(RuntimeError, match="not configured"):
            use(encrypted)


@pytest.mark.parametrize("keys", [[], [""], ["short"], [OLD, "short"], [f"{OLD},{NEW}"]])
def test_refuses_what_are_no_keys_without_repeating_them(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="Fernet") as caught:
        SecretBox(keys)
    assert "short" not in str(caught.value)

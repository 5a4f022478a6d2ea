"""Secrets at rest: encrypted with a list of Fernet keys, of which the first encrypts and all decrypt.

A new key is added at the end, so that every process can read what any other writes; once all have it, it is
put in front, the secrets are encrypted anew, and the old key is taken away.
"""

from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from notify_common.db.unit_of_work import UnitOfWork

from notify_admin.store import secrets

_ROTATE_BATCH: Final = 500
_KEY_LENGTH: Final = 44
_UNKNOWN_KEY: Final = "a secret was encrypted with a key that is not configured"


class SecretBox:
    """Encrypts and decrypts secrets."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raise ValueError unless there is a key and all are Fernet keys; the message holds none of them."""
        try:
            # of two keys that something else than a space parts, the library would take the first
            if any(len(key) != _KEY_LENGTH for key in keys):
                raise ValueError
            fernets = [Fernet(key) for key in keys]
            self._fernet = MultiFernet(fernets)
        except ValueError:
            raise ValueError("should be Fernet keys: 32 bytes each, in URL-safe Base64") from None
        self._first = fernets[0]

    def encrypt(self, secret: str) -> str:
        """Return the secret as it is stored: ASCII."""
        return self.encrypt_bytes(secret.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Return the secret in clear. Raises RuntimeError if none of the keys encrypted it."""
        return self.decrypt_bytes(encrypted.encode()).decode()

    def encrypt_bytes(self, secret: bytes) -> bytes:
        """Return bytes as they are stored."""
        return self._fernet.encrypt(secret)

    def decrypt_bytes(self, encrypted: bytes) -> bytes:
        """Return bytes in clear. Raises RuntimeError as `decrypt`."""
        try:
            return self._fernet.decrypt(bytes(encrypted))
        except InvalidToken:
            raise RuntimeError(_UNKNOWN_KEY) from None

    def rotate(self, encrypted: bytes) -> bytes | None:
        """Return the same secret encrypted with the first key, or None if that key encrypted it.

        Raises RuntimeError as `decrypt`.
        """
        try:
            self._first.decrypt(encrypted)
        except InvalidToken:
            return self.encrypt_bytes(self.decrypt_bytes(encrypted))
        return None


def rotate_secrets(uow: UnitOfWork, box: SecretBox) -> int:
    """Encrypt anew what other keys than the first encrypted, and return how many secrets that were.

    Idempotency key: the key itself. A run that was killed is run again; 0 says that the other keys can go,
    once no process has one of them in front.
    """
    return sum(_rotate(uow, box, secret) for secret in secrets.SECRETS)


def _rotate(uow: UnitOfWork, box: SecretBox, secret: secrets.Secret) -> int:
    last: str | None = None
    total = 0
    while True:
        with uow.begin() as tx:
            batch = secrets.lock(tx, secret, last, _ROTATE_BATCH)
            if not batch:
                return total
            rotated = ((row_id, box.rotate(encrypted)) for row_id, encrypted in batch)
            anew = [(row_id, encrypted) for row_id, encrypted in rotated if encrypted is not None]
            secrets.save(tx, secret, anew)
        last = batch[-1][0]
        total += len(anew)

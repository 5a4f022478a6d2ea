"""Passwords: hashed by Argon2id with a pepper that is in no database."""

import secrets
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

_ITERATIONS: Final = 2
_LANES: Final = 1
_MEMORY_KIB: Final = 19 * 1024


class PasswordHasher:
    """Hashes passwords and compares them with their hashes."""

    def __init__(self, pepper: bytes) -> None:
        """Take the pepper, without which a copy of the database is no use for trying passwords."""
        self._pepper = pepper

    def hash(self, password: str) -> str:
        """Return the hash with its salt and parameters."""
        made = Argon2id(
            salt=secrets.token_bytes(16),
            length=32,
            iterations=_ITERATIONS,
            lanes=_LANES,
            memory_cost=_MEMORY_KIB,
            secret=self._pepper,
        )
        return made.derive_phc_encoded(password.encode())

    def matches(self, password: str, hashed: str | None) -> bool:
        """Tell whether a hash is of this password.

        None, which is of no password, takes as long: nobody learns by the clock who there is.
        """
        try:
            Argon2id.verify_phc_encoded(password.encode(), hashed or self._nobodys, secret=self._pepper)
        except InvalidKey:
            return False
        return hashed is not None

    @cached_property
    def _nobodys(self) -> str:
        return self.hash(secrets.token_urlsafe())

"""Secrets of providers that are changed here, kept encrypted (Fernet)."""

from collections.abc import Callable

from cryptography.fernet import Fernet
from notify_common.db.unit_of_work import UnitOfWork

from notify_providers.store import secrets


class KeptSecrets:
    """Secrets in the database, by one key of the settings. See `clients.base.Secrets`."""

    def __init__(self, uow: UnitOfWork, key: str) -> None:
        """Take a Fernet `key`. Raises ValueError if it is none."""
        self._uow = uow
        self._fernet = Fernet(key)

    def read(self, provider: str, name: str) -> str | None:
        """See Secrets."""
        with self._uow.autocommit() as conn:
            kept = secrets.read(conn, provider, name)
        return None if kept is None else self._fernet.decrypt(kept).decode()

    def begin_change(self, provider: str, name: str, days: float, make: Callable[[], str]) -> str | None:
        """See Secrets."""
        candidate = self._fernet.encrypt(make().encode())
        with self._uow.begin() as conn:
            begun = secrets.begin_change(conn, provider, name, days, candidate)
        return None if begun is None else self._fernet.decrypt(begun).decode()

    def end_change(self, provider: str, name: str, value: str) -> None:
        """See Secrets."""
        with self._uow.begin() as conn:
            secrets.end_change(conn, provider, name, self._fernet.encrypt(value.encode()))

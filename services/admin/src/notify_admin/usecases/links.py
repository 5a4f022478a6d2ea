"""Links to the admin web app, with tokens that it or this service reads (internal-api.md §4.8)."""

from datetime import timedelta
from urllib.parse import quote

from cryptography.fernet import Fernet, InvalidToken
from notify_common import clock
from notify_common.errors import FieldViolation, NotifyError, invalid_field


class Links:
    """Makes links and reads their tokens."""

    def __init__(self, token_key: str, base_url: str) -> None:
        """Take what the admin web app is told too: `TOKEN_SECRET_KEY`, a Fernet key, and its own address.

        Raises:
            ValueError: it is no Fernet key.
        """
        self._fernet = Fernet(token_key)
        self._base_url = base_url.rstrip("/")

    def page(self, path: str, host: str = "") -> str:
        """Return the address of a page, on the configured host or another.

        Raises:
            NotifyError: INVALID_FIELD, the other host is none.
        """
        if host and (not host.startswith(("https://", "http://")) or any(map(str.isspace, host))):
            raise invalid_field(FieldViolation("link_host", "is not the address of a web app"))
        return f"{host.rstrip('/') or self._base_url}/{path}"

    def token(self, path: str, payload: str, host: str = "", next_: str = "") -> str:
        """Return the address of a page that takes a token, and where it goes on."""
        made = self._fernet.encrypt(payload.encode()).decode()
        return self.page(f"{path}/{made}", host) + (f"?next={quote(next_)}" if next_ else "")

    def read(self, token: str, lifetime: timedelta) -> str:
        """Return the payload of a token. Raises NotifyError LINK_INVALID, LINK_EXPIRED."""
        try:
            payload = self._fernet.decrypt(token).decode()
            made_at = self._fernet.extract_timestamp(token)
        except (InvalidToken, ValueError):  # the latter where it has letters that no token has
            raise NotifyError("LINK_INVALID") from None
        if clock.now().timestamp() - made_at > lifetime.total_seconds():
            raise NotifyError("LINK_EXPIRED")
        return payload

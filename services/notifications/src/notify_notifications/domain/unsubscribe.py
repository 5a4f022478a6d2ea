"""Requests to get no more emails of a kind, and the links that make them (public-api.md §7, pipeline.md
§7.6).
"""

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from notify_common import clock
from notify_common.errors import NotifyError

LINK_LIFETIME: Final = timedelta(days=365)
REPORTED_LIFETIME: Final = timedelta(days=7)
"""How long requests are kept after they were put into a report (pipeline.md §6.8)."""
UNREPORTED_LIFETIME: Final = timedelta(days=90)
"""How long those are kept that no report holds."""
REPORT_LIFETIME: Final = timedelta(days=365)
"""How long reports are kept, without their requests in the end."""

# Ids of the email, its service and its template, the template's version, microseconds since 1970; the address
# follows.
_FIXED: Final = struct.Struct(">16s16s16sIQ")
_KEY_LENGTH: Final = 44
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Unsubscribable:
    """An email whose recipient may want no more of its kind."""

    notification_id: str
    service_id: str
    template_id: str
    template_version: int
    email_address: str = field(repr=False)
    send_time: datetime
    """When it was accepted."""


@dataclass(frozen=True, slots=True)
class UnsubscribeRequest:
    """A recipient's wish, as it is kept."""

    id: str
    email: Unsubscribable
    create_time: datetime


@dataclass(frozen=True, slots=True)
class UnsubscribeReport:
    """Requests of a service that it deals with together."""

    id: str
    service_id: str
    count: int
    earliest_time: datetime
    latest_time: datetime
    create_time: datetime
    process_time: datetime | None
    """When the service said that it had dealt with it."""

    @property
    def delete_time(self) -> datetime:
        """When its requests are deleted."""
        return self.create_time + REPORTED_LIFETIME


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a service has to deal with; the times are None without such requests."""

    open_count: int
    """Requests in no report, or in one that was not dealt with."""
    latest_time: datetime | None
    unreported_count: int
    unreported_earliest_time: datetime | None
    unreported_latest_time: datetime | None

    @property
    def unreported_delete_time(self) -> datetime | None:
        """When the first of those in no report is deleted."""
        first = self.unreported_earliest_time
        return None if first is None else first + UNREPORTED_LIFETIME


class UnsubscribeLinks:
    """Makes links and reads their tokens. Safe to share between threads.

    A token is encrypted and holds all that a request needs, so that it works long after its email was deleted
    here, and for no other email.
    """

    def __init__(self, keys: list[str], api_base_url: str, page_url: str) -> None:
        """Take Fernet `keys`, of which the first makes tokens and all read them; where the API is reached;
        and the page that people are led to, below which the link's own part stands.

        Raises:
            ValueError: there is no key, or one is no Fernet key.
        """
        if not keys:
            raise ValueError("there is no key")
        # of two keys that something else than a space parts, the library would take the first
        if any(len(key) != _KEY_LENGTH for key in keys):
            raise ValueError("one is no Fernet key")
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._one_click = f"{api_base_url.rstrip('/')}/unsubscribe"
        self._page = page_url.rstrip("/")

    def token(self, email: Unsubscribable) -> str:
        """Return the token of an email; another one at each call."""
        fixed = _FIXED.pack(
            UUID(email.notification_id).bytes,
            UUID(email.service_id).bytes,
            UUID(email.template_id).bytes,
            email.template_version,
            (email.send_time - _EPOCH) // _MICROSECOND,
        )
        payload = fixed + email.email_address.encode()
        made_at = int(clock.now().timestamp())
        return self._fernet.encrypt_at_time(payload, made_at).decode()

    def one_click(self, email: Unsubscribable, token: str) -> str:
        """Return the address that mail programs post to (RFC 8058)."""
        return f"{self._one_click}/{email.notification_id}/{token}"

    def page(self, email: Unsubscribable, token: str) -> str:
        """Return the address that people follow."""
        return f"{self._page}/{email.notification_id}/{token}"

    def read(self, notification_id: str, token: str) -> Unsubscribable:
        """Return what a token holds.

        Raises NotifyError LINK_INVALID, LINK_EXPIRED; NOTIFICATION_NOT_FOUND, it is that of another email.
        """
        try:
            payload = self._fernet.decrypt(token)
            made_at = self._fernet.extract_timestamp(token)
            email = _email(payload)
        except (InvalidToken, ValueError):  # the latter for letters that no token has
            raise NotifyError("LINK_INVALID") from None
        if clock.now().timestamp() - made_at > LINK_LIFETIME.total_seconds():
            raise NotifyError("LINK_EXPIRED")
        if email.notification_id != notification_id:
            raise NotifyError("NOTIFICATION_NOT_FOUND")
        return email


def _email(payload: bytes) -> Unsubscribable:
    try:
        notification, service, template, version, microseconds = _FIXED.unpack_from(payload)
    except struct.error:
        raise ValueError from None
    return Unsubscribable(
        notification_id=str(UUID(bytes=notification)),
        service_id=str(UUID(bytes=service)),
        template_id=str(UUID(bytes=template)),
        template_version=version,
        email_address=payload[_FIXED.size :].decode(),
        send_time=_EPOCH + microseconds * _MICROSECOND,
    )

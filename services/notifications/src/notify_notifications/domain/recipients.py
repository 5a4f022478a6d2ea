"""Who may be written to, and who only seems to be (public-api.md §5)."""

from collections.abc import Container
from typing import Final

from notify_common.enums import KeyType

from notify_notifications.domain.service import Service

SIMULATED_PHONE_NUMBERS: Final = frozenset({"447700900000", "447700900111", "447700900222"})
"""Normalised numbers that get a normal answer while nothing is stored (public-api.md §5.2)."""

SIMULATED_EMAIL_ADDRESSES: Final = frozenset(
    {
        "simulate-delivered@notifications.service.gov.uk",
        "simulate-delivered-2@notifications.service.gov.uk",
        "simulate-delivered-3@notifications.service.gov.uk",
    }
)
"""The same for normalised email addresses."""


def may_write_to(service: Service, key_type: KeyType, recipient: str, team: Container[str]) -> bool:
    """Tell whether this key may write to `recipient` (public-api.md §5.3).

    Both `recipient` and the members of `team` (team and guest list) are normalised.
    """
    if key_type is KeyType.TEST or (key_type is KeyType.NORMAL and not service.restricted):
        return True
    return recipient in team


def may_send_letters(service: Service, key_type: KeyType) -> bool:
    """Tell whether this key may send letters (public-api.md §2.6)."""
    return key_type is KeyType.TEST or (key_type is KeyType.NORMAL and not service.restricted)

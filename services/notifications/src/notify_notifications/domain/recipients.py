"""Who may be written to, and who only seems to be (public-api.md §5)."""

from collections.abc import Container
from typing import Final

from notify_notifications.domain.notification import KeyType
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

_OUTSIDE_TEAM: Final = "Can’t send to this recipient using a team-only API key"
_TRIAL_MODE: Final = (
    "Can’t send to this recipient when service is in trial mode – see "
    "https://www.notifications.service.gov.uk/trial-mode"
)


def refusal(service: Service, key_type: KeyType, recipient: str, team: Container[str]) -> str | None:
    """Why this key may not write to `recipient`, in the public API's words, or None (public-api.md §5.3).

    Both `recipient` and the members of `team` (team and guest list) are normalised.
    """
    if key_type is KeyType.TEST or (key_type is KeyType.NORMAL and not service.restricted):
        return None
    if recipient in team:
        return None
    return _OUTSIDE_TEAM if key_type is KeyType.TEAM else _TRIAL_MODE


def letter_refusal(service: Service, key_type: KeyType) -> str | None:
    """Why this key may not send letters, in the public API's words, or None (public-api.md §2.6)."""
    if key_type is KeyType.TEAM:
        return "Cannot send letters with a team api key"
    if service.restricted and key_type is not KeyType.TEST:
        return "Cannot send letters when service is in trial mode"
    return None

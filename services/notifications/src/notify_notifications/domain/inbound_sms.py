"""Texts that people send to the numbers of services (public-api.md §3.7)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from notify_content import phone

SUMMARY_PERIOD: Final = timedelta(days=7)
"""How far back a summary counts (internal-api.md B30)."""


@dataclass(frozen=True, slots=True)
class InboundSms:
    """A text, with the service whose number it was sent to."""

    id: str
    service_id: str
    notify_number: str
    user_number: str = field(repr=False)
    """Digits with country code where it is a phone number, else as it came."""
    content: str = field(repr=False)
    provider: str
    provider_reference: str
    """What the provider calls it; may be empty."""
    provider_time: datetime | None
    """When the provider says that it came."""
    create_time: datetime
    """When the platform received it."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How much a service receives."""

    count: int
    """Texts within SUMMARY_PERIOD."""
    latest_time: datetime | None
    """When the newest one came, of those that are kept."""


def user_number(text: str) -> str:
    """Return how the writer of texts is kept, whatever the spelling; a name stays as it is."""
    try:
        return phone.normalise(text)
    except phone.InvalidPhoneNumber:
        return text

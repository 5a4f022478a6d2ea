"""Texts that people send to numbers of ours."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from notify_content import phone

_LONGEST_SENDER = 255


@dataclass(frozen=True, slots=True)
class InboundSms:
    """A text that a provider brings.

    Attributes:
        reference: what the provider calls it; empty if it has no name for it.
        source_number: who sent it: digits with country code where it is a phone number, else as it came.
        destination_number: the number that it was sent to; those of the United Kingdom begin with 0.
        provider_time: when the provider says it came; None if it doesn't say.
    """

    provider: str
    reference: str
    source_number: str
    destination_number: str
    content: str
    provider_time: datetime | None

    @property
    def sameness(self) -> str:
        """What two calls have in common that bring the same text: who got no answer calls again."""
        parts = (
            self.provider,
            self.reference,
            self.source_number,
            self.destination_number,
            self.content,
            self.provider_time.isoformat() if self.provider_time else "",
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class InboundSmsEvent:
    """News of a text that came. `id` is ours."""

    id: str
    text: InboundSms
    receive_time: datetime


def national(number: str) -> str:
    """Return a number of ours as services know it: a leading 44 becomes 0 (public-api.md §9.4)."""
    digits = "".join(character for character in number if character.isascii() and character.isdigit())
    return "0" + digits[2:] if digits.startswith("44") else digits


def international(number: str) -> str:
    """Return a sender as digits with country code; one that is no phone number stays as it came."""
    try:
        return phone.normalise(number)
    except phone.InvalidPhoneNumber:
        return "".join(character for character in number if character.isprintable())[:_LONGEST_SENDER]

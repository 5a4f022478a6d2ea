"""Addresses that get no more messages: they can't be reached, or somebody there complained.

An address is kept as a keyed hash: who reads the list can't tell whom it holds, and can tell whether it holds
somebody.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notify_common.enums import Channel

from notify_providers.domain.inbound import international
from notify_providers.domain.message import Content, EmailContent, SmsContent

AddressHash = Callable[[Channel, str], bytes]
"""Returns the hash of an address of a channel: of digits with country code, or of an email address."""

SUPPRESSED = "suppressed"
"""Reason of an attempt that was none, since its recipient is suppressed."""


class Cause(StrEnum):
    """Why an address is suppressed."""

    HARD_BOUNCE = "hard-bounce"
    COMPLAINT = "complaint"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that gets no more messages.

    Attributes:
        reason: an operator's words; empty where a provider's report was the cause.
        dispatch_id: the message that was reported on, if any.
    """

    channel: Channel
    cause: Cause
    reason: str
    dispatch_id: str | None
    create_time: datetime


def address_hash(secret: bytes) -> AddressHash:
    """Return the hash by a secret: 16 bytes of keyed BLAKE2b."""
    key = hashlib.sha256(b"suppressions\0" + secret).digest()

    def hashed(channel: Channel, address: str) -> bytes:
        text = f"{channel}\0{address.lower()}".encode("utf-8", "replace")
        return hashlib.blake2b(text, key=key, digest_size=16).digest()

    return hashed


def one_spelling(channel: Channel, address: str) -> str:
    """Return an address that somebody wrote as messages have it."""
    return international(address) if channel is Channel.SMS else address.strip()


def hash_of(content: Content, hashed: AddressHash) -> bytes | None:
    """Return the hash of a message's recipient; None for a letter, whose address is never suppressed."""
    match content:
        case SmsContent():
            return hashed(Channel.SMS, content.phone_number)
        case EmailContent():
            return hashed(Channel.EMAIL, content.to_address)
    return None

"""What messages come from and answers go to: text senders, reply-to addresses, letter contact blocks."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID

from notify_common.errors import FieldViolation, invalid_field
from notify_content import email_address, phone

MAX_CONTACT_LINES: Final = 10
MAX_CONTACT_LENGTH: Final = 2000
_MAX_SENDER_LENGTH: Final = 16
_NAMED_SENDER: Final = re.compile(r"[A-Za-z0-9 &.\-_]{3,11}", re.ASCII)


class SenderKind(Enum):
    """The three kinds; they differ in what their value may be and in the rules for the default."""

    SMS = "sms_sender"
    """A name or number that texts come from; a service always has exactly one default."""
    REPLY_TO = "reply_to_address"
    """An email address that answers go to; the first one of a service becomes the default."""
    LETTER_CONTACT = "letter_contact"
    """A block of lines on letters; no default is needed."""


@dataclass(frozen=True, slots=True)
class Sender:
    """One of a service, of any kind."""

    id: UUID
    service_id: UUID
    value: str
    """The name, number, address or lines."""
    is_default: bool
    archived: bool
    create_time: datetime


def checked_value(kind: SenderKind, value: str, field: str | None = None) -> str:
    """Return the value in the form in which it is stored.

    `field` is what the request calls it, where that is not the field of the kind's own message.

    Raises:
        NotifyError: INVALID_FIELD.
    """
    return _CHECKS[kind](value, field or _FIELDS[kind])


def _sms_sender(value: str, field: str) -> str:
    sender = value.strip()
    if sender.startswith("00"):
        raise _invalid(field, "should not begin with 00")
    if _NAMED_SENDER.fullmatch(sender) or (len(sender) <= _MAX_SENDER_LENGTH and _is_phone_number(sender)):
        return sender
    raise _invalid(field, "should be 3 to 11 letters, digits, spaces, &, ., - and _, or a phone number")


def _reply_to_address(value: str, field: str) -> str:
    try:
        return email_address.parse(value).validated
    except email_address.InvalidEmailAddress:
        raise _invalid(field, "is not a valid email address") from None


def _contact_block(value: str, field: str) -> str:
    lines = [line.strip() for line in value.strip().splitlines()]
    if not any(lines):
        raise _invalid(field, "is required")
    if len(lines) > MAX_CONTACT_LINES:
        raise _invalid(field, f"has more than {MAX_CONTACT_LINES} lines")
    if len(value) > MAX_CONTACT_LENGTH:
        raise _invalid(field, f"is longer than {MAX_CONTACT_LENGTH} characters")
    return "\n".join(lines)


_FIELDS: Final = {
    SenderKind.SMS: "sms_sender.sender",
    SenderKind.REPLY_TO: "reply_to_address.email_address",
    SenderKind.LETTER_CONTACT: "letter_contact.contact_block",
}
_CHECKS: Final[dict[SenderKind, Callable[[str, str], str]]] = {
    SenderKind.SMS: _sms_sender,
    SenderKind.REPLY_TO: _reply_to_address,
    SenderKind.LETTER_CONTACT: _contact_block,
}


def _is_phone_number(text: str) -> bool:
    try:
        phone.parse(text, allow_international=True, allow_uk_landline=True)
    except phone.InvalidPhoneNumber:
        return False
    return True


def _invalid(field: str, description: str) -> Exception:
    return invalid_field(FieldViolation(field, description))

"""What messages come from and answers go to: text senders, reply-to addresses, letter contact blocks.

Each function returns a value in the form in which it is stored and raises ValueError with the rule that it
breaks, which follows the field's name and does not repeat the value.
"""

import re
from typing import Final

from notify_content import email_address, phone

MAX_CONTACT_LINES: Final = 10
MAX_CONTACT_LENGTH: Final = 2000
_MAX_SENDER_LENGTH: Final = 16
_NAMED_SENDER: Final = re.compile(r"[A-Za-z0-9 &.\-_]{1,11}", re.ASCII)


def text_sender(value: str) -> str:
    """Return a name or number that texts come from."""
    sender = value.strip()
    if sender.startswith("00"):
        raise ValueError("should not begin with 00")
    if _NAMED_SENDER.fullmatch(sender) or (len(sender) <= _MAX_SENDER_LENGTH and _is_phone_number(sender)):
        return sender
    raise ValueError("should be 1 to 11 letters, digits, spaces, &, ., - and _, or a phone number")


def reply_to_address(value: str) -> str:
    """Return an email address that answers go to."""
    try:
        return email_address.parse(value).validated
    except email_address.InvalidEmailAddress:
        raise ValueError("is not a valid email address") from None


def contact_block(value: str) -> str:
    """Return the lines at the top right of a letter."""
    lines = [line.strip() for line in value.strip().splitlines()]
    if not any(lines):
        raise ValueError("is required")
    if len(lines) > MAX_CONTACT_LINES:
        raise ValueError(f"has more than {MAX_CONTACT_LINES} lines")
    if len(value) > MAX_CONTACT_LENGTH:
        raise ValueError(f"is longer than {MAX_CONTACT_LENGTH} characters")
    return "\n".join(lines)


def _is_phone_number(text: str) -> bool:
    try:
        phone.parse(text, allow_international=True, allow_uk_landline=True)
    except phone.InvalidPhoneNumber:
        return False
    return True

"""People who work with the platform."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from notify_common.errors import FieldViolation, invalid_field
from notify_content import email_address, phone

MAX_NAME_LENGTH: Final = 255
MAX_EMAIL_ADDRESS_LENGTH: Final = 255


@dataclass(frozen=True, slots=True)
class UserFields:
    """What is told of a person."""

    name: str
    email_address: str
    mobile_number: str
    """`+447700900123`, or empty."""


@dataclass(frozen=True, slots=True)
class User(UserFields):
    """A person as stored."""

    id: UUID
    create_time: datetime


def checked(fields: UserFields) -> UserFields:
    """Return the fields in the form in which they are stored.

    Raises:
        NotifyError: INVALID_FIELD, with all violations.
    """
    violations: list[FieldViolation] = []
    address, number = fields.email_address, ""
    if not fields.name.strip():
        violations.append(FieldViolation("user.name", "is required"))
    if len(fields.name) > MAX_NAME_LENGTH:
        violations.append(FieldViolation("user.name", f"is longer than {MAX_NAME_LENGTH} characters"))
    try:
        address = email_address.parse(fields.email_address).validated
        if len(address) > MAX_EMAIL_ADDRESS_LENGTH:
            raise email_address.InvalidEmailAddress
    except email_address.InvalidEmailAddress:
        violations.append(FieldViolation("user.email_address", "is not a valid email address"))
    if fields.mobile_number:
        try:
            number = "+" + phone.parse(fields.mobile_number, allow_international=True).normalised
        except phone.InvalidPhoneNumber:
            violations.append(FieldViolation("user.mobile_number", "is not a valid phone number"))
    if violations:
        raise invalid_field(*violations)
    return UserFields(fields.name, address, number)

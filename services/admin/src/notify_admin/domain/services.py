"""A service: a tenant of the platform (internal-api.md §4.1, §4.2)."""

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from notify_common.errors import FieldViolation, invalid_field
from notify_content import email_address, phone

PERMISSIONS: Final = frozenset(
    {
        "sms",
        "email",
        "letter",
        "international_sms",
        "sms_to_uk_landlines",
        "international_letters",
        "inbound_sms",
    }
)
"""Everything that a service may be allowed."""

DEFAULT_PERMISSIONS: Final = ("email", "international_letters", "international_sms", "letter", "sms")
"""What a new service may do unless its creator says otherwise (internal-api.md §4.1)."""

MAX_NAME_LENGTH: Final = 255
MAX_GUESTS: Final = 5
"""Most email addresses, and most phone numbers, of a guest list (internal-api.md A22)."""
DEFAULT_RATE_LIMIT_PER_MINUTE: Final = 3000
_MAX_LOCAL_PART_LENGTH: Final = 64
_MAX_LIMIT: Final = 2**31 - 1

_TRIAL_LIMITS: Final = {
    "sms_per_day": 50,
    "email_per_day": 50,
    "letter_per_day": 50,
    "international_sms_per_day": 100,
}
_LIVE_LIMITS: Final = {
    "sms_per_day": 250_000,
    "email_per_day": 250_000,
    "letter_per_day": 20_000,
    "international_sms_per_day": 250_000,
}
_LIMITS: Final = ("rate_limit_per_minute", *_TRIAL_LIMITS)

_Require = Callable[[bool, str, str], None]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LOCAL_PART: Final = re.compile(r"[a-z0-9]+(?:\.[a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServiceFields:
    """What the owner of a service decides."""

    name: str
    restricted: bool
    """Trial mode."""
    permissions: tuple[str, ...]
    """Sorted, no duplicates."""
    rate_limit_per_minute: int
    sms_per_day: int
    email_per_day: int
    letter_per_day: int
    international_sms_per_day: int
    prefix_sms: bool
    email_sender_local_part: str
    custom_email_sender_name: str
    guest_email_addresses: tuple[str, ...]
    guest_phone_numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Service(ServiceFields):
    """A service as stored."""

    id: UUID
    active: bool
    """False once archived."""
    version: int
    create_time: datetime
    update_time: datetime | None


def default_limits(restricted: bool) -> dict[str, int]:
    """The daily limits of a new service: those of trial mode or of a live service (internal-api.md §4.2)."""
    return dict(_TRIAL_LIMITS if restricted else _LIVE_LIMITS)


def normalised_name(name: str) -> str:
    """The form in which names must differ: `My Café!` -> `my.cafe` (internal-api.md §4.1)."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    dotted = re.sub(r"\s+", ".", ascii_only.strip())
    return re.sub(r"\.{2,}", ".", re.sub(r"[^a-z0-9.]", "", dotted)).strip(".")


def local_part(name: str) -> str:
    """The part before the @ of the address that emails of a sender of this name come from."""
    return normalised_name(name)[:_MAX_LOCAL_PART_LENGTH].rstrip(".")


def checked(fields: ServiceFields) -> ServiceFields:
    """Return the fields in the form in which they are stored.

    An empty local part is made from the custom sender name or else the name.

    Raises:
        NotifyError: INVALID_FIELD, with all violations.
    """
    violations: list[FieldViolation] = []

    def require(holds: bool, field: str, description: str) -> None:
        if not holds:
            violations.append(FieldViolation(f"service.{field}", description))

    _check_name("name", fields.name, require)
    sender_name = fields.custom_email_sender_name
    if sender_name:
        _check_name("custom_email_sender_name", sender_name, require)
    local = fields.email_sender_local_part or local_part(sender_name or fields.name)
    if fields.email_sender_local_part:
        require(
            _LOCAL_PART.fullmatch(local) is not None and len(local) <= _MAX_LOCAL_PART_LENGTH,
            "email_sender_local_part",
            "should be at most 64 lower-case letters and digits, in groups joined by full stops",
        )
    for permission in fields.permissions:
        require(permission in PERMISSIONS, "permissions", "holds a permission that there is not")
    for limit in _LIMITS:
        in_range = 0 <= getattr(fields, limit) <= _MAX_LIMIT
        require(in_range, f"limits.{limit}", "should not be negative")
    require(fields.rate_limit_per_minute > 0, "limits.rate_limit_per_minute", "should be at least 1")
    _check_guests(fields, require)
    if violations:
        raise invalid_field(*dict.fromkeys(violations))
    return replace(fields, permissions=tuple(sorted(set(fields.permissions))), email_sender_local_part=local)


def merged(current: Service, wanted: ServiceFields, changed: Collection[str]) -> ServiceFields:
    """Return `current` with the `changed` fields of `wanted`, checked.

    The local part follows the sender name, or the name where there is none, when one of these changes and no
    local part is named (internal-api.md §4.1).

    Raises:
        NotifyError: INVALID_FIELD.
    """
    values = {name: getattr(wanted if name in changed else current, name) for name in ServiceFields.__slots__}
    if "email_sender_local_part" not in changed:
        named = current.custom_email_sender_name or current.name
        if (values["custom_email_sender_name"] or values["name"]) != named:
            values["email_sender_local_part"] = ""
    return checked(ServiceFields(**values))


def archived_name(name: str, moment: datetime) -> str:
    """The name of a service archived at `moment`, which leaves its own to others (internal-api.md §4.6)."""
    return f"_archived_{moment:%Y-%m-%d-%H:%M:%S}_{name}"


def _check_name(field: str, name: str, require: _Require) -> None:
    require(len(name) <= MAX_NAME_LENGTH, field, f"is longer than {MAX_NAME_LENGTH} characters")
    require(bool(normalised_name(name)), field, "must hold a letter or digit of the Latin alphabet")
    # It stands in texts and in the From header of emails.
    require(_CONTROL.search(name) is None, field, "holds a line break or another control character")


def _check_guests(fields: ServiceFields, require: _Require) -> None:
    for name, guests in (
        ("email_addresses", fields.guest_email_addresses),
        ("phone_numbers", fields.guest_phone_numbers),
    ):
        require(len(guests) <= MAX_GUESTS, f"guest_list.{name}", f"holds more than {MAX_GUESTS}")
    for index, address in enumerate(fields.guest_email_addresses):
        try:
            email_address.parse(address)
        except email_address.InvalidEmailAddress:
            require(False, f"guest_list.email_addresses[{index}]", "is not a valid email address")
    for index, number in enumerate(fields.guest_phone_numbers):
        try:
            phone.parse(number, allow_international=True)
        except phone.InvalidPhoneNumber:
            require(False, f"guest_list.phone_numbers[{index}]", "is not a valid phone number")

"""A service: a tenant of the platform (internal-api.md §4.1, §4.2)."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from notify_content import email_address, phone

_PERMISSIONS = (
    "sms email letter international_sms sms_to_uk_landlines international_letters inbound_sms email_auth "
    "edit_folder_permissions"
)
PERMISSIONS: Final = frozenset(_PERMISSIONS.split())
"""Everything that a service may be allowed."""

DEFAULT_PERMISSIONS: Final = ("email", "international_letters", "international_sms", "letter", "sms")
"""What a new service may do unless its creator says otherwise (internal-api.md §4.1)."""

_OWNER_PERMISSIONS = (
    "manage_users manage_templates manage_settings send_texts send_emails send_letters manage_api_keys "
    "view_activity"
)
OWNER_PERMISSIONS: Final = tuple(_OWNER_PERMISSIONS.split())
"""What the first member of a service may do (internal-api.md §4.1)."""

MEMBER_PERMISSIONS: Final = frozenset({*OWNER_PERMISSIONS, "platform_admin"})
"""Everything that a member of a service may be allowed."""
ORGANISATION_PERMISSIONS: Final = frozenset({"can_make_services_live"})
"""Everything that a member of an organisation may be allowed."""
MAKING_LIVE: Final = "can_make_services_live"
"""What members of an organisation are allowed who decide on requests to go live."""
RECEIVING: Final = "inbound_sms"
"""What a service is allowed that receives texts."""
JOINING: Final = "can_ask_to_join_a_service"
"""What a new organisation is allowed: its people may ask to join its services."""
GRANTS_OF_ORGANISATIONS: Final = frozenset({JOINING})
"""Everything that an organisation may be allowed."""
NHS_TYPES: Final = frozenset({"nhs_central", "nhs_local", "nhs_gp"})
"""Types of organisations that begin with the brandings of the NHS."""
_NHS_DOMAINS: Final = frozenset({"nhs.uk", "nhs.net"})
MANAGING: Final = "manage_settings"
"""What those are allowed of whom a service needs some (internal-api.md §4.5)."""
_GOVERNMENT_DOMAINS = (
    "gov.uk gov.scot gov.wales mod.uk nhs.uk nhs.net nhs.scot parliament.uk parliament.scot police.uk "
    "senedd.wales"
)
GOVERNMENT_DOMAINS: Final = frozenset(_GOVERNMENT_DOMAINS.split())
"""Of public bodies, besides those of organisations."""

MAX_NAME_LENGTH: Final = 255
MAX_GUESTS: Final = 5
"""Most email addresses, and most phone numbers, of a guest list (internal-api.md A22)."""
DEFAULT_RATE_LIMIT_PER_MINUTE: Final = 3000
_MAX_LOCAL_PART_LENGTH: Final = 64

TRIAL_LIMITS: Final = {
    "sms_per_day": 50,
    "email_per_day": 50,
    "letter_per_day": 50,
    "international_sms_per_day": 100,
}
"""Daily limits of a new service in trial mode (internal-api.md §4.2)."""
LIVE_LIMITS: Final = {
    "sms_per_day": 250_000,
    "email_per_day": 250_000,
    "letter_per_day": 20_000,
    "international_sms_per_day": 250_000,
}
"""Daily limits of a new live service."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LOCAL_PART: Final = re.compile(r"[a-z0-9]+(?:\.[a-z0-9]+)*", re.ASCII)


def normalised_name(name: str) -> str:
    """Return the form in which names must differ: `My Café!` -> `my.cafe` (internal-api.md §4.1)."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    dotted = re.sub(r"\s+", ".", ascii_only.strip())
    return re.sub(r"\.{2,}", ".", re.sub(r"[^a-z0-9.]", "", dotted)).strip(".")


def local_part(name: str) -> str:
    """Return the part before the @ of the address that emails of a sender of this name come from."""
    return normalised_name(name)[:_MAX_LOCAL_PART_LENGTH].rstrip(".")


def is_local_part(text: str) -> bool:
    """Tell whether an address may have this part before its @."""
    return _LOCAL_PART.fullmatch(text) is not None and len(text) <= _MAX_LOCAL_PART_LENGTH


def domains_above(domain: str) -> list[str]:
    """Return a domain and those that it is below: `a.b.gov.uk`, `b.gov.uk`, `gov.uk`, `uk`.

    `.gsi.gov.uk` is read as `.gov.uk` (internal-api.md §4.1).
    """
    parts = domain.replace(".gsi.gov.uk", ".gov.uk").split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def is_of_nhs(organisation_type: str, domain: str) -> bool:
    """Tell whether a service begins with the brandings of the NHS, by its type or its creator's email
    domain.
    """
    return organisation_type in NHS_TYPES or not _NHS_DOMAINS.isdisjoint(domains_above(domain))


def managers_needed(*, restricted: bool, has_active_go_live_request: bool) -> int:
    """Return how many members of public bodies must manage a service (internal-api.md §4.5)."""
    return 1 if restricted and not has_active_go_live_request else 2


def archived_name(name: str, moment: datetime) -> str:
    """Return the name of a service archived at `moment`, which leaves its own to others (internal-api.md
    §4.6).
    """
    return f"_archived_{moment:%Y-%m-%d-%H:%M:%S}_{name}"


def faults_of_name(name: str) -> Iterator[str]:
    """Yield the rules that the name of a service or sender breaks."""
    if len(name) > MAX_NAME_LENGTH:
        yield f"is longer than {MAX_NAME_LENGTH} characters"
    if not normalised_name(name):
        yield "must hold a letter or digit of the Latin alphabet"
    # It stands in texts and in the From header of emails.
    if _CONTROL.search(name) is not None:
        yield "holds a line break or another control character"


def is_email_address(text: str) -> bool:
    """Tell whether emails can be sent to it."""
    try:
        email_address.parse(text)
    except email_address.InvalidEmailAddress:
        return False
    return True


def international(mobile_number: str) -> str | None:
    """Return a phone number as `+447700900123`; None if it is none."""
    try:
        return f"+{phone.parse(mobile_number, allow_international=True).normalised}"
    except phone.InvalidPhoneNumber:
        return None

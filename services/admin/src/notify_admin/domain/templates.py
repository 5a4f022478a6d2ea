"""Templates: the wording of messages (internal-api.md §4.7)."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_content import emails, sms
from notify_content.emails import EmailTemplate
from notify_content.letters import LetterTemplate
from notify_content.sms import SmsTemplate

MAX_NAME_LENGTH: Final = 255
MAX_SUBJECT_LENGTH: Final = 10_000
MAX_CONTENT_BYTES: Final = 1024 * 1024
"""Of texts and letters; emails have a limit of their own."""
POSTAGES: Final = frozenset({"first", "second", "economy"})
DEFAULT_POSTAGE: Final = "second"
CURRENT: Final = 0
"""Stands for whichever version is current."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What each version of a template holds."""

    name: str
    subject: str
    """Empty for texts."""
    content: str
    postage: str | None
    """Letters only."""
    letter_contact_id: UUID | None
    """Letters only; None for none."""
    has_unsubscribe_link: bool
    """Emails only."""
    welsh_subject: str
    """Letters only; empty for those in English only, as is `welsh_content`."""
    welsh_content: str


@dataclass(frozen=True, slots=True)
class Template(Wording):
    """A template at one version."""

    id: UUID
    service_id: UUID
    channel: str
    """`sms`, `email` or `letter`."""
    version: int
    archived: bool
    hidden: bool
    letter_contact_block: str
    """The lines of the contact block when this version was made; empty for none."""
    created_by_id: UUID
    created_by_email_address: str
    create_time: datetime
    """Of the first version."""
    update_time: datetime | None
    """When this version was made; None for the first."""


class VersionKey(NamedTuple):
    """Names a template of a service at a version."""

    service_id: UUID
    template_id: UUID
    version: int
    """Or CURRENT."""


def checked(channel: str, wording: Wording) -> Wording:
    """Return the wording in the form in which it is stored.

    Raises:
        NotifyError: INVALID_FIELD, with all violations; MESSAGE_TOO_LONG, metadata `channel`, `limit` and
            `unit`; QR_CODE_TOO_LONG.
    """
    violations: list[FieldViolation] = []

    def require(holds: bool, field: str, description: str) -> None:
        if not holds:
            violations.append(FieldViolation(f"template.{field}", description))

    require(bool(wording.name.strip()), "name", "is required")
    require(len(wording.name) <= MAX_NAME_LENGTH, "name", f"is longer than {MAX_NAME_LENGTH} characters")
    require(bool(wording.content.strip()), "content", "is required")
    if channel == "sms":
        require(not wording.subject, "subject", "should be empty for a text")
    else:
        require(bool(wording.subject.strip()), "subject", "is required")
    too_long = f"is longer than {MAX_SUBJECT_LENGTH} characters"
    require(len(wording.subject) <= MAX_SUBJECT_LENGTH, "subject", too_long)
    require(len(wording.welsh_subject) <= MAX_SUBJECT_LENGTH, "welsh_subject", too_long)
    if channel == "letter":
        require(wording.postage in (None, *POSTAGES), "postage", "should be first, second or economy")
        both_or_none = bool(wording.welsh_subject.strip()) == bool(wording.welsh_content.strip())
        require(both_or_none, "welsh_content", "needs welsh_subject, and the other way round")
    else:
        for field in ("postage", "letter_contact_id", "welsh_subject", "welsh_content"):
            require(not getattr(wording, field), field, "is for letters only")
    if channel != "email":
        require(not wording.has_unsubscribe_link, "has_unsubscribe_link", "is for emails only")
        for field in ("content", "welsh_content"):
            fits = len(getattr(wording, field).encode()) <= MAX_CONTENT_BYTES
            require(fits, field, f"is longer than {MAX_CONTENT_BYTES} bytes")
    if violations:
        raise invalid_field(*violations)
    _check_length(channel, wording)
    if channel == "letter" and wording.postage is None:
        return replace(wording, postage=DEFAULT_POSTAGE)
    return wording


def merged(current: Template, wanted: Wording, changed: Collection[str]) -> Wording:
    """Return the wording of `current` with the `changed` fields of `wanted`, checked as by `checked`."""
    values = {name: getattr(wanted if name in changed else current, name) for name in Wording.__slots__}
    return checked(current.channel, Wording(**values))


def wording_of(template: Template) -> Wording:
    """The wording of a template without what stands around it."""
    return Wording(**{name: getattr(template, name) for name in Wording.__slots__})


def _check_length(channel: str, wording: Wording) -> None:
    match channel:
        case "sms":
            if SmsTemplate(wording.content).render().too_long:
                raise _too_long(channel, sms.CHARACTER_LIMIT, "characters")
        case "email":
            if EmailTemplate(wording.subject, wording.content).render().too_long:
                raise _too_long(channel, emails.SIZE_LIMIT, "bytes")
        case _:
            for subject, content in (
                (wording.subject, wording.content),
                (wording.welsh_subject, wording.welsh_content),
            ):
                if LetterTemplate(subject, content).render().qr_code_too_long:
                    raise NotifyError(
                        "QR_CODE_TOO_LONG", "Cannot create a usable QR code - the link is too long"
                    )


def _too_long(channel: str, limit: int, unit: str) -> NotifyError:
    return NotifyError(
        "MESSAGE_TOO_LONG",
        f"Content has a character count greater than the limit of {limit}",
        metadata={"channel": channel, "limit": str(limit), "unit": unit},
    )

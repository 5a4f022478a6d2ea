"""Templates: the wording of messages (internal-api.md §4.7)."""

from typing import Final, NamedTuple

from notify_common.errors import NotifyError
from notify_content import sms
from notify_content.letters import LetterTemplate
from notify_content.sms import SmsTemplate

MAX_NAME_LENGTH: Final = 255
MAX_SUBJECT_LENGTH: Final = 10_000
MAX_CONTENT_BYTES: Final = 1024 * 1024
"""Of texts and letters; emails have a limit of their own."""
MAX_EMAIL_BYTES: Final = 2 * 1024 * 1024
PRECOMPILED: Final = "Pre-compiled PDF"
"""Name and subject of the template that a service's own PDFs are sent with."""
CURRENT: Final = 0
"""Stands for whichever version is current."""


class VersionKey(NamedTuple):
    """Names a template of a service at a version."""

    service_id: str
    template_id: str
    version: int
    """Or CURRENT."""


def check_text(content: str) -> None:
    """Raise NotifyError MESSAGE_TOO_LONG, metadata `channel`, `limit` and `unit`."""
    if len(content.encode()) > MAX_CONTENT_BYTES or SmsTemplate(content).render().too_long:
        raise _too_long("sms", sms.CHARACTER_LIMIT, "characters")


def check_email(content: str) -> None:
    """Raise NotifyError as `check_text`; what is too long to be sent is told when it is to be."""
    if len(content.encode()) > MAX_EMAIL_BYTES:
        raise _too_long("email", MAX_EMAIL_BYTES, "bytes")


def check_letter(subject: str, content: str) -> None:
    """Raise NotifyError QR_CODE_TOO_LONG."""
    if LetterTemplate(subject, content).render().qr_code_too_long:
        raise NotifyError("QR_CODE_TOO_LONG")


def _too_long(channel: str, limit: int, unit: str) -> NotifyError:
    facts = {"channel": channel, "limit": str(limit), "unit": unit}
    return NotifyError("MESSAGE_TOO_LONG", metadata=facts)

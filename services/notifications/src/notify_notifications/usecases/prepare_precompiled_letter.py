"""Checking a letter that comes as a PDF (public-api.md §2.7). The PDF itself is checked later, by letters."""

from typing import Final

from notify_common.enums import Postage
from notify_common.errors import NotifyError

from notify_notifications.domain import recipients
from notify_notifications.domain.notification import State
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.usecases.prepare import (
    AcceptedPrecompiledLetter,
    Details,
    PrecompiledLetterCommand,
    Prepared,
)

SHOWN_ADDRESS: Final = "Provided as PDF"
"""What stands in place of the address, which only the PDF has."""


def prepare_precompiled_letter(
    service: Service, template: Template | None, command: PrecompiledLetterCommand
) -> Prepared:
    """Return what the rules say of a letter that comes as a PDF.

    Args:
        template: the one that the command names; None if the service has none of that id.

    Raises:
        NotifyError: CHANNEL_NOT_ALLOWED, LETTERS_NOT_ALLOWED_FOR_KEY, TEMPLATE_NOT_FOUND for any but the
            service's hidden template of such letters.
    """
    if command.channel not in service.permissions:
        raise NotifyError("CHANNEL_NOT_ALLOWED", metadata={"channel": command.channel})
    key_type = command.caller.key_type
    if not recipients.may_send_letters(service, key_type):
        raise NotifyError("LETTERS_NOT_ALLOWED_FOR_KEY", metadata={"key_type": key_type})
    if template is None or not template.hidden or template.channel is not command.channel:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    accepted = answer_precompiled_letter(command, template, command.request_id)
    details = Details(
        template_version=template.version,
        recipient="",
        normalised_recipient="",
        sender="",
        personalisation=[("address_line_1", SHOWN_ADDRESS)],
        postage=accepted.postage,
        state=State.PENDING_VIRUS_CHECK,
    )
    return Prepared(accepted=accepted, details=details)


def answer_precompiled_letter(
    command: PrecompiledLetterCommand, template: Template, notification_id: str
) -> AcceptedPrecompiledLetter:
    """Return the answer to a letter that comes as a PDF, with `template` at the version used."""
    postage = command.postage or template.postage or Postage.SECOND
    return AcceptedPrecompiledLetter(notification_id, postage)

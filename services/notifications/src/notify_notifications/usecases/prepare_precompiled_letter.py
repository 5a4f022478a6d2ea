"""Checking a letter that comes as a PDF (public-api.md §2.7, internal-api.md C1).

The PDF itself is checked later, by letters.
"""

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
    check_member,
)

SHOWN_ADDRESS: Final = "Provided as PDF"
"""What stands in place of the address, which only the PDF has; of what a member uploaded, the file's name."""


def prepare_precompiled_letter(
    service: Service, template: Template | None, command: PrecompiledLetterCommand
) -> Prepared:
    """Return what the rules say of a letter that comes as a PDF.

    Args:
        template: the one that the command names; None if the service has none of that id.

    Raises:
        NotifyError: CHANNEL_NOT_ALLOWED, NOT_A_MEMBER, LETTERS_NOT_ALLOWED_FOR_KEY, TEMPLATE_NOT_FOUND for
            any but the service's hidden template of such letters.
    """
    if command.channel not in service.permissions:
        raise NotifyError("CHANNEL_NOT_ALLOWED", metadata={"channel": command.channel})
    check_member(service, command.caller)
    key_type = command.caller.key_type
    if not recipients.may_send_letters(service, key_type):
        raise NotifyError("LETTERS_NOT_ALLOWED_FOR_KEY", metadata={"key_type": key_type})
    if template is None or not template.hidden or template.channel is not command.channel:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    accepted = answer_precompiled_letter(command, template, command.request_id)
    is_uploaded = command.caller.created_by_id is not None
    address = command.recipient_address
    details = Details(
        template_version=template.version,
        recipient=address,
        normalised_recipient="".join(address.split()).lower(),
        sender="",
        personalisation=[("address_line_1", (command.reference or "") if is_uploaded else SHOWN_ADDRESS)],
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

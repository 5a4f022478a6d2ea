"""Checking and dressing a letter from a template (public-api.md §2.6)."""

from notify_common.enums import Postage
from notify_common.errors import NotifyError
from notify_content.letters import CHARACTER_LIMIT, QR_CODE_MAX_BYTES, LetterContent, QrCodeTooLong
from notify_content.placeholders import Personalisation
from notify_content.postal_address import InvalidPostalAddress, PostalAddress

from notify_notifications.domain import recipients
from notify_notifications.domain.personalisation import address_values, texts
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import LetterWording, Template
from notify_notifications.usecases.prepare import (
    AcceptedLetter,
    Details,
    Filled,
    LetterCommand,
    Prepared,
    check_member,
    check_no_file,
    check_size,
    usable,
    values_for,
)


def prepare_letter(service: Service, template: Template | None, command: LetterCommand) -> Prepared:
    """Return what the rules say of a letter.

    Args:
        template: the current version of the one that the command names; None if the service has none of that
        id.

    Raises:
        NotifyError: NOT_A_MEMBER, CHANNEL_NOT_ALLOWED, TEMPLATE_*, QR_CODE_TOO_LONG, MISSING_PERSONALISATION,
            MESSAGE_EMPTY, FILE_NOT_ALLOWED, LETTERS_NOT_ALLOWED_FOR_KEY, ADDRESS_INVALID, MESSAGE_TOO_LONG.
    """
    check_member(service, command.caller)
    template = usable(service, template, command.channel)
    _check_qr_codes(_wording(template), Personalisation(dict(command.personalisation)))
    values = values_for(template, command.personalisation)
    content = _wording(template).render(values)
    if content.is_empty:
        raise NotifyError("MESSAGE_EMPTY")
    check_no_file(command)
    key_type = command.caller.key_type
    if not recipients.may_send_letters(service, key_type):
        raise NotifyError("LETTERS_NOT_ALLOWED_FOR_KEY", metadata={"key_type": key_type})
    address_lines = address_values(command.personalisation)
    address = PostalAddress.from_personalisation(address_lines)
    try:
        address.check(allow_international="international_letters" in service.permissions)
    except InvalidPostalAddress as error:
        raise NotifyError("ADDRESS_INVALID", metadata={"problem": error.api_message}) from None
    accepted = _answer(command.request_id, template, values, content)
    check_size(accepted.subject, accepted.body, *texts(list(address_lines.items())))
    details = Details(
        template_version=template.version,
        recipient=command.recipient,
        normalised_recipient="".join(command.recipient.split()).lower(),
        sender="",
        personalisation=command.personalisation,
        postage=Postage(address.postage_zone) if address.international else template.postage,
    )
    return Prepared(accepted=accepted, details=details, filled=Filled(template, values, content))


def answer_letter(command: LetterCommand, template: Template, notification_id: str) -> AcceptedLetter:
    """Return the answer to a letter, with `template` at the version used."""
    values = Personalisation(dict(command.personalisation))
    return _answer(notification_id, template, values, _wording(template).render(values))


def _answer(
    notification_id: str, template: Template, values: Personalisation, content: LetterContent
) -> AcceptedLetter:
    subject = _wording(template).subject(values)
    return AcceptedLetter(notification_id, subject, content.content, template.version)


def _wording(template: Template) -> LetterWording:
    assert isinstance(template.wording, LetterWording)  # noqa: S101 - the channel was checked
    return template.wording


def _check_qr_codes(wording: LetterWording, values: Personalisation) -> None:
    # What is longer is never printed, and reading it takes seconds.
    if wording.length(values) > CHARACTER_LIMIT:
        return
    letter = wording.render(values)
    if not letter.qr_code_too_long:
        return
    try:
        _ = letter.blocks
    except QrCodeTooLong as error:
        facts = {
            "data": error.data,
            "num_bytes": str(error.num_bytes),
            "max_bytes": str(QR_CODE_MAX_BYTES),
        }
        raise NotifyError("QR_CODE_TOO_LONG", metadata=facts) from None

"""Checking and dressing a text message (public-api.md §2.3)."""

from notify_common.errors import NotifyError
from notify_content import phone
from notify_content.phone import PhoneNumber
from notify_content.placeholders import Personalisation
from notify_content.sms import CHARACTER_LIMIT, SmsMessage, SmsTemplate

from notify_notifications.domain import recipients
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.usecases.prepare import (
    AcceptedSms,
    Details,
    Filled,
    Prepared,
    SmsCommand,
    check_member,
    check_no_file,
    recipient_invalid,
    sender_not_found,
    too_long,
    usable,
    values_for,
)


def prepare_sms(
    service: Service, template: Template | None, command: SmsCommand, default_sender: str
) -> Prepared:
    """Return what the rules say of a text.

    Args:
        template: the current version of the one that the command names; None if the service has none of that
        id. default_sender: shown for services that have no sender of their own.

    Raises:
        NotifyError: NOT_A_MEMBER, RECIPIENT_INVALID, CHANNEL_NOT_ALLOWED, TEMPLATE_*,
            MISSING_PERSONALISATION, MESSAGE_EMPTY, FILE_NOT_ALLOWED, SENDER_NOT_FOUND, RECIPIENT_NOT_ALLOWED,
            INTERNATIONAL_NOT_ALLOWED.
    """
    check_member(service, command.caller)
    number = _parse(command)
    template = usable(service, template, command.channel)
    values = values_for(template, command.personalisation)
    message = _render(template, values)
    if message.is_empty:
        raise NotifyError("MESSAGE_EMPTY")
    check_no_file(command)
    from_number = _from_number(service, command.sms_sender_id, default_sender)
    _check_recipient(service, command, number)
    international = not number.is_uk
    filled = Filled(template, values, message, service.sms_prefix)
    if message.too_long:
        refusal = too_long(command.channel, CHARACTER_LIMIT, message.character_count_without_prefix)
        return Prepared(refusal=refusal, international=international, filled=filled)
    accepted = AcceptedSms(command.request_id, message.content, from_number, template.version)
    if command.may_be_simulated and number.normalised in recipients.SIMULATED_PHONE_NUMBERS:
        return Prepared(accepted=accepted, filled=filled)
    details = Details(
        template_version=template.version,
        recipient=command.phone_number.strip(),
        normalised_recipient=number.normalised,
        sender=from_number,
        personalisation=command.personalisation,
        international=number.international,
        phone_prefix=number.country_prefix,
        rate_multiplier=number.rate_multiplier,
        fragment_count=filled.handed_over.fragment_count,
    )
    return Prepared(accepted=accepted, details=details, international=international, filled=filled)


def answer_sms(
    command: SmsCommand, template: Template, notification_id: str, from_number: str
) -> AcceptedSms:
    """Return the answer to a text that was accepted earlier, with `template` at the version used."""
    message = _render(template, Personalisation(dict(command.personalisation)))
    return AcceptedSms(notification_id, message.content, from_number, template.version)


def _from_number(service: Service, sms_sender_id: str, default_sender: str) -> str:
    if not sms_sender_id:
        default = service.default_sms_sender
        return default.shown if default else default_sender
    sender = service.sms_senders.get(sms_sender_id)
    if sender is None:
        raise sender_not_found("sms_sender_id", sms_sender_id, service.id)
    return sender.shown


def _render(template: Template, values: Personalisation) -> SmsMessage:
    assert isinstance(template.wording, SmsTemplate)  # noqa: S101 - the channel was checked
    return template.wording.render(values)


def _parse(command: SmsCommand) -> PhoneNumber:
    """Read a number in stage 1, which allows any that the platform could send to (public-api.md §2.3)."""
    try:
        return phone.parse(command.phone_number, allow_international=True, allow_uk_landline=True)
    except phone.InvalidPhoneNumber as error:
        problem = error.message if command.caller.created_by_id else error.api_message
        raise recipient_invalid("schema", "phone_number", problem) from None


def _check_recipient(service: Service, command: SmsCommand, number: PhoneNumber) -> None:
    """Check the recipient rule, then stage 2: what this service may send to (public-api.md §2.3, §5.3)."""
    key_type = command.caller.key_type
    if not recipients.may_write_to(service, key_type, number.normalised, service.team_phone_numbers):
        raise NotifyError("RECIPIENT_NOT_ALLOWED", metadata={"key_type": key_type})
    if not number.is_uk:
        if "international_sms" not in service.permissions:
            raise NotifyError("INTERNATIONAL_NOT_ALLOWED")
        return
    # no number in the 07 range is a landline, which spares most texts a second look
    if "sms_to_uk_landlines" in service.permissions or number.normalised.startswith("447"):
        return
    try:
        phone.parse(command.phone_number, allow_international=True)
    except phone.InvalidPhoneNumber as error:
        raise recipient_invalid("service", "phone_number", error.api_message) from None

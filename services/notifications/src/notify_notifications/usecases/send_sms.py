"""Accepting a text message (public-api.md §2.3)."""

from dataclasses import dataclass, field

from notify_common.errors import NotifyError
from notify_content import phone
from notify_content.phone import PhoneNumber
from notify_content.placeholders import Personalisation
from notify_content.sms import CHARACTER_LIMIT, SmsMessage, SmsTemplate

from notify_notifications.domain import recipients
from notify_notifications.domain.notification import Channel
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.usecases.limits import Limits
from notify_notifications.usecases.sending import (
    Acceptance,
    Command,
    Details,
    check_no_file,
    too_long,
    values_for,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsCommand(Command):
    """A text message to accept."""

    phone_number: str = field(repr=False)
    sms_sender_id: str
    """Empty for the default."""


@dataclass(frozen=True, slots=True)
class AcceptedSms:
    """The accepted text message, or what would have been accepted for a simulated number."""

    notification_id: str
    body: str = field(repr=False)
    """Without the service's prefix."""
    from_number: str
    template_version: int


class SendSms:
    """Accepts text messages; made once a process.

    Args:
        default_sender: shown for services that have no sender of their own.
    """

    def __init__(self, acceptance: Acceptance, limits: Limits, default_sender: str) -> None:
        self._acceptance = acceptance
        self._limits = limits
        self._default_sender = default_sender

    def send(self, command: SmsCommand) -> AcceptedSms:
        """Check and store a text, once per request id and idempotency key (public-api.md §2.1).

        Raises:
            NotifyError: SERVICE_NOT_FOUND, RATE_LIMITED, DAILY_LIMIT_REACHED, RECIPIENT_INVALID (metadata
                `stage` is `schema` for what is no number, `service` for one that the service may not use),
                CHANNEL_NOT_ALLOWED, TEMPLATE_*, MISSING_PERSONALISATION, MESSAGE_EMPTY, FILE_NOT_ALLOWED,
                SENDER_NOT_FOUND, RECIPIENT_NOT_ALLOWED, INTERNATIONAL_NOT_ALLOWED, MESSAGE_TOO_LONG,
                REQUEST_ID_REUSED.
        """
        try:
            return self._accept(command)
        except NotifyError as refusal:
            earlier, template = self._acceptance.repeated(command, refusal)
            message = _render(template, Personalisation(dict(command.personalisation)))
            return AcceptedSms(earlier.notification_id, message.content, earlier.sender, template.version)

    def _accept(self, command: SmsCommand) -> AcceptedSms:
        sender = command.sender
        service = self._acceptance.service(sender.service_id)
        with self._limits.admit(service, sender.key_type, Channel.SMS) as quota:
            number = _parse(command.phone_number)
            template = self._acceptance.template(service, command.template_id, Channel.SMS)
            message = _render(template, values_for(template, command.personalisation))
            if message.is_empty:
                raise NotifyError("MESSAGE_EMPTY")
            check_no_file(command)
            from_number = self._from_number(service, command.sms_sender_id)
            _check_recipient(service, command, number)
            if not number.is_uk:
                quota.take_international()
            if message.too_long:
                raise too_long(Channel.SMS, CHARACTER_LIMIT, message.character_count_without_prefix)
            accepted = AcceptedSms(command.request_id, message.content, from_number, template.version)
            if number.normalised in recipients.SIMULATED_PHONE_NUMBERS:
                return accepted
            details = Details(
                template_version=template.version,
                recipient=command.phone_number.strip(),
                normalised_recipient=number.normalised,
                sender=from_number,
                personalisation=command.personalisation,
                international=number.international,
                phone_prefix=number.country_prefix,
                rate_multiplier=number.rate_multiplier,
            )
            earlier = self._acceptance.store(command, Channel.SMS, details, quota)
            if earlier is None:
                return accepted
        template = self._acceptance.version(command, earlier)
        message = _render(template, Personalisation(dict(command.personalisation)))
        return AcceptedSms(earlier.notification_id, message.content, earlier.sender, template.version)

    def _from_number(self, service: Service, sms_sender_id: str) -> str:
        if not sms_sender_id:
            default = service.default_sms_sender
            return default.shown if default else self._default_sender
        sender = service.sms_senders.get(sms_sender_id)
        if sender is None:
            facts = {"field": "sms_sender_id", "sender_id": sms_sender_id, "service_id": service.id}
            raise NotifyError("SENDER_NOT_FOUND", metadata=facts)
        return sender.shown


def _render(template: Template, values: Personalisation) -> SmsMessage:
    assert isinstance(template.wording, SmsTemplate)  # noqa: S101 - the channel was checked
    return template.wording.render(values)


def _parse(text: str) -> PhoneNumber:
    """Stage 1: any number that the platform could send to (public-api.md §2.3)."""
    try:
        return phone.parse(text, allow_international=True, allow_uk_landline=True)
    except phone.InvalidPhoneNumber as error:
        raise _invalid("schema", error) from None


def _invalid(stage: str, error: phone.InvalidPhoneNumber) -> NotifyError:
    facts = {"stage": stage, "field": "phone_number", "problem": error.api_message}
    return NotifyError("RECIPIENT_INVALID", metadata=facts)


def _check_recipient(service: Service, command: SmsCommand, number: PhoneNumber) -> None:
    """Recipient rule, then stage 2: what this service may send to (public-api.md §2.3, §5.3)."""
    key_type = command.sender.key_type
    if not recipients.is_allowed(service, key_type, number.normalised, service.team_phone_numbers):
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
        raise _invalid("service", error) from None

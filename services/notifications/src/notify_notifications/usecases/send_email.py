"""Accepting an email (public-api.md §2.4)."""

from dataclasses import dataclass, field

from notify_common.errors import NotifyError
from notify_content import email_address
from notify_content.email_address import EmailAddress
from notify_content.emails import SIZE_LIMIT, EmailMessage, EmailTemplate
from notify_content.placeholders import Personalisation

from notify_notifications.domain import recipients
from notify_notifications.domain.notification import Channel
from notify_notifications.domain.personalisation import Pairs
from notify_notifications.domain.sanitising import SanitisedField, sanitise
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.usecases.limits import Limits
from notify_notifications.usecases.sending import (
    Acceptance,
    Command,
    Details,
    check_no_file,
    check_size,
    too_long,
    values_for,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailCommand(Command):
    """An email to accept."""

    email_address: str = field(repr=False)
    email_reply_to_id: str
    """Empty for the default, if there is one."""
    one_click_unsubscribe_url: str = field(repr=False)
    """Empty for none."""
    sanitise_content_for: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AcceptedEmail:
    """The accepted email, or what would have been accepted for a simulated address."""

    notification_id: str
    subject: str = field(repr=False)
    body: str = field(repr=False)
    from_address: str
    template_version: int
    sanitised_fields: list[SanitisedField] = field(repr=False)


class SendEmail:
    """Accepts emails; made once a process.

    Args:
        email_domain: right of the @ in the address that emails come from.
    """

    def __init__(self, acceptance: Acceptance, limits: Limits, email_domain: str) -> None:
        self._acceptance = acceptance
        self._limits = limits
        self._email_domain = email_domain

    def send(self, command: EmailCommand) -> AcceptedEmail:
        """Check and store an email, once per request id and idempotency key (public-api.md §2.1).

        Raises:
            NotifyError: SERVICE_NOT_FOUND, RATE_LIMITED, DAILY_LIMIT_REACHED, RECIPIENT_INVALID (metadata
                `stage` is `schema`), CHANNEL_NOT_ALLOWED, TEMPLATE_*, MISSING_PERSONALISATION, MESSAGE_EMPTY,
                SENDER_NOT_FOUND, RECIPIENT_NOT_ALLOWED, FILE_NOT_ALLOWED, MESSAGE_TOO_LONG,
                REQUEST_ID_REUSED.
        """
        pairs, changed = sanitise(command.personalisation, command.sanitise_content_for)
        try:
            return self._accept(command, pairs, changed)
        except NotifyError as refusal:
            earlier, template = self._acceptance.repeated(command, refusal)
            service = self._acceptance.service(command.sender.service_id)
            message = _render(template, Personalisation(dict(pairs)))
            return self._answer(earlier.notification_id, service, template, message, changed)

    def _accept(self, command: EmailCommand, pairs: Pairs, changed: list[SanitisedField]) -> AcceptedEmail:
        sender = command.sender
        service = self._acceptance.service(sender.service_id)
        with self._limits.admit(service, sender.key_type, Channel.EMAIL) as quota:
            address = _parse(command.email_address)
            template = self._acceptance.template(service, command.template_id, Channel.EMAIL)
            message = _render(template, values_for(template, pairs))
            if message.is_empty:
                raise NotifyError("MESSAGE_EMPTY")
            reply_to = _reply_to(service, command.email_reply_to_id)
            if not recipients.is_allowed(
                service, sender.key_type, address.normalised, service.team_email_addresses
            ):
                raise NotifyError("RECIPIENT_NOT_ALLOWED", metadata={"key_type": sender.key_type})
            check_no_file(command)
            if message.too_long:
                raise too_long(Channel.EMAIL, SIZE_LIMIT, message.size_bytes)
            accepted = self._answer(command.request_id, service, template, message, changed)
            sanitised = (text for one in changed for text in one)
            check_size(accepted.subject, accepted.body, command.one_click_unsubscribe_url, *sanitised)
            if address.normalised in recipients.SIMULATED_EMAIL_ADDRESSES:
                return accepted
            details = Details(
                template_version=template.version,
                recipient=address.validated,
                normalised_recipient=address.normalised,
                sender=reply_to,
                personalisation=pairs,
                unsubscribe_url=command.one_click_unsubscribe_url,
            )
            earlier = self._acceptance.store(command, Channel.EMAIL, details, quota)
            if earlier is None:
                return accepted
        template = self._acceptance.version(command, earlier)
        message = _render(template, Personalisation(dict(pairs)))
        return self._answer(earlier.notification_id, service, template, message, changed)

    def _answer(
        self,
        notification_id: str,
        service: Service,
        template: Template,
        message: EmailMessage,
        changed: list[SanitisedField],
    ) -> AcceptedEmail:
        from_address = f"{service.email_local_part}@{self._email_domain}"
        return AcceptedEmail(
            notification_id, message.subject, message.content, from_address, template.version, changed
        )


def _render(template: Template, values: Personalisation) -> EmailMessage:
    assert isinstance(template.wording, EmailTemplate)  # noqa: S101 - the channel was checked
    return template.wording.render(values)


def _parse(text: str) -> EmailAddress:
    try:
        return email_address.parse(text)
    except email_address.InvalidEmailAddress as error:
        facts = {"stage": "schema", "field": "email_address", "problem": error.message}
        raise NotifyError("RECIPIENT_INVALID", metadata=facts) from None


def _reply_to(service: Service, email_reply_to_id: str) -> str:
    """The address that answers go to; empty for none."""
    if not email_reply_to_id:
        default = service.default_reply_to
        return default.email_address if default else ""
    reply_to = service.reply_tos.get(email_reply_to_id)
    if reply_to is None:
        facts = {"field": "email_reply_to_id", "sender_id": email_reply_to_id, "service_id": service.id}
        raise NotifyError("SENDER_NOT_FOUND", metadata=facts)
    return reply_to.email_address

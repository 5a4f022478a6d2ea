"""Checking and dressing an email (public-api.md §2.4)."""

from collections.abc import Iterable
from typing import Final

from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_content import email_address
from notify_content.email_address import EmailAddress
from notify_content.emails import SIZE_LIMIT, EmailMessage, EmailTemplate
from notify_content.placeholders import Personalisation
from notify_content.text import insensitive_key

from notify_notifications.domain import recipients
from notify_notifications.domain.email_size import size_above
from notify_notifications.domain.files import (
    AttachedFile,
    FileLinks,
    check_announced,
    filled_link,
    new_secret,
)
from notify_notifications.domain.personalisation import Pairs
from notify_notifications.domain.recipients import SIMULATED_EMAIL_ADDRESSES
from notify_notifications.domain.sanitising import SanitisedField, sanitise
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template, TemplateFile
from notify_notifications.usecases.prepare import (
    AcceptedEmail,
    Details,
    EmailCommand,
    Filled,
    Prepared,
    check_member,
    check_no_file,
    check_size,
    recipient_invalid,
    sender_not_found,
    too_long,
    too_long_in_all,
    usable,
    values_for,
)

_REST_BYTES: Final = 32 * 1024
"""Room for the page around an email's HTML, its subject and its addresses."""


def prepare_email(
    service: Service, template: Template | None, command: EmailCommand, email_domain: str, links: FileLinks
) -> Prepared:
    """Return what the rules say of an email.

    Args:
        template: the current version of the one that the command names; None if the service has none of that
        id. email_domain: right of the @ in the address that emails come from. links: makes those to files.

    Raises:
        NotifyError: NOT_A_MEMBER, RECIPIENT_INVALID, CHANNEL_NOT_ALLOWED, TEMPLATE_*,
            MISSING_PERSONALISATION, MESSAGE_EMPTY, SENDER_NOT_FOUND, RECIPIENT_NOT_ALLOWED, FILE_NOT_ALLOWED,
            FILES_NOT_SET_UP, those of `check_announced`, MESSAGE_TOO_LONG.
    """
    check_member(service, command.caller)
    address = _parse(command.email_address)
    template = usable(service, template, command.channel)
    pairs, changed = sanitise(command.personalisation, command.sanitise_content_for)
    simulated = command.may_be_simulated and address.normalised in SIMULATED_EMAIL_ADDRESSES
    if command.files:
        pairs = _with_links(service, pairs, command, links, simulated=simulated)
    attached = () if simulated else attached_files(template)
    if simulated:
        pairs = with_test_links(links, template, pairs)
    else:
        pairs = _with_file_links(pairs, ((file.of, links.link(service.id, file)) for file in attached))
    values = values_for(template, pairs)
    message = _render(template, values)
    if message.is_empty:
        raise NotifyError("MESSAGE_EMPTY")
    reply_to = command.reply_to_address or _reply_to(service, command.email_reply_to_id)
    key_type = command.caller.key_type
    if not recipients.may_write_to(service, key_type, address.normalised, service.team_email_addresses):
        raise NotifyError("RECIPIENT_NOT_ALLOWED", metadata={"key_type": key_type})
    _check_files(service, command, template, simulated=simulated)
    if message.too_long:
        raise too_long(command.channel, SIZE_LIMIT, message.size_bytes)
    if size := size_above(message, LARGEST_CONTENT_BYTES - _REST_BYTES):
        raise too_long_in_all(size)
    accepted = _answer(command.request_id, service, template, message, changed, email_domain)
    sanitised = (text for one in changed for text in one)
    check_size(accepted.subject, accepted.body, command.one_click_unsubscribe_url, *sanitised)
    filled = Filled(template, values, message)
    if simulated:
        return Prepared(accepted=accepted, filled=filled)
    details = Details(
        template_version=template.version,
        recipient=address.validated,
        normalised_recipient=address.normalised,
        sender=reply_to,
        personalisation=pairs,
        unsubscribe_url=command.one_click_unsubscribe_url,
    )
    return Prepared(accepted=accepted, details=details, attached=attached, filled=filled)


def answer_email(
    service: Service,
    command: EmailCommand,
    template: Template,
    notification_id: str,
    email_domain: str,
    stored: Pairs | None = None,
) -> AcceptedEmail:
    """Return the answer to an email that was accepted earlier, with `template` at the version used, and the
    personalisation that was stored then: where it has files, no other request has their links.
    """
    pairs, changed = sanitise(command.personalisation, command.sanitise_content_for)
    message = _render(template, Personalisation(dict(pairs if stored is None else stored)))
    return _answer(notification_id, service, template, message, changed, email_domain)


def _with_links(
    service: Service, pairs: Pairs, command: EmailCommand, links: FileLinks, *, simulated: bool
) -> Pairs:
    """Return the personalisation with the link of each file in its place."""
    shown = {
        file.key: links.test_link(service.id) if simulated else links.link(service.id, file)
        for file in command.files
    }
    return [(key, shown.get(key, value)) for key, value in pairs]


def attached_files(template: Template) -> tuple[AttachedFile, ...]:
    """Return the files whose placeholders an email template has, each with an id and a key of its own."""
    return tuple(AttachedFile(new_id(), new_secret(), file) for file in _shown_files(template))


def with_test_links(links: FileLinks, template: Template, pairs: Pairs) -> Pairs:
    """Return the personalisation with links to nothing in the places of a template's files."""
    address = links.test_link(template.service_id)
    return _with_file_links(pairs, ((file, address) for file in _shown_files(template)))


def _with_file_links(pairs: Pairs, addresses: Iterable[tuple[TemplateFile, str]]) -> Pairs:
    return [*pairs, *((file.filename, filled_link(file, address)) for file, address in addresses)]


def _shown_files(template: Template) -> list[TemplateFile]:
    wording = template.wording
    if not template.files or not isinstance(wording, EmailTemplate):
        return []
    shown = {insensitive_key(name) for name in wording.placeholders}
    return [file for file in template.files if insensitive_key(file.filename) in shown]


def _check_files(service: Service, command: EmailCommand, template: Template, *, simulated: bool) -> None:
    """Raise NotifyError for files that can't be sent (public-api.md §2.5)."""
    if not command.files:
        check_no_file(command)
    if not service.contact_link and (command.files or _shown_files(template)):
        raise NotifyError("FILES_NOT_SET_UP")
    if not simulated:
        for file in command.files:
            check_announced(file)


def _answer(
    notification_id: str,
    service: Service,
    template: Template,
    message: EmailMessage,
    changed: list[SanitisedField],
    email_domain: str,
) -> AcceptedEmail:
    from_address = f"{service.email_local_part}@{email_domain}"
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
        raise recipient_invalid("schema", "email_address", error.message) from None


def _reply_to(service: Service, email_reply_to_id: str) -> str:
    """Return the address that answers go to; empty for none."""
    if not email_reply_to_id:
        default = service.default_reply_to
        return default.email_address if default else ""
    reply_to = service.reply_tos.get(email_reply_to_id)
    if reply_to is None:
        raise sender_not_found("email_reply_to_id", email_reply_to_id, service.id)
    return reply_to.email_address

"""Filling in a template without sending it (public-api.md §3.5)."""

from dataclasses import dataclass, field

from notify_common.errors import NotifyError
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_content.emails import EmailMessage
from notify_content.letters import LetterContent
from notify_content.placeholders import Personalisation
from notify_content.sms import SmsMessage

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.files import FileLinks
from notify_notifications.domain.personalisation import Pairs
from notify_notifications.domain.template import LetterWording, Template
from notify_notifications.usecases.prepare import (
    Filled,
    check_length,
    check_size,
    missing_personalisation,
    too_long_in_all,
)
from notify_notifications.usecases.prepare_email import with_test_links


@dataclass(frozen=True, slots=True)
class Preview:
    """A filled-in template."""

    filled: Filled
    subject: str = field(repr=False)
    body: str = field(repr=False)
    html: str = field(repr=False)
    """Emails: the rendered body as an HTML fragment. Others: empty."""

    @property
    def template(self) -> Template:
        """Return the template at the version that was filled in."""
        return self.filled.template


def preview_template(
    snapshots: Snapshots, links: FileLinks, service_id: str, template_id: str, pairs: Pairs
) -> Preview:
    """Fill in the current version of a template, of an archived one too; its files are shown as links that
    lead to nothing.

    Raises NotifyError TEMPLATE_NOT_FOUND, MISSING_PERSONALISATION, MESSAGE_TOO_LONG.
    """
    template = snapshots.template(service_id, template_id)
    if template is None or template.hidden:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    values = Personalisation(dict(with_test_links(links, template, pairs)))
    content = template.wording
    if isinstance(content, LetterWording):
        missing = content.missing_in_any_language(values)
    else:
        missing = content.missing(values)
    if missing:
        raise missing_personalisation(missing)
    check_length(template, values)
    return preview_of(Filled(template, values, content.render(values)))


def preview_of(filled: Filled) -> Preview:
    """Return what is shown of a template that is filled in. Raises NotifyError MESSAGE_TOO_LONG."""
    message = filled.message
    html: str | None = ""
    match message:
        case SmsMessage():
            subject, body = "", message.content
        case EmailMessage():
            subject, body = message.subject, message.content
            html = message.html_body_within(LARGEST_CONTENT_BYTES)
        case LetterContent():
            assert isinstance(filled.template.wording, LetterWording)  # noqa: S101 - what it was filled in of
            subject, body = filled.template.wording.subject(filled.values), message.content
    if html is None:
        raise too_long_in_all(LARGEST_CONTENT_BYTES + 1)
    check_size(subject, body, html)
    return Preview(filled, subject, body, html)

"""Filling in a template without sending it (public-api.md §3.5)."""

from dataclasses import dataclass, field

from notify_common.errors import NotifyError
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_content.emails import EmailTemplate
from notify_content.placeholders import Personalisation

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.personalisation import Pairs
from notify_notifications.domain.template import LetterWording, Template
from notify_notifications.usecases.prepare import (
    check_length,
    check_size,
    missing_personalisation,
    too_long_in_all,
)
from notify_notifications.usecases.read_notifications import wording


@dataclass(frozen=True, slots=True)
class Preview:
    """A filled-in template."""

    template: Template
    subject: str = field(repr=False)
    body: str = field(repr=False)
    html: str = field(repr=False)
    """Emails: the rendered body as an HTML fragment. Others: empty."""


def preview_template(snapshots: Snapshots, service_id: str, template_id: str, pairs: Pairs) -> Preview:
    """Fill in the current version of a template, of an archived one too.

    Raises NotifyError TEMPLATE_NOT_FOUND, MISSING_PERSONALISATION, MESSAGE_TOO_LONG.
    """
    template = snapshots.template(service_id, template_id)
    if template is None or template.hidden:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    values = Personalisation(dict(pairs))
    content = template.wording
    if isinstance(content, LetterWording):
        missing = content.missing_in_any_language(values)
    else:
        missing = content.missing(values)
    if missing:
        raise missing_personalisation(missing)
    check_length(template, values)
    subject, body = wording(template, values)
    html = _html(content, values) if isinstance(content, EmailTemplate) else ""
    check_size(subject, body, html)
    return Preview(template, subject, body, html)


def _html(content: EmailTemplate, values: Personalisation) -> str:
    html = content.render(values).html_body_within(LARGEST_CONTENT_BYTES)
    if html is None:
        raise too_long_in_all(LARGEST_CONTENT_BYTES + 1)
    return html

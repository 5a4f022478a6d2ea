"""Templates as services see them (public-api.md §3.4 to §3.6)."""

from typing import Any

from notify.admin.v1.template_pb2 import Template
from notify.common.v1.common_pb2 import Channel, Postage
from notify.notifications.v1.notifications_service_pb2 import PreviewTemplateResponse
from notify_common.rpc import enums
from notify_content.placeholders import compile_content, unique_names

from notify_gateway.presenters import timestamps


def template(found: Template) -> dict[str, Any]:
    """Return one template at one version."""
    is_sms = found.channel == Channel.CHANNEL_SMS
    is_letter = found.channel == Channel.CHANNEL_LETTER
    return {
        "id": found.id,
        "name": found.name,
        "type": enums.to_text(Channel, found.channel),
        "created_at": timestamps.text(found.create_time),
        "updated_at": timestamps.text_or_none(found, "update_time"),
        "created_by": found.created_by_email_address,
        "version": found.version,
        "subject": None if is_sms else found.subject,
        "body": found.content,
        "personalisation": {name: {"required": True} for name in _placeholders(found)},
        "letter_contact_block": (found.letter_contact_block or None) if is_letter else None,
        "postage": enums.to_text(Postage, found.postage) if is_letter else None,
    }


def preview(response: PreviewTemplateResponse, template_id: str) -> dict[str, Any]:
    """Return a filled-in template."""
    is_letter = response.channel == Channel.CHANNEL_LETTER
    return {
        "id": template_id,
        "type": enums.to_text(Channel, response.channel),
        "version": response.template_version,
        "subject": None if response.channel == Channel.CHANNEL_SMS else response.subject,
        "body": response.body,
        "html": response.html if response.channel == Channel.CHANNEL_EMAIL else None,
        "postage": enums.to_text(Postage, response.postage) if is_letter else None,
    }


def _placeholders(found: Template) -> tuple[str, ...]:
    """Return the names as first written, in the order of content.md §1.7: contact block, subject, body, Welsh
    text.
    """
    parts = (
        *(found.letter_contact_block, found.subject, found.content),
        *(found.welsh_subject, found.welsh_content),
    )
    return unique_names(name for part in parts for name in compile_content(part).placeholders)

"""Notifications as services see them (public-api.md §2.3 to §2.6, §3.1, §4.1)."""

from collections.abc import Mapping
from typing import Any, Final

from notify.common.v1.common_pb2 import Channel, Postage
from notify.notifications.v1.notification_pb2 import Notification
from notify.notifications.v1.notifications_service_pb2 import (
    SendEmailResponse,
    SendLetterResponse,
    SendPrecompiledLetterResponse,
    SendSmsResponse,
)
from notify_common.rpc import enums

from notify_gateway.presenters import timestamps

State = Notification.State

_MICRO: Final = 1_000_000
_LETTER_STATUSES: Final[Mapping[str, str]] = {
    "created": "accepted",
    "sending": "accepted",
    "delivered": "received",
    "returned-letter": "received",
}
_COMPLETED: Final = frozenset(
    {
        Notification.STATE_SENT,
        Notification.STATE_DELIVERED,
        Notification.STATE_PERMANENT_FAILURE,
        Notification.STATE_TEMPORARY_FAILURE,
        Notification.STATE_TECHNICAL_FAILURE,
        Notification.STATE_CANCELLED,
        Notification.STATE_VALIDATION_FAILED,
        Notification.STATE_RETURNED_LETTER,
        Notification.STATE_EXPIRED,
    }
)
_ADDRESS_FIELDS: Final = {f"line_{n}": f"address_line_{n}" for n in range(1, 7)} | {"postcode": "postcode"}

_STATES_OF: Final[Mapping[str, tuple[State, ...]]] = {
    "cancelled": (Notification.STATE_CANCELLED,),
    "created": (Notification.STATE_CREATED,),
    "sending": (Notification.STATE_SENDING,),
    "sent": (Notification.STATE_SENT,),
    "delivered": (Notification.STATE_DELIVERED,),
    "pending": (Notification.STATE_PENDING,),
    "technical-failure": (Notification.STATE_TECHNICAL_FAILURE,),
    "temporary-failure": (Notification.STATE_TEMPORARY_FAILURE,),
    "permanent-failure": (Notification.STATE_PERMANENT_FAILURE,),
    "validation-failed": (Notification.STATE_VALIDATION_FAILED,),
    "failed": (
        Notification.STATE_TECHNICAL_FAILURE,
        Notification.STATE_TEMPORARY_FAILURE,
        Notification.STATE_PERMANENT_FAILURE,
        Notification.STATE_VALIDATION_FAILED,
        Notification.STATE_VIRUS_SCAN_FAILED,
        Notification.STATE_EXPIRED,
    ),
    "accepted": (Notification.STATE_CREATED, Notification.STATE_SENDING),
    "received": (Notification.STATE_DELIVERED,),
    "pending-virus-check": (Notification.STATE_PENDING_VIRUS_CHECK,),
    "virus-scan-failed": (Notification.STATE_VIRUS_SCAN_FAILED,),
    "returned-letter": (Notification.STATE_RETURNED_LETTER,),
    "expired": (Notification.STATE_EXPIRED,),
}


def states_of(statuses: list[str]) -> list[State]:
    """Return the states that a filter on these statuses means, whatever the channel (public-api.md §3.2)."""
    return list(dict.fromkeys(state for status in statuses for state in _STATES_OF[status]))


def sent_sms(
    response: SendSmsResponse, form: Mapping[str, Any], service_id: str, template_id: str, root: str
) -> dict[str, Any]:
    """Return the 201 body of a text message. `root` is the API's base URL with a slash at the end."""
    content = {"body": response.body, "from_number": response.from_number}
    return _sent(response, content, form, service_id, template_id, root)


def sent_email(
    response: SendEmailResponse, form: Mapping[str, Any], service_id: str, template_id: str, root: str
) -> dict[str, Any]:
    """Return the 201 body of an email."""
    content = {
        "subject": response.subject,
        "body": response.body,
        "from_email": response.from_address,
        "one_click_unsubscribe_url": form.get("one_click_unsubscribe_url"),
    }
    sanitised = {
        field.key: {"unsanitised": field.unsanitised, "sanitised": field.sanitised}
        for field in response.sanitised_fields
    }
    return _sent(response, content, form, service_id, template_id, root) | {"sanitised_content": sanitised}


def sent_letter(
    response: SendLetterResponse, form: Mapping[str, Any], service_id: str, template_id: str, root: str
) -> dict[str, Any]:
    """Return the 201 body of a letter."""
    content = {"subject": response.subject, "body": response.body}
    return _sent(response, content, form, service_id, template_id, root)


def sent_precompiled_letter(
    response: SendPrecompiledLetterResponse, form: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the 201 body of a letter that came as a PDF (public-api.md §2.7)."""
    return {
        "id": response.notification_id,
        "reference": form["reference"],
        "postage": enums.to_text(Postage, response.postage),
    }


def _sent(
    response: SendSmsResponse | SendEmailResponse | SendLetterResponse,
    content: dict[str, Any],
    form: Mapping[str, Any],
    service_id: str,
    template_id: str,
    root: str,
) -> dict[str, Any]:
    return {
        "id": response.notification_id,
        "reference": form.get("reference"),
        "content": content,
        "uri": f"{root}v2/notifications/{response.notification_id}",
        "template": {
            "id": template_id,
            "version": response.template_version,
            "uri": f"{root}services/{service_id}/templates/{template_id}",
        },
        "scheduled_for": timestamps.again(form["send_at"]) if "send_at" in form else None,
    }


def shown_status(found: Notification) -> str:
    """Return the status of a notification as services see it (public-api.md §4.1)."""
    state = enums.to_text(State, found.state)
    return _LETTER_STATUSES.get(state, state) if found.channel == Channel.CHANNEL_LETTER else state


def notification(found: Notification, root: str) -> dict[str, Any]:
    """Return one notification. `root` is the API's base URL with a slash at the end."""
    channel = enums.to_text(Channel, found.channel)
    is_letter = found.channel == Channel.CHANNEL_LETTER
    is_sms = found.channel == Channel.CHANNEL_SMS
    body: dict[str, Any] = {
        "id": found.id,
        "reference": found.reference if found.HasField("reference") else None,
        "type": channel,
        "status": shown_status(found),
        "email_address": found.recipient if found.channel == Channel.CHANNEL_EMAIL else None,
        "phone_number": found.recipient if is_sms else None,
        "postage": enums.to_text(Postage, found.postage) if is_letter else None,
        "template": {
            "id": found.template_id,
            "version": found.template_version,
            "uri": f"{root}v2/template/{found.template_id}/version/{found.template_version}",
        },
        "subject": None if is_sms else found.subject,
        "body": found.body,
        "created_at": timestamps.text(found.create_time),
        "created_by_name": found.created_by_name or None,
        "sent_at": timestamps.text_or_none(found, "sent_time"),
        "completed_at": (
            timestamps.text_or_none(found, "update_time") if found.state in _COMPLETED else None
        ),
        "scheduled_for": timestamps.text_or_none(found, "send_at"),
        "one_click_unsubscribe_url": found.one_click_unsubscribe_url or None,
    }
    address = found.address if is_letter else {}
    body |= {field: address.get(key) for field, key in _ADDRESS_FIELDS.items()}
    body |= _cost(found)
    if found.HasField("deliver_by"):
        body["deliver_by"] = timestamps.text(found.deliver_by)
    if is_letter:
        body["estimated_delivery"] = timestamps.text_or_none(found, "estimated_delivery_time")
    return body


def _cost(found: Notification) -> dict[str, Any]:
    if not found.HasField("cost"):
        return {"is_cost_data_ready": False, "cost_in_pounds": None, "cost_details": {}}
    cost = found.cost
    details: dict[str, Any] = {}
    if found.channel == Channel.CHANNEL_SMS:
        details = {
            "billable_sms_fragments": cost.sms_fragments,
            "international_rate_multiplier": float(cost.international_rate_multiplier),
            "sms_rate": cost.sms_rate_micropounds / _MICRO,
        }
    elif found.channel == Channel.CHANNEL_LETTER:
        details = {
            "billable_sheets_of_paper": cost.letter_sheets,
            "postage": enums.to_text(Postage, found.postage),
        }
    return {
        "is_cost_data_ready": True,
        "cost_in_pounds": cost.amount_micropounds / _MICRO,
        "cost_details": details,
    }

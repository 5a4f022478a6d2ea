"""What services are told of over HTTP, word by word (public-api.md §6)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from notify_common.enums import CallbackType, Channel
from notify_common.ids import child_id

from notify_notifications.domain.notification import Progress, State

_TOLD: Final = {State.DELIVERED, State.PERMANENT_FAILURE, State.TEMPORARY_FAILURE, State.EXPIRED}
SENT_BY_KEY: Final = "API"
_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class CallbackEvent:
    """Something that a service is told of."""

    id: str
    """The same for the same event, however often it is applied or told."""
    type: CallbackType
    service_id: str
    subject_id: str
    """The message or received text that it is about."""
    body: str = field(repr=False)
    """JSON, as it is sent; a returned letter's gets the words of its template when it is sent."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a service is told of one of its messages."""

    id: str
    service_id: str
    channel: Channel
    reference: str | None = field(repr=False)
    recipient: str = field(repr=False)
    state: State
    create_time: datetime
    sent_time: datetime | None
    update_time: datetime | None
    template_id: str
    template_version: int
    created_by_id: str | None
    """The member who sent it in the admin web app; None for what a key sent."""


def type_told(progress: Progress) -> CallbackType | None:
    """Return what a service is told of a message that has come to its state; None for nothing.

    See public-api.md §6.3 and §6.5.

    A message that no provider took fails without a word, unless it is since its own time was over.
    """
    if progress.channel is Channel.LETTER:
        return CallbackType.RETURNED_LETTER if progress.state is State.RETURNED_LETTER else None
    failed_there = progress.state is State.TECHNICAL_FAILURE and progress.sent_time is not None
    return CallbackType.DELIVERY_STATUS if failed_there or progress.state in _TOLD else None


def delivery_status(told: Told) -> CallbackEvent:
    """Return that a text or email has come to its end (public-api.md §6.3)."""
    facts = {
        "id": told.id,
        "reference": told.reference,
        "to": told.recipient,
        "status": told.state.value,
        "created_at": timestamp(told.create_time),
        "completed_at": _timestamp_or_none(told.update_time),
        "sent_at": _timestamp_or_none(told.sent_time),
        "notification_type": told.channel.value,
        "template_id": told.template_id,
        "template_version": told.template_version,
    }
    return _event(CallbackType.DELIVERY_STATUS, told.service_id, told.id, facts, told.state.value)


def returned_letter(told: Told) -> CallbackEvent:
    """Return that the post brought a letter back (public-api.md §6.5).

    Who sent it, and what its template or its PDF is called, is put in when it is told: `with_names`. There
    are no spreadsheets as yet.
    """
    facts = {
        "notification_id": told.id,
        "reference": told.reference,
        "date_sent": timestamp(told.create_time),
        "sent_by": told.created_by_id or SENT_BY_KEY,
        "template_name": None,
        "template_id": told.template_id,
        "template_version": told.template_version,
        "spreadsheet_file_name": None,
        "spreadsheet_row_number": None,
        "upload_letter_file_name": None,
    }
    return _event(CallbackType.RETURNED_LETTER, told.service_id, told.id, facts)


def sender_of(event: str) -> str | None:
    """Return the id of the member who sent a returned letter, from its event; None for what a key sent."""
    sent_by: str = json.loads(event)["sent_by"]
    return None if sent_by == SENT_BY_KEY else sent_by


def with_names(event: str, template_name: str | None, email_address: str | None) -> str:
    """Return what a service is told of a returned letter.

    Args:
        event: as `returned_letter` made it.
        template_name: None of a letter that came as a PDF, which has no words; of one that a member uploaded
            the reference is the file's name.
        email_address: of the member who sent it; None where a key did, or nobody knows whose it is.
    """
    facts = json.loads(event)
    by_member = facts["sent_by"] != SENT_BY_KEY
    facts["sent_by"] = email_address or SENT_BY_KEY
    if template_name is None:
        facts |= {"template_id": None, "template_version": None}
        if by_member:
            facts |= {"upload_letter_file_name": facts["reference"], "reference": None}
    else:
        facts["template_name"] = template_name
    return as_json(facts)


def inbound_sms(
    id: str,
    service_id: str,
    *,
    source_number: str,
    destination_number: str,
    message: str,
    date_received: datetime,
) -> CallbackEvent:
    """Return that a text was received (public-api.md §6.4).

    Args:
        source_number: of the person, in international digits without plus.
        destination_number: of the service.
        date_received: by the provider's clock.
    """
    facts = {
        "id": id,
        "source_number": source_number,
        "destination_number": destination_number,
        "message": message,
        "date_received": timestamp(date_received),
    }
    return _event(CallbackType.INBOUND_SMS, service_id, id, facts)


def complaint(told: Told, complaint_time: datetime) -> CallbackEvent:
    """Return that somebody complained of an email (public-api.md §6.6)."""
    complaint_date = timestamp(complaint_time)
    complaint_id = child_id(told.id, "complaint", complaint_date)
    facts = {
        "notification_id": told.id,
        "complaint_id": complaint_id,
        "reference": told.reference,
        "to": told.recipient,
        "complaint_date": complaint_date,
    }
    return _event(CallbackType.COMPLAINT, told.service_id, told.id, facts, complaint_id)


def timestamp(time: datetime) -> str:
    """Return a time as callbacks have it: UTC, with six decimals."""
    return time.astimezone(UTC).strftime(_FORMAT)


def as_json(facts: Mapping[str, object]) -> str:
    """Return a body: ASCII, in the order given (public-api.md §6.2)."""
    return json.dumps(facts)


def _timestamp_or_none(time: datetime | None) -> str | None:
    return None if time is None else timestamp(time)


def _event(
    type: CallbackType, service_id: str, subject_id: str, facts: Mapping[str, object], *more: str
) -> CallbackEvent:
    id = child_id(subject_id, "callback", type.value, *more)
    return CallbackEvent(id, type, service_id, subject_id, as_json(facts))

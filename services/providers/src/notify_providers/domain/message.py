"""Messages as they are handed over: ready to send, nothing left to render."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from notify_common.enums import Channel, KeyType, Lane, Postage
from notify_common.records import record

_SHORTEST_NUMBER = 8
"""Digits of a phone number with its country code; what is shorter is a short code."""


@record()
class SmsContent:
    """A text message. `phone_number` is digits with country code, no plus."""

    phone_number: str
    sender: str
    body: str
    international: bool = False
    phone_number_as_typed: str = ""


@record()
class EmailContent:
    """An email. `reply_to_address` and `unsubscribe_url` may be empty."""

    to_address: str
    from_name: str
    from_address: str
    subject: str
    plain_body: str
    html_body: str
    reply_to_address: str = ""
    unsubscribe_url: str = ""


@record()
class PrintContent:
    """A letter for the printer; its PDF lies in the blob store under `pdf_key`.

    `pdf_sha256` is hexadecimal; empty where it was not recorded.
    """

    pdf_key: str
    address_lines: tuple[str, ...]
    postage: Postage
    reference: str
    sheet_count: int
    pdf_sha256: str = ""


Content = SmsContent | EmailContent | PrintContent
_NAMES = {kind: [field.name for field in fields(kind)] for kind in (SmsContent, EmailContent, PrintContent)}


@record()
class NewDispatch:
    """A message handed over to this context.

    Attributes:
        id: the notification's, and the only key it is known by.
        retention_days: for which it is kept.
        deliver_by: after which no provider is called for it; None for never.
    """

    id: str
    service_id: str
    key_type: KeyType
    content: Content
    request_id: str
    traceparent: str
    lane: Lane = Lane.API
    retention_days: int = 7
    deliver_by: datetime | None = None

    @property
    def channel(self) -> Channel:
        """The channel that its content is for."""
        return channel_of(self.content)


@record()
class Message:
    """A message about to be handed to a provider.

    Attributes:
        repeat: the outcome of an earlier call for it is unknown, so that the provider may have it already.
        start_before: reading of the monotonic clock after which the call must not be begun any more, because
            another worker may by then have taken the message over, or because it would be delivered too late.
    """

    id: str
    service_id: str
    key_type: KeyType
    content: Content
    attempt: int
    repeat: bool
    start_before: float
    request_id: str
    traceparent: str

    @property
    def channel(self) -> Channel:
        """The channel that its content is for."""
        return channel_of(self.content)


def channel_of(content: Content) -> Channel:
    """Return the channel that content is for."""
    match content:
        case SmsContent():
            return Channel.SMS
        case EmailContent():
            return Channel.EMAIL
        case PrintContent():
            return Channel.LETTER


def recipient_of(content: Content) -> str:
    """Return who a message is for: number, email address, or the address lines joined by commas."""
    match content:
        case SmsContent():
            return content.phone_number
        case EmailContent():
            return content.to_address
        case PrintContent():
            return ", ".join(content.address_lines)


def content_to_json(content: Content) -> dict[str, Any]:
    """Return content as the object that is stored; `content_from_json` reads it."""
    return {name: getattr(content, name) for name in _NAMES[type(content)]}


def content_from_json(channel: Channel, stored: Mapping[str, Any]) -> Content:
    """Return the content that `content_to_json` made for a message of this channel."""
    if channel is Channel.SMS:
        return SmsContent(**stored)
    if channel is Channel.EMAIL:
        return EmailContent(**stored)
    lines, postage = tuple(stored["address_lines"]), Postage(stored["postage"])
    return PrintContent(**{**stored, "address_lines": lines, "postage": postage})


def plus_number(number: str) -> str:
    """Return a phone number as E.164 writes it, with a plus; a short code or a name stays as it is."""
    if not (number.isascii() and number.isdigit()) or len(number) < _SHORTEST_NUMBER:
        return number
    return "+44" + number[1:] if number.startswith("0") else "+" + number

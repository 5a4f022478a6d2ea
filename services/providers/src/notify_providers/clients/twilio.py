"""Twilio, a provider of text messages: its form interface, status callbacks and texts with a signature."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Final, Self
from urllib.parse import parse_qs, parse_qsl, urlencode

from notify_common.enums import Channel
from notify_common.http import HttpAnswer, HttpRequest
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from notify_providers.clients.base import (
    Adapter,
    BringsTexts,
    Callback,
    CallbackAnswer,
    ProviderSettings,
    ReadInbound,
    ReadReceipts,
    Rejected,
    SendsReceipts,
    Tools,
    error_answer,
)
from notify_providers.clients.credentials import forbidden
from notify_providers.clients.form import fields_of
from notify_providers.clients.http_provider import ACCEPTED, NO_ANSWER, HttpProviderClient, Verdict, by_status
from notify_providers.clients.json_object import members_of
from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.inbound import InboundSms, international, national
from notify_providers.domain.message import Message, SmsContent, plus_number
from notify_providers.domain.receipts import Kind, Receipt, message_id, word

_ID: Final = "notification_id"
_TAKEN: Final = CallbackAnswer(204)
_NO_REPLY: Final = CallbackAnswer(200, "text/xml", b"<Response/>")
"""The answer to a text: nothing is sent back."""
_MAX_FIELDS: Final = 200
_SID: Final = r"^AC[0-9a-fA-F]{32}$"

_SILENT: Final = ("accepted", "scheduled", "queued", "sending")
_KINDS: Final[Mapping[str, Kind]] = {
    "sent": Kind.PENDING,
    "delivered": Kind.DELIVERED,
    "read": Kind.DELIVERED,
    "undelivered": Kind.TEMPORARY_FAILURE,
    "failed": Kind.TECHNICAL_FAILURE,
    "canceled": Kind.TECHNICAL_FAILURE,
}
_FAILED: Final = ("undelivered", "failed")
_CODES: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("30001", "30003", "30008", "30009", "30017", "30022"), Kind.TEMPORARY_FAILURE),
    **dict.fromkeys(("21610", "21611", "21614", "30004", "30005", "30006", "30007"), Kind.PERMANENT_FAILURE),
    "30002": Kind.TECHNICAL_FAILURE,
}
"""What the code of a failure says of it: whether the recipient is out of reach, or can't be reached."""
_FINAL_CODES: Final = (21211, 21610, 21614)
"""No phone number; a recipient who wants no more; a number that takes no texts."""


class TwilioSettings(ProviderSettings):
    """What Twilio needs: `NOTIFY_PROVIDERS_TWILIO_…`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_TWILIO_")

    account_sid: Annotated[str, Field(pattern=_SID)] | None = None
    """The account; Twilio is used once this and its token are set."""
    auth_token: SecretStr | None = None
    """The account's token: calls go by it, and it signs callbacks."""
    older_auth_token: SecretStr | None = None
    """The token before a change, by which callbacks may still be signed."""
    messaging_service_sid: str | None = None
    """The messaging service that senders belong to, where there is one."""
    receipt_url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] | None = None
    """Where Twilio shall report to: the address of this platform's `/notifications/receipts/twilio` as Twilio
    sees it, which its signatures cover. Without it Twilio reports nothing."""
    inbound_url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] | None = None
    """Where Twilio shall bring the texts that people send: the address of this platform's
    `/notifications/inbound/twilio` as Twilio sees it. Without it none is taken."""
    url: Annotated[str, Field(pattern=r"^https?://")] = "https://api.twilio.com"
    """Where Twilio takes messages."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.account_sid is None) != (self.auth_token is None):
            raise ValueError("twilio_account_sid and twilio_auth_token should be set together")
        return self


class Twilio(Adapter[TwilioSettings], SendsReceipts[TwilioSettings], BringsTexts[TwilioSettings]):
    """Twilio. It knows no id of ours, so that it takes a text as often as it is given one."""

    name = "twilio"
    channel = Channel.SMS
    settings = TwilioSettings

    def client(self, settings: TwilioSettings, tools: Tools) -> HttpProviderClient | None:
        """See Adapter."""
        if settings.account_sid is None or settings.auth_token is None:
            return None
        return HttpProviderClient(tools.http, partial(_request, settings), _judge)

    def read_receipts(self, settings: TwilioSettings, callback: Callback) -> ReadReceipts:
        """See SendsReceipts; our id stands in the query, which the signature covers."""
        _require_signature(settings, callback, settings.receipt_url)
        fields = fields_of(callback.body) or {}
        status, reference = word(fields.get("MessageStatus")), word(fields.get("MessageSid"))
        if fields.get("AccountSid") != settings.account_sid or not status or not reference:
            raise Rejected(
                "no status of a message", error_answer(400, "AccountSid, MessageSid or MessageStatus")
            )
        id = message_id(word(parse_qs(callback.query).get(_ID, [""])[0]))
        if id is None:
            return ReadReceipts((), _TAKEN)
        code = word(fields.get("ErrorCode")) if status in _FAILED else ""
        receipt = Receipt(
            provider=self.name,
            dispatch_id=id,
            reference=reference,
            status=status,
            detail=code,
            kind=_CODES.get(code) or _KINDS.get(status, Kind.TECHNICAL_FAILURE),
            provider_time=None,
            silent=status in _SILENT,
        )
        return ReadReceipts([receipt], _TAKEN)

    def read_inbound(self, settings: TwilioSettings, callback: Callback) -> ReadInbound:
        """See BringsTexts; pictures that come with a text are left out."""
        _require_signature(settings, callback, settings.inbound_url)
        fields = fields_of(callback.body) or {}
        texts = [fields.get(name) for name in ("MessageSid", "From", "To", "Body")]
        reference, source, destination, content = texts
        if fields.get("AccountSid") != settings.account_sid or not reference or not source or not destination:
            raise Rejected("no text", error_answer(400, "AccountSid, MessageSid, From or To"))
        text = InboundSms(
            provider=self.name,
            reference=word(reference),
            source_number=international(source),
            destination_number=national(destination),
            content=content or "",
            provider_time=None,
        )
        return ReadInbound(text, _NO_REPLY)


def signature(token: str, url: str, body: bytes) -> str:
    """Return Twilio's signature of a form that it posts: of the URL and the fields in order, by HMAC-SHA1."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise Rejected("the form can't be read", error_answer(400, "The body should be a form")) from None
    text = url + "".join(name + value for name, value in sorted(set(pairs)))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def _require_signature(settings: TwilioSettings, callback: Callback, url: str | None) -> None:
    """Check that Twilio made a call to an address of ours, whose query the signature covers too."""
    given = callback.headers.get("x-twilio-signature", "").encode()
    tokens = [t.get_secret_value() for t in (settings.auth_token, settings.older_auth_token) if t]
    if not url or not tokens:
        raise Rejected("no callbacks are expected", forbidden())
    url += f"?{callback.query}" if callback.query else ""
    right = [hmac.compare_digest(given, signature(token, url, callback.body).encode()) for token in tokens]
    if not any(right):
        raise Rejected("wrong signature", forbidden())


def _request(settings: TwilioSettings, message: Message) -> HttpRequest:
    """Return a text for Twilio's form interface, with our id in the address that it reports to."""
    content = message.content
    if not isinstance(content, SmsContent) or not settings.account_sid or not settings.auth_token:
        raise TypeError("Twilio takes text messages only")
    fields = {
        "To": plus_number(content.phone_number),
        "From": plus_number(content.sender),
        "Body": content.body,
    }
    if settings.messaging_service_sid:
        fields["MessagingServiceSid"] = settings.messaging_service_sid
    if settings.receipt_url:
        fields["StatusCallback"] = f"{settings.receipt_url}?{_ID}={message.id}"
    pair = f"{settings.account_sid}:{settings.auth_token.get_secret_value()}"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
    }
    url = f"{settings.url.rstrip('/')}/2010-04-01/Accounts/{settings.account_sid}/Messages.json"
    return HttpRequest(url, headers, urlencode(fields).encode(), message.start_before)


def _judge(answer: HttpAnswer) -> Verdict:
    """Judge an answer: codes that are about the recipient are final, any other refusal may pass."""
    refused = by_status(answer)
    said = members_of(answer.body)
    if refused is None:
        return ACCEPTED if word(said.get("sid")) else NO_ANSWER
    code = said.get("code")
    if refused.outcome is not Outcome.RETRYABLE or type(code) is not int:
        return refused
    return Verdict(Outcome.REFUSED if code in _FINAL_CODES else Outcome.RETRYABLE, f"code_{code}"[:32])

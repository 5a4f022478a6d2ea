"""Firetext, a provider of text messages (pipeline.md §3.2, public-api.md §9.3 and §9.5)."""

import json
from functools import partial
from typing import Annotated, Final, Self
from urllib.parse import urlencode

from notify_common.enums import Channel
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from notify_providers.clients.base import (
    Adapter,
    Callback,
    InboundSettings,
    ReadInbound,
    ReadReceipts,
    Rejected,
    Tools,
    error_answer,
    json_answer,
)
from notify_providers.clients.credentials import credentials_of, require_inbound_sender, require_sender
from notify_providers.clients.form import fields_of
from notify_providers.clients.http import HttpAnswer, HttpRequest
from notify_providers.clients.http_provider import ACCEPTED, NO_ANSWER, HttpProviderClient, Verdict, by_status
from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.inbound import InboundSms, international, national
from notify_providers.domain.message import Message, SmsContent
from notify_providers.domain.receipts import Kind, Receipt, london_time, message_id, utc_time, word

_KINDS: Final = {"0": Kind.DELIVERED, "1": Kind.PERMANENT_FAILURE, "2": Kind.PENDING}
_FAILED: Final = "1"
_CODES: Final = {
    **dict.fromkeys(("000", "102", "103", "104", "302", "900"), Kind.TEMPORARY_FAILURE),
    **dict.fromkeys(("101", "201", "301", "401"), Kind.PERMANENT_FAILURE),
}
_TAKEN: Final = json_answer({"result": "success"})
_INBOUND: Final = ("source", "destination", "message", "time")


class FiretextSettings(InboundSettings):
    """What Firetext needs: `NOTIFY_PROVIDERS_FIRETEXT_…`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_FIRETEXT_")

    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where Firetext takes messages; it is used once this and its key are set."""
    api_key: SecretStr | None = None
    """The key."""
    international_api_key: SecretStr | None = None
    """The key for numbers of other countries; without it they go by the other one."""
    receipt_url: SecretStr | None = None
    """Where Firetext shall report to, else its own settings decide. Receipts may have its credentials."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.url is None) != (self.api_key is None):
            raise ValueError("firetext_url and firetext_api_key should be set together")
        return self


class Firetext(Adapter[FiretextSettings]):
    """Firetext. What it does with a reference that it knows is not documented, so that a person decides."""

    name = "firetext"
    channel = Channel.SMS
    settings = FiretextSettings

    def client(self, settings: FiretextSettings, tools: Tools) -> HttpProviderClient | None:
        """See Adapter."""
        if settings.url is None or settings.api_key is None:
            return None
        return HttpProviderClient(tools.http, partial(_request, settings), _judge)

    def read_receipts(self, settings: FiretextSettings, callback: Callback) -> ReadReceipts:
        """See Adapter; the form is that of public-api.md §9.3."""
        own = credentials_of(settings.receipt_url.get_secret_value()) if settings.receipt_url else None
        require_sender(settings, callback, own)
        fields = fields_of(callback.body) or {}
        status, reference = word(fields.get("status")), word(fields.get("reference"))
        missing = [name for name, value in (("status", status), ("reference", reference)) if not value]
        if missing:
            sentences = [f"Firetext callback failed: {name} missing" for name in missing]
            raise Rejected(f"{' and '.join(missing)} missing", error_answer(400, sentences))
        dispatch_id = message_id(reference)
        if dispatch_id is None:
            return ReadReceipts((), _TAKEN)
        code = word(fields.get("code")) if status == _FAILED else ""
        receipt = Receipt(
            provider=self.name,
            dispatch_id=dispatch_id,
            reference=dispatch_id,
            status=status,
            detail=code,
            kind=_CODES.get(code) or _KINDS.get(status, Kind.TECHNICAL_FAILURE),
            provider_time=london_time(fields.get("time")),
            kind_after_pending=(Kind.TEMPORARY_FAILURE if status == _FAILED and code not in _CODES else None),
        )
        return ReadReceipts([receipt], _TAKEN)

    def read_inbound(self, settings: FiretextSettings, callback: Callback) -> ReadInbound:
        """See Adapter; the form is that of public-api.md §9.5."""
        require_inbound_sender(settings, callback)
        fields = fields_of(callback.body) or {}
        missing = [name for name in _INBOUND if name not in fields]
        if missing:
            raise Rejected(
                f"{' and '.join(missing)} missing",
                error_answer(400, f"Inbound text failed: {' and '.join(missing)} missing"),
            )
        text = InboundSms(
            provider=self.name,
            reference="",
            source_number=international(fields["source"]),
            destination_number=national(fields["destination"]),
            content=fields["message"],
            provider_time=utc_time(fields["time"]),
        )
        return ReadInbound(text, json_answer({"status": "ok"}))


def _request(settings: FiretextSettings, message: Message) -> HttpRequest:
    """Return a text for Firetext's form interface, with our id as its `reference`."""
    content = message.content
    if not isinstance(content, SmsContent) or settings.url is None or settings.api_key is None:
        raise TypeError("Firetext takes text messages only")
    key = settings.international_api_key if content.international else None
    fields = {
        "apiKey": (key or settings.api_key).get_secret_value(),
        "from": content.sender,
        "to": content.phone_number,
        "message": content.body,
        "reference": message.id,
    }
    if settings.receipt_url:
        fields["receipt"] = settings.receipt_url.get_secret_value()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return HttpRequest(settings.url, headers, urlencode(fields).encode(), message.start_before)


def _judge(answer: HttpAnswer) -> Verdict:
    """Judge an answer: `code` 0 is a yes, any other number a no (pipeline.md §3.2)."""
    refused = by_status(answer)
    if refused:
        return refused
    try:
        code = int(json.loads(answer.body)["code"])
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return NO_ANSWER
    return Verdict(Outcome.RETRYABLE, f"code_{code}"[:32]) if code else ACCEPTED

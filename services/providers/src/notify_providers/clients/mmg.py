"""MMG, a provider of text messages (pipeline.md §3.1, public-api.md §9.2)."""

import json
import re
import sys
from functools import partial
from typing import Annotated, Any, Final, Self
from urllib.parse import unquote_plus

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
from notify_providers.clients.http import HttpAnswer, HttpRequest
from notify_providers.clients.http_provider import ACCEPTED, NO_ANSWER, HttpProviderClient, Verdict, by_status
from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.inbound import InboundSms, international, national
from notify_providers.domain.message import Message, SmsContent
from notify_providers.domain.receipts import Kind, Receipt, london_time, message_id, utc_time, word

_KINDS: Final = {
    "2": Kind.PERMANENT_FAILURE,
    "3": Kind.DELIVERED,
    "4": Kind.TEMPORARY_FAILURE,
    "5": Kind.PERMANENT_FAILURE,
}
_DUPLICATE_ID: Final = ("5", "23")
_ESCAPE: Final = re.compile(r"""\\(?:[nrt\\'"]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})""")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
_INBOUND: Final = ("MSISDN", "Number", "Message")
_TAKEN: Final = json_answer({"result": "success"})


class MmgSettings(InboundSettings):
    """What MMG needs: `NOTIFY_PROVIDERS_MMG_…`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_MMG_")

    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where MMG takes messages; it is used once this and its key are set."""
    api_key: SecretStr | None = None
    """The key, as it goes behind `Basic`."""
    receipt_url: SecretStr | None = None
    """Where MMG shall report to, else MMG's own settings decide. Receipts may have its credentials."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.url is None) != (self.api_key is None):
            raise ValueError("mmg_url and mmg_api_key should be set together")
        return self


class Mmg(Adapter[MmgSettings]):
    """MMG. It knows a "duplicate id" failure without saying when it is raised, so that a person decides."""

    name = "mmg"
    channel = Channel.SMS
    settings = MmgSettings

    def client(self, settings: MmgSettings, tools: Tools) -> HttpProviderClient | None:
        """See Adapter."""
        if settings.url is None or settings.api_key is None:
            return None
        return HttpProviderClient(tools.http, partial(_request, settings), _judge)

    def read_receipts(self, settings: MmgSettings, callback: Callback) -> ReadReceipts:
        """See Adapter. The content type decides nothing (public-api.md §9.2)."""
        require_sender(settings, callback, credentials_of(_receipt_url(settings)))
        fields = _fields(callback.body)
        status, reference = word(fields.get("status")), word(fields.get("CID"))
        missing = [name for name, value in (("status", status), ("CID", reference)) if not value]
        if missing:
            sentences = [f"MMG callback failed: {name} missing" for name in missing]
            raise Rejected(f"{' and '.join(missing)} missing", error_answer(400, sentences))
        dispatch_id = message_id(reference)
        if dispatch_id is None:
            return ReadReceipts((), _TAKEN)
        detail = word(fields.get("substatus"))
        receipt = Receipt(
            provider=self.name,
            dispatch_id=dispatch_id,
            reference=dispatch_id,
            status=status,
            detail=detail,
            kind=_KINDS.get(status, Kind.TECHNICAL_FAILURE),
            provider_time=london_time(fields.get("deliverytime")),
            second_copy=(status, detail) == _DUPLICATE_ID,
        )
        return ReadReceipts([receipt], _TAKEN)

    def read_inbound(self, settings: MmgSettings, callback: Callback) -> ReadInbound:
        """See Adapter. The body is read before the credentials are looked at (public-api.md §9.4)."""
        fields = _fields(callback.body)
        require_inbound_sender(settings, callback)
        missing = [name for name in _INBOUND if not isinstance(fields.get(name), str)]
        if missing:
            raise Rejected(
                f"{' and '.join(missing)} missing",
                error_answer(400, f"MMG inbound text failed: {' and '.join(missing)} missing"),
            )
        received = fields.get("DateRecieved")
        text = InboundSms(
            provider=self.name,
            reference=word(fields.get("ID")),
            source_number=international(fields["MSISDN"]),
            destination_number=national(fields["Number"]),
            content=_decoded(fields["Message"]),
            provider_time=utc_time(_decoded(received)) if isinstance(received, str) else None,
        )
        return ReadInbound(text, json_answer({"status": "ok"}))


def _request(settings: MmgSettings, message: Message) -> HttpRequest:
    """Return a text for MMG's JSON interface, with our id as its `cid`."""
    content = message.content
    if not isinstance(content, SmsContent) or settings.url is None or settings.api_key is None:
        raise TypeError("MMG takes text messages only")
    fields: dict[str, object] = {
        "reqType": "BULK",
        "MSISDN": content.phone_number,
        "msg": content.body,
        "sender": content.sender,
        "cid": message.id,
        "multi": True,
    }
    if settings.receipt_url:
        fields["delurl"] = settings.receipt_url.get_secret_value()
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Basic {settings.api_key.get_secret_value()}",
    }
    return HttpRequest(settings.url, headers, json.dumps(fields).encode(), message.start_before)


def _judge(answer: HttpAnswer) -> Verdict:
    """Judge an answer: any JSON is a yes (pipeline.md §3.1), unless it names an error."""
    refused = by_status(answer)
    if refused:
        return refused
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return NO_ANSWER
    if isinstance(said, dict) and said.get("Error"):
        return Verdict(Outcome.RETRYABLE, "provider_error")
    return ACCEPTED


def _decoded(text: str) -> str:
    """Return a text as it was written: percent-decoded, `+` for spaces, escapes such as `\\n` or `\\u00e9`
    resolved.

    An escape that means nothing stays as it is.
    """
    written = _ESCAPE.sub(_resolved, unquote_plus(text, errors="replace"))
    # halves of characters that were escaped one by one become one, others unreadable
    return written.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def _resolved(escape: re.Match[str]) -> str:
    simple = _ESCAPES.get(escape[0][1])
    if simple is not None:
        return simple
    number = int(escape[0][2:], 16)
    return chr(number) if number <= sys.maxunicode else escape[0]


def _fields(body: bytes) -> dict[str, Any]:
    """Return what a body says; one that is no JSON object has no fields."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejected("the body is not JSON", error_answer(400, "The body should be JSON")) from None
    return fields if isinstance(fields, dict) else {}


def _receipt_url(settings: MmgSettings) -> str:
    return settings.receipt_url.get_secret_value() if settings.receipt_url else ""

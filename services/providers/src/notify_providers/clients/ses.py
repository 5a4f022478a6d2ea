"""Amazon SES, a provider of emails (pipeline.md §3.4): version 2 of its interface, receipts through SNS."""

import base64
import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from notify_common.enums import Channel
from notify_common.http import HttpAnswer, HttpRequest
from pydantic_settings import SettingsConfigDict

from notify_providers.clients.aws import Signer
from notify_providers.clients.base import Adapter, Callback, ReadReceipts, SendsReceipts, Tools
from notify_providers.clients.http_provider import ACCEPTED, NO_ANSWER, HttpProviderClient, Verdict, by_status
from notify_providers.clients.json_object import members_of
from notify_providers.clients.mime import BadAddress, email_bytes, wire_address
from notify_providers.clients.sns import TAKEN, Sns
from notify_providers.clients.sqs import SqsSettings
from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.message import EmailContent, Message
from notify_providers.domain.receipts import Kind, Receipt, message_id, utc_time, word
from notify_providers.domain.suppression import Cause

_ID_TAG: Final = "notification_id"
_PATH: Final = "/v2/email/outbound-emails"
_FINAL_ERRORS: Final = ("BadRequestException", "InvalidParameterValue")
_BOUNCE: Final = "Bounce"
_COMPLAINT: Final = "Complaint"
_PERMANENT: Final = "Permanent"
_NO_COMPLAINT: Final = "not-spam"
_DETAILS: Final[Mapping[str, tuple[str, str]]] = {
    "Delivery": ("delivery", "smtpResponse"),
    _BOUNCE: ("bounce", "bounceType"),
    _COMPLAINT: ("complaint", "complaintFeedbackType"),
}
"""The events that say something: where what they say stands, and which word of it is kept."""


class SesSettings(SqsSettings):
    """What SES needs: `NOTIFY_PROVIDERS_SES_…`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_SES_")

    configuration_set: str | None = None
    """The configuration set, which says where events go; without it the sending identity's own."""


class Ses(Adapter[SesSettings], SendsReceipts[SesSettings]):
    """Amazon SES. It takes a message as often as it is given one, so that a person decides."""

    name = "ses"
    channel = Channel.EMAIL
    settings = SesSettings

    def __init__(self) -> None:
        self._sns = Sns()

    def client(self, settings: SesSettings, tools: Tools) -> HttpProviderClient | None:
        """See Adapter."""
        if settings.region is None:
            return None
        url = settings.url or f"https://email.{settings.region}.amazonaws.com"
        signer = Signer(settings, settings.region, "ses")
        request = partial(_request, settings, url.rstrip("/") + _PATH, signer)
        return HttpProviderClient(tools.http, request, _judge)

    def read_receipts(self, settings: SesSettings, callback: Callback) -> ReadReceipts:
        """See SendsReceipts; both kinds of events are read, and those that say nothing new passed over."""
        event = self._sns.read(settings, callback)
        if event is None:
            return ReadReceipts((), TAKEN, about_none=True)
        kind = word(event.get("eventType") or event.get("notificationType"))
        if kind not in _DETAILS:
            return ReadReceipts((), TAKEN, about_none=True)
        receipt = _receipt(self.name, kind, event)
        return ReadReceipts([receipt] if receipt else [], TAKEN)


def _receipt(provider: str, status: str, event: Mapping[str, Any]) -> Receipt | None:
    """Return what an event says of a message of ours, or None if it is of no message of ours."""
    mail, about = _object(event.get("mail")), _object(event.get(_DETAILS[status][0]))
    id = _id_of(mail)
    if id is None:
        return None
    detail = word(about.get(_DETAILS[status][1]))
    kind = Kind.DELIVERED
    if status == _BOUNCE:
        kind = Kind.PERMANENT_FAILURE if detail == _PERMANENT else Kind.TEMPORARY_FAILURE
    elif status == _COMPLAINT:
        kind = Kind.COMPLAINT
    return Receipt(
        provider=provider,
        dispatch_id=id,
        reference=word(mail.get("messageId")) or id,
        status=status,
        detail=detail,
        kind=kind,
        provider_time=utc_time(about.get("timestamp")),
        suppression=_suppression(status, detail),
    )


def _suppression(status: str, detail: str) -> Cause | None:
    if status == _COMPLAINT and detail != _NO_COMPLAINT:
        return Cause.COMPLAINT
    return Cause.HARD_BOUNCE if (status, detail) == (_BOUNCE, _PERMANENT) else None


def _id_of(mail: Mapping[str, Any]) -> str | None:
    """Return our id: the tag of a message, or, where an event holds no tags, what its Message-ID was here."""
    tags = _object(mail.get("tags")).get(_ID_TAG)
    if isinstance(tags, list) and tags:
        return message_id(word(tags[0]))
    headers = mail.get("headers")
    for header in headers if isinstance(headers, list) else ():
        if str(_object(header).get("name")).lower() == "message-id":
            return message_id(word(_object(header).get("value")).lstrip("<").partition("@")[0])
    return None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _request(settings: SesSettings, url: str, signer: Signer, message: Message) -> HttpRequest | Verdict:
    """Return an email as raw MIME, with our id as a tag, by which its receipts are known."""
    content = message.content
    if not isinstance(content, EmailContent):
        raise TypeError("SES takes emails only")
    try:
        sender, recipient = wire_address(content.from_address), wire_address(content.to_address)
        mime = email_bytes(message, content)
    except BadAddress:
        return Verdict(Outcome.REFUSED, "address_invalid")
    if not (sender + recipient).isascii():
        return Verdict(Outcome.REFUSED, "needs_smtputf8")
    asked: dict[str, Any] = {
        "Destination": {"ToAddresses": [recipient]},
        "Content": {"Raw": {"Data": base64.b64encode(mime).decode()}},
        "EmailTags": [{"Name": _ID_TAG, "Value": message.id}],
    }
    if settings.configuration_set:
        asked["ConfigurationSetName"] = settings.configuration_set
    headers = {"Content-Type": "application/json"}
    body = json.dumps(asked).encode()
    return signer.sign(HttpRequest(url, headers, body, message.start_before, wants_headers=True))


def _judge(answer: HttpAnswer) -> Verdict:
    """Judge an answer: a bad parameter is final, any other refusal may pass (pipeline.md §3.7)."""
    refused = by_status(answer)
    if refused:
        error = answer.headers.get("x-amzn-errortype", "").partition(":")[0]
        if refused.outcome is Outcome.RETRYABLE and error:
            outcome = Outcome.REFUSED if error in _FINAL_ERRORS else Outcome.RETRYABLE
            return Verdict(outcome, word(error))
        return refused
    return ACCEPTED if members_of(answer.body).get("MessageId") else NO_ANSWER

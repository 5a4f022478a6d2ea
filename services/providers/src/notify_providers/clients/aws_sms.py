"""AWS End User Messaging SMS, a provider of text messages: version 2 of its interface, receipts by SNS."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from notify_common.enums import Channel
from notify_common.http import HttpAnswer, HttpRequest
from pydantic_settings import SettingsConfigDict

from notify_providers.clients.aws import Signer
from notify_providers.clients.base import Adapter, Callback, ReadReceipts, SendsReceipts, Tools
from notify_providers.clients.http_provider import ACCEPTED, NO_ANSWER, HttpProviderClient, Verdict, by_status
from notify_providers.clients.json_object import members_of
from notify_providers.clients.sns import TAKEN, Sns
from notify_providers.clients.sqs import SqsSettings
from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.message import Message, SmsContent, plus_number
from notify_providers.domain.receipts import Kind, Receipt, message_id, word

_ID: Final = "notification_id"
_TARGET: Final = "PinpointSMSVoiceV2.SendTextMessage"
_TAKEN_STATUSES: Final = ("TEXT_QUEUED",)
_KINDS: Final[Mapping[str, Kind]] = {
    "TEXT_PENDING": Kind.PENDING,
    "TEXT_SENT": Kind.PENDING,
    "TEXT_SUCCESSFUL": Kind.PENDING,
    "TEXT_DELIVERED": Kind.DELIVERED,
    **dict.fromkeys(
        ("TEXT_CARRIER_UNREACHABLE", "TEXT_TTL_EXPIRED", "TEXT_UNKNOWN", "TEXT_UNREACHABLE"),
        Kind.TEMPORARY_FAILURE,
    ),
    **dict.fromkeys(
        (
            "TEXT_BLOCKED",
            "TEXT_CARRIER_BLOCKED",
            "TEXT_INVALID",
            "TEXT_INVALID_MESSAGE",
            "TEXT_PROTECT_BLOCKED",
            "TEXT_SPAM",
        ),
        Kind.PERMANENT_FAILURE,
    ),
}
_OPTED_OUT: Final = "DESTINATION_PHONE_NUMBER_OPTED_OUT"
_RECIPIENT: Final = "DestinationPhoneNumber"


class AwsSmsSettings(SqsSettings):
    """What AWS End User Messaging SMS needs: `NOTIFY_PROVIDERS_AWS_SMS_…`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_AWS_SMS_")

    configuration_set: str | None = None
    """The configuration set, which says where events go; without it the account's own."""


class AwsSms(Adapter[AwsSmsSettings], SendsReceipts[AwsSmsSettings]):
    """AWS End User Messaging SMS. It takes a text as often as it is given one, so that a person decides."""

    name = "aws-sms"
    channel = Channel.SMS
    settings = AwsSmsSettings

    def __init__(self) -> None:
        self._sns = Sns()

    def client(self, settings: AwsSmsSettings, tools: Tools) -> HttpProviderClient | None:
        """See Adapter."""
        if settings.region is None:
            return None
        url = settings.url or f"https://sms-voice.{settings.region}.amazonaws.com/"
        signer = Signer(settings, settings.region, "sms-voice")
        return HttpProviderClient(tools.http, partial(_request, settings, url, signer), _judge)

    def read_receipts(self, settings: AwsSmsSettings, callback: Callback) -> ReadReceipts:
        """See SendsReceipts."""
        event = self._sns.read(settings, callback)
        if event is None:
            return ReadReceipts((), TAKEN, about_none=True)
        context = event.get("context")
        id = message_id(word(context.get(_ID))) if isinstance(context, dict) else None
        if id is None:
            return ReadReceipts((), TAKEN)
        status = word(event.get("eventType"))
        # Where a network tells no more than that it took a text, that is the last word on it.
        last = status == "TEXT_SUCCESSFUL" and event.get("isFinal") is True
        receipt = Receipt(
            provider=self.name,
            dispatch_id=id,
            reference=word(event.get("messageId")) or id,
            status=status,
            detail=word(event.get("messageStatus")),
            kind=Kind.DELIVERED if last else _KINDS.get(status, Kind.TECHNICAL_FAILURE),
            provider_time=_time(event.get("eventTimestamp")),
            silent=status in _TAKEN_STATUSES,
        )
        return ReadReceipts([receipt], TAKEN)


def _request(settings: AwsSmsSettings, url: str, signer: Signer, message: Message) -> HttpRequest:
    """Return a text for `SendTextMessage`, with our id in its context, by which its receipts are known."""
    content = message.content
    if not isinstance(content, SmsContent):
        raise TypeError("AWS SMS takes text messages only")
    asked: dict[str, Any] = {
        "DestinationPhoneNumber": plus_number(content.phone_number),
        "OriginationIdentity": plus_number(content.sender),
        "MessageBody": content.body,
        "MessageType": "TRANSACTIONAL",
        "Context": {_ID: message.id},
    }
    if settings.configuration_set:
        asked["ConfigurationSetName"] = settings.configuration_set
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": _TARGET}
    return signer.sign(HttpRequest(url, headers, json.dumps(asked).encode(), message.start_before))


def _judge(answer: HttpAnswer) -> Verdict:
    """Judge an answer: what is wrong with the recipient is final, any other refusal may pass."""
    refused = by_status(answer)
    said = members_of(answer.body)
    if refused is None:
        return ACCEPTED if word(said.get("MessageId")) else NO_ANSWER
    error = word(said.get("__type")).rpartition("#")[2]
    if refused.outcome is not Outcome.RETRYABLE or not error:
        return refused
    fields = said.get("Fields")
    names = [f.get("Name") for f in fields if isinstance(f, dict)] if isinstance(fields, list) else []
    final = said.get("Reason") == _OPTED_OUT or (error == "ValidationException" and _RECIPIENT in names)
    return Verdict(Outcome.REFUSED if final else Outcome.RETRYABLE, error)


def _time(milliseconds: object) -> datetime | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None

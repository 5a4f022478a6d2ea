"""Providers that take each text in one HTTP request with a key, and report by HTTP with our id."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Self, TypeVar

from notify_common.enums import Channel
from notify_common.http import HttpAnswer, HttpRequest
from pydantic import Field, SecretStr, model_validator

from notify_providers.clients.base import (
    Adapter,
    BringsTexts,
    Callback,
    InboundSettings,
    ReadInbound,
    ReadReceipts,
    Rejected,
    SendsReceipts,
    Tools,
    error_answer,
    json_answer,
)
from notify_providers.clients.credentials import credentials_of, require_inbound_sender, require_sender
from notify_providers.clients.http_provider import HttpProviderClient, Verdict, by_status
from notify_providers.domain.inbound import InboundSms
from notify_providers.domain.message import Message, SmsContent
from notify_providers.domain.receipts import Receipt, message_id, word

Fields = Mapping[str, Any]
"""What the body of a callback says, by the provider's names."""

_RECORDED: Final = json_answer({"result": "success"})
_KEPT: Final = json_answer({"status": "ok"})


class TextApiSettings(InboundSettings):
    """What such a provider needs; a subclass gives the prefix of the variables."""

    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where it takes messages; it is used once this and its key are set."""
    api_key: SecretStr | None = None
    """The key."""
    receipt_url: SecretStr | None = None
    """Where it shall report to, else its own settings decide. Receipts may have its credentials."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.url is None) != (self.api_key is None):
            name = self.model_config["env_prefix"].removeprefix("NOTIFY_PROVIDERS_").lower()
            raise ValueError(f"{name}url and {name}api_key should be set together")
        return self


T = TypeVar("T", bound=TextApiSettings)


class TextApi(Adapter[T], SendsReceipts[T], BringsTexts[T]):
    """What is the same of all these providers; a subclass says how it words things."""

    channel = Channel.SMS
    receipt_names: tuple[str, str]
    """Names of the fields of a receipt that hold its status and our id."""
    receipt_failed: str
    """Begins the sentence about a field that a receipt lacks."""
    inbound_names: Sequence[str]
    """Names of the fields that bring a text."""
    inbound_failed: str
    """Begins the sentence about fields that a text lacks."""

    @abstractmethod
    def request(
        self, settings: T, key: str, receipt_url: str, message_id: str, text: SmsContent
    ) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body that hand over a text with our id; `receipt_url` may be empty."""

    @abstractmethod
    def judge(self, body: bytes) -> Verdict:
        """Say what an answer of status 2xx means."""

    @abstractmethod
    def fields_of(self, body: bytes) -> Fields:
        """Read the body of a callback. Raises Rejected."""

    @abstractmethod
    def receipt(self, fields: Fields, status: str, dispatch_id: str) -> Receipt:
        """Return the receipt that fields hold."""

    @abstractmethod
    def inbound(self, fields: Fields) -> InboundSms:
        """Return the text that fields hold."""

    def client(self, settings: T, tools: Tools) -> HttpProviderClient | None:
        """See Adapter."""
        if settings.url is None or settings.api_key is None:
            return None
        key = settings.api_key.get_secret_value()
        return HttpProviderClient(
            tools.http, partial(self._request, settings, settings.url, key), self._judge
        )

    def read_receipts(self, settings: T, callback: Callback) -> ReadReceipts:
        """See SendsReceipts. The content type of the body decides nothing."""
        require_sender(settings, callback, credentials_of(_plain(settings.receipt_url)))
        fields = self.fields_of(callback.body)
        status, reference = (word(fields.get(name)) for name in self.receipt_names)
        missing = _missing(self.receipt_names, (status, reference))
        if missing:
            sentences = [f"{self.receipt_failed}: {name} missing" for name in missing]
            raise Rejected(f"{' and '.join(missing)} missing", error_answer(400, sentences))
        dispatch_id = message_id(reference)
        if dispatch_id is None:
            return ReadReceipts((), _RECORDED)
        return ReadReceipts([self.receipt(fields, status, dispatch_id)], _RECORDED)

    def read_inbound(self, settings: T, callback: Callback) -> ReadInbound:
        """See BringsTexts. The body is read before the credentials are looked at (public-api.md §9.4)."""
        fields = self.fields_of(callback.body)
        require_inbound_sender(settings, callback)
        there = [isinstance(fields.get(name), str) for name in self.inbound_names]
        missing = " and ".join(_missing(self.inbound_names, there))
        if missing:
            sentence = f"{self.inbound_failed}: {missing} missing"
            raise Rejected(f"{missing} missing", error_answer(400, sentence))
        return ReadInbound(self.inbound(fields), _KEPT)

    def _request(self, settings: T, url: str, key: str, message: Message) -> HttpRequest:
        if not isinstance(message.content, SmsContent):
            raise TypeError(f"{self.name} takes text messages only")
        receipt_url = _plain(settings.receipt_url)
        headers, body = self.request(settings, key, receipt_url, message.id, message.content)
        return HttpRequest(url, headers, body, message.start_before)

    def _judge(self, answer: HttpAnswer) -> Verdict:
        return by_status(answer) or self.judge(answer.body)


def _missing(names: Sequence[str], found: Sequence[object]) -> list[str]:
    return [name for name, value in zip(names, found, strict=True) if not value]


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""

"""What a provider is to the rest of this context: one module of `clients`, listed in `clients.registry`.

`docs/new-provider.md` shows how to add one.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from notify_common.enums import Channel
from notify_common.http import HttpCaller
from notify_common.settings import EnvironmentSettings
from pydantic import IPvAnyNetwork, SecretStr

from notify_providers.domain.dispatch import CallResult
from notify_providers.domain.inbound import InboundSms
from notify_providers.domain.message import Message
from notify_providers.domain.print_drop import Drop
from notify_providers.domain.receipts import Receipt
from notify_providers.domain.routing import Provider, UnknownOutcomeRule
from notify_providers.domain.sandbox import Script

Report = Callable[[CallResult], None]
"""Takes the result of one call; may be called from any thread."""

KeepInSandbox = Callable[[str, Sequence[tuple[Message, Script]]], bool]
"""Keeps messages that the named sandbox takes and queues their receipts, in one transaction of its own.

Returns False if nobody knows whether that transaction was committed.
"""


class ProviderSettings(EnvironmentSettings):
    """Settings of one provider: variables `NOTIFY_PROVIDERS_<PROVIDER>_<NAME>`, secrets also by file."""


class CallbackSettings(ProviderSettings):
    """Settings by which a provider's calls to us are known. Without any of them anybody's are believed."""

    receipt_credentials: SecretStr | None = None
    """Basic credentials that receipts need: one of these `user:password`, separated by spaces."""
    receipt_networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks that receipts come from, as a JSON list such as `["192.0.2.0/24"]`."""


class InboundSettings(CallbackSettings):
    """Settings of a provider that also brings the texts that people send to numbers of ours."""

    inbound_credentials: SecretStr | None = None
    """Basic credentials that such calls need: one of these `user:password`, separated by spaces. Without them
    none is taken."""


class ProviderClient(Protocol):
    """Hands messages to one provider."""

    def send(self, messages: Sequence[Message], report: Report) -> None:
        """Begin a call for each message and return.

        Every message is reported on exactly once, within the provider's time-out, whatever happens: refusals,
        time-outs and broken connections are results, not exceptions. `unknown` is reported once a byte of a
        request was sent and neither a yes nor a no came back. No call begins after its `start_before`; such a
        message is reported as retryable with the reason `not_started`.
        """

    def close(self) -> None:
        """End its own connections and threads. No call is under way any more."""


class Secrets(Protocol):
    """Secrets that are changed here, and must outlive the process that changes them."""

    def read(self, provider: str, name: str) -> str | None:
        """Return the secret that counts; None if it was never changed here."""

    def begin_change(self, provider: str, name: str, days: float, make: Callable[[], str]) -> str | None:
        """Return the next secret, which is kept already, or None if it is not time or somebody else is at it.

        A change that was begun and not ended gives the same next secret again, a minute later. One that was
        never changed is old enough.
        """

    def end_change(self, provider: str, name: str, value: str) -> None:
        """Let a secret count from here on."""


class PrintDrops(Protocol):
    """Which letters travel to a printer in which file: kept, so that no letter is ever in two."""

    def find(self, dispatch_ids: Sequence[str]) -> list[Drop]:
        """Return the drops that any of these letters are in."""

    def plan(self, drop: Drop) -> bool:
        """Keep a new drop; False, and nothing is kept, where one of its letters is in another."""

    def file_stands(self, drop_id: str) -> bool:
        """Note that its file stands, before its manifest is put; False where it was dissolved or is done."""

    def done(self, drop_id: str) -> None:
        """Note that its manifest stands."""

    def dissolve(self, drop_id: str) -> bool:
        """Let its letters be in no drop; False where its file stands, so that the printer may have them."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What clients are made from.

    Attributes:
        http: makes HTTP calls for all of them.
        keep_in_sandbox: the far end that the sandbox plays.
        call_seconds: longest time for one call.
        print_drops: which letters travel together.
        secrets: those that are changed here; None where there is no key to keep them by.
    """

    http: HttpCaller
    keep_in_sandbox: KeepInSandbox
    call_seconds: float
    print_drops: PrintDrops
    secrets: Secrets | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """An HTTP request by which a provider reports, as it came in.

    Attributes:
        headers: by name in lower case, `content-type` among them.
        query: without the question mark.
        client_address: IP address that it came from; empty if that is not known.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    client_address: str = ""


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """The HTTP answer that a provider expects."""

    status: int
    content_type: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadReceipts:
    """What a callback reports, and how it is answered once that is recorded.

    Attributes:
        about_none: whether it is a call that concerns no message, as that by which a subscription begins.
    """

    receipts: Sequence[Receipt]
    answer: CallbackAnswer
    about_none: bool = False


@dataclass(frozen=True, slots=True)
class ReadInbound:
    """The text that a callback brings, and how it is answered once that is kept."""

    text: InboundSms
    answer: CallbackAnswer


class Rejected(Exception):
    """A callback that can't be used, or that is not from the provider.

    Attributes:
        answer: what its sender is told.
    """

    def __init__(self, reason: str, answer: CallbackAnswer) -> None:
        """Take the `reason`, which says why and holds nothing of the callback."""
        super().__init__(reason)
        self.answer = answer


S = TypeVar("S", bound=ProviderSettings)


class Adapter(ABC, Generic[S]):
    """A provider of messages: its name, its settings and how to hand over.

    One that also calls us is `SendsReceipts`, `BringsTexts` or both.
    """

    name: str
    """Its name in settings, rows and metrics."""
    channel: Channel
    """What it carries."""
    settings: type[S]
    """Its settings."""
    supports_international: bool = True
    """Whether it takes numbers of other countries."""
    priority: int = 100
    """Its first weight among the providers of the channel, 0 to 100; then an operator's."""
    unknown_outcome_rule: UnknownOutcomeRule = UnknownOutcomeRule.HOLD
    """Its first rule for messages that it may have; then an operator's. `retry` if it takes an id once."""
    times_calls: bool = True
    """Whether the time from a hand-over to its answer is the provider's; not so where messages wait for a
    connection in its client."""
    unknown_outcome_wait: int = 300
    """Seconds, at first, for which a receipt is waited for before that rule applies; then an operator's."""

    @abstractmethod
    def client(self, settings: S, tools: Tools) -> ProviderClient | None:
        """Return what hands messages over, or None where the settings leave the provider out."""

    def first_row(self) -> Provider:
        """Return the settings that it begins with, until an operator changes them."""
        return Provider(
            name=self.name,
            channel=self.channel,
            active=True,
            priority=self.priority,
            supports_international=self.supports_international,
            unknown_outcome_rule=self.unknown_outcome_rule,
            unknown_outcome_wait=self.unknown_outcome_wait,
            version=1,
        )


class SendsReceipts(ABC, Generic[S]):
    """A provider that calls us with what became of messages."""

    @abstractmethod
    def read_receipts(self, settings: S, callback: Callback) -> ReadReceipts:
        """Check who calls and read what they report.

        Raises:
            Rejected: it is not from the provider, or can't be read.
        """


class NeedsUpkeep(ABC, Generic[S]):
    """A provider of which something has to be done now and then, such as changing a password."""

    @abstractmethod
    def upkeep(self, settings: S, tools: Tools) -> None:
        """Do what it is time for; asked about once a minute, by any number of processes."""


class BringsTexts(ABC, Generic[S]):
    """A provider that calls us with the texts that people send to numbers of ours."""

    @abstractmethod
    def read_inbound(self, settings: S, callback: Callback) -> ReadInbound:
        """Check who calls and read the text.

        Raises:
            Rejected: it is not from the provider, or can't be read.
        """


def json_answer(body: object, status: int = 200, **headers: str) -> CallbackAnswer:
    """Return a JSON answer, written as the platform's API writes JSON.

    Args:
        headers: further headers, with underscores for hyphens.
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":")) + "\n"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CallbackAnswer(status, "application/json", text.encode(), named)


def error_answer(status: int, message: object, **headers: str) -> CallbackAnswer:
    """Return an answer in the shape of errors outside of /v2 (public-api.md §1.6)."""
    return json_answer({"result": "error", "message": message}, status, **headers)

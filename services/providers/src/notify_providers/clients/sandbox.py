"""The sandbox: a provider of each channel that keeps messages so that a person can look at them.

What it does with a message stands in `domain/sandbox.py`. It plays the far end of a call: it keeps a message
once per id, so that a call that is repeated because nobody knows how the first one ended changes nothing; a
call that does not say so is a second copy, which it counts.
"""

import json
import threading
from collections.abc import Sequence

from notify_common import clock
from notify_common.enums import Channel

from notify_providers.clients.base import (
    Adapter,
    KeepInSandbox,
    ProviderSettings,
    Report,
    Tools,
)
from notify_providers.domain.dispatch import NOT_STARTED, CallResult, Outcome
from notify_providers.domain.message import Message
from notify_providers.domain.receipts import Kind, Receipt, london_time
from notify_providers.domain.routing import SANDBOX_BY_CHANNEL, UnknownOutcomeRule
from notify_providers.domain.sandbox import script


class SandboxClient:
    """Hands messages to the sandbox of one channel, up to 500 in one transaction."""

    def __init__(self, name: str, keep: KeepInSandbox) -> None:
        self._name = name
        self._keep = keep

    def send(self, messages: Sequence[Message], report: Report) -> None:
        """See ProviderClient. The calls have ended when it returns, but for slowly answered ones."""
        begun = clock.monotonic()
        played = [(m, script(m.content, m.key_type, m.attempt)) for m in messages if begun <= m.start_before]
        for message in messages:
            if begun > message.start_before:
                report(CallResult(message.id, message.attempt, Outcome.RETRYABLE, NOT_STARTED))
        known = self._keep(self._name, [(message, part) for message, part in played if part.keeps])
        for message, part in played:
            result = CallResult(message.id, message.attempt, part.outcome, part.reason)
            if not known:
                report(CallResult(message.id, message.attempt, Outcome.UNKNOWN, "connection_lost"))
            elif part.answer_seconds:
                answering = threading.Timer(part.answer_seconds, report, [result])
                answering.daemon = True
                answering.start()
            else:
                report(result)

    def close(self) -> None:
        """See ProviderClient; there is nothing to close."""


class Sandbox(Adapter[ProviderSettings]):
    """The sandbox of one channel. It takes an id once, so that nothing needs to wait for a receipt."""

    settings = ProviderSettings
    priority = 0
    unknown_outcome_rule = UnknownOutcomeRule.RETRY
    unknown_outcome_wait = 0

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.name = SANDBOX_BY_CHANNEL[channel]

    def client(self, settings: ProviderSettings, tools: Tools) -> SandboxClient:
        """See Adapter."""
        return SandboxClient(self.name, tools.keep_in_sandbox)


def write_receipt(message_id: str, kind: Kind, time: str) -> str:
    """Return a receipt in the sandbox's words. `time` is ISO 8601."""
    return json.dumps({"reference": message_id, "status": kind, "time": time})


def read_receipt(provider: str, body: bytes) -> Receipt:
    """Read what `write_receipt` made."""
    fields = json.loads(body)
    return Receipt(
        provider=provider,
        dispatch_id=fields["reference"],
        reference=fields["reference"],
        status=fields["status"],
        detail="",
        kind=Kind(fields["status"]),
        provider_time=london_time(fields["time"]),
    )

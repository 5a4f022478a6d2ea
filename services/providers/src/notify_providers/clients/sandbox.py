"""The sandbox: a provider of each channel that keeps messages so that a person can look at them.

What it does with a message stands in `domain/sandbox.py`. It plays the far end of a call: it keeps a message
once per id, so that a call that is repeated because nobody knows how the first one ended changes nothing; a
call that does not say so is a second copy, which it counts.
"""

from collections.abc import Callable, Sequence

from notify_common import clock
from sqlalchemy.exc import SQLAlchemyError

from notify_providers.clients.base import Report
from notify_providers.domain.dispatch import NOT_STARTED, RETRYABLE, CallResult
from notify_providers.domain.message import Message
from notify_providers.domain.sandbox import Script, script

Keep = Callable[[str, Sequence[tuple[Message, Script]]], None]
"""Keeps messages that the named sandbox takes and queues their receipts, in one transaction of its own."""


class SandboxClient:
    """Hands messages to the sandbox of one channel, up to 500 in one transaction."""

    def __init__(self, name: str, keep: Keep) -> None:
        self.name = name
        self._keep = keep

    def send(self, messages: Sequence[Message], report: Report) -> None:
        """As of ProviderClient. The calls have ended when it returns."""
        begun = clock.monotonic()
        played = [(m, script(m.content, m.key_type, m.attempt)) for m in messages if begun <= m.start_before]
        for message in messages:
            if begun > message.start_before:
                report(CallResult(message.id, message.attempt, RETRYABLE, NOT_STARTED))
        try:
            self._keep(self.name, [(message, part) for message, part in played if part.keeps])
        except SQLAlchemyError:
            # Its commit may have gone through all the same.
            for message, _ in played:
                report(CallResult(message.id, message.attempt, RETRYABLE, "connection_lost"))
            return
        for message, part in played:
            report(CallResult(message.id, message.attempt, part.outcome, part.reason))

    def close(self) -> None:
        """As of ProviderClient."""

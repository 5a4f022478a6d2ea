"""What the dispatch worker needs of a provider."""

from collections.abc import Callable, Sequence
from typing import Protocol

from notify_providers.domain.dispatch import CallResult
from notify_providers.domain.message import Message

Report = Callable[[CallResult], None]
"""Takes the result of one call; may be called from any thread."""


class ProviderClient(Protocol):
    """Hands messages to one provider."""

    name: str
    """The provider's name in its settings row."""

    def send(self, messages: Sequence[Message], report: Report) -> None:
        """Begins a call for each message and returns.

        Every message is reported on exactly once, within the provider's time-out, whatever happens: refusals,
        time-outs and broken connections are results, not exceptions. No call begins after its
        `start_before`; such a message is reported as retryable with the reason `not_started`.
        """

    def close(self) -> None:
        """Ends its connections; calls under way are reported on first."""

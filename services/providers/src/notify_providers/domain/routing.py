"""Which provider gets a message (pipeline.md §3.5)."""

import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from notify_common.enums import Channel, KeyType

SANDBOX_BY_CHANNEL = {
    Channel.SMS: "sandbox-sms",
    Channel.EMAIL: "sandbox-email",
    Channel.LETTER: "sandbox-print",
}


class UnknownOutcomeRule(StrEnum):
    """What to do with a message that a provider may have, once no receipt has come in time."""

    RETRY = "retry"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's settings.

    Attributes:
        priority: weight among the active providers of its channel, 0 to 100.
        unknown_outcome_rule: what follows a call of unknown outcome, once the wait is over.
        unknown_outcome_wait: seconds for which a receipt is waited for after such a call.
    """

    name: str
    channel: Channel
    active: bool
    priority: int
    supports_international: bool
    unknown_outcome_rule: UnknownOutcomeRule
    unknown_outcome_wait: int
    version: int


def choose_provider(
    providers: Sequence[Provider],
    *,
    channel: Channel,
    key_type: KeyType,
    international: bool,
    available: AbstractSet[str],
    draw: random.Random,
) -> Provider | None:
    """Return the provider for one try, or None when none can take the message now.

    Messages of test keys go to the channel's sandbox, whatever its settings, and nowhere else. Others are
    drawn among the active providers of the channel, weighted by priority. A single one gets them all; where
    all weigh nothing, each gets the same share. A retry draws again.

    Args:
        available: names of the providers that take live messages in this process: those that are configured.
        draw: source of the weighted draw.
    """
    if key_type is KeyType.TEST:
        return next((p for p in providers if p.name == SANDBOX_BY_CHANNEL[channel]), None)
    candidates = [
        p
        for p in providers
        if p.channel is channel
        and p.active
        and p.name in available
        and (p.supports_international or not international)
    ]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    weights = [p.priority for p in candidates]
    return draw.choices(candidates, weights if any(weights) else None)[0]

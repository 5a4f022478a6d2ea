"""Which provider gets a message (pipeline.md §3.5)."""

import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from notify_providers.domain.message import EMAIL, LETTER, SMS, TEST_KEY

SANDBOX_BY_CHANNEL = {SMS: "sandbox-sms", EMAIL: "sandbox-email", LETTER: "sandbox-print"}

RETRY, HOLD = "retry", "hold"


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's settings.

    Attributes:
        priority: weight among the active providers of its channel, 0 to 100.
        unknown_outcome_rule: what to do with a call whose process died: `retry` or `hold`.
    """

    name: str
    channel: str
    active: bool
    priority: int
    supports_international: bool
    unknown_outcome_rule: str
    version: int


def choose_provider(
    providers: Sequence[Provider],
    *,
    channel: str,
    key_type: str,
    international: bool,
    available: AbstractSet[str],
    draw: random.Random,
) -> Provider | None:
    """Returns the provider for one try, or None when none can take the message now.

    Messages of test keys go to the channel's sandbox, whatever its settings, and nowhere else. Others are
    drawn among the active providers of the channel, weighted by priority; a single one gets them all, and so
    does each its share where all weigh nothing. A retry draws again.

    Args:
        available: names of the providers that take live messages in this process: those that are configured.
        draw: source of the weighted draw.
    """
    if key_type == TEST_KEY:
        return next((p for p in providers if p.name == SANDBOX_BY_CHANNEL[channel]), None)
    candidates = [
        p
        for p in providers
        if p.channel == channel
        and p.active
        and p.name in available
        and (p.supports_international or not international)
    ]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    weights = [p.priority for p in candidates]
    return draw.choices(candidates, weights if any(weights) else None)[0]

"""The states of a dispatch and of its attempts, and what leads from one to the next.

A dispatch is `queued` until a provider takes it (`sent`), none ever will (`failed`), or nobody here can know
(`in-doubt`, until a person or a receipt tells). An attempt is open from before the provider is called until
its outcome is recorded; an open attempt whose lease has run out is one whose process died.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from notify_providers.domain.message import SMS
from notify_providers.domain.routing import HOLD

QUEUED, SENT, FAILED, IN_DOUBT = "queued", "sent", "failed", "in-doubt"
ACCEPTED, RETRYABLE, REFUSED, UNKNOWN = "accepted", "retryable", "refused", "unknown"

MAX_RETRIES = 48
"""Tries after the first one; then the message is given up (public-api.md §4.2)."""

NOT_STARTED = "not_started"
"""Reason of an attempt whose call was never made, because it would have begun too late."""
PROCESS_DIED = "process_died"
"""Reason of an attempt that nobody ended."""
RELEASED = "released"
"""Reason of such an attempt once a person has decided that its message is sent again."""
UNANSWERED = frozenset({"timeout", "connection_lost", "bad_answer"})
"""Reasons of attempts whose call may have reached the provider although no proper answer came back."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """How one call ended.

    Attributes:
        reason: a short stable word on why it was not accepted; empty when it was.
    """

    dispatch_id: UUID
    attempt: int
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """An ended attempt, as far as the next one depends on it."""

    provider: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Next:
    """Where a dispatch stands now.

    Attributes:
        delay: seconds until its next try; None unless it is `queued`.
    """

    state: str
    delay: float | None = None


def retry_delay(channel: str, tries: int, interval: float, draw: random.Random) -> float:
    """Returns the seconds from a failed try to the next one.

    The interval, up to a tenth more so that a failed batch does not come back as one; none at all for a text
    that failed once (public-api.md §4.2: 5 minutes apart, for SMS the first is immediate).

    Args:
        tries: how many failed so far, from 1.
        interval: seconds.
    """
    if channel == SMS and tries == 1:
        return 0.0
    return interval * (1 + draw.random() / 10)


def after_failed_try(channel: str, tries: int, interval: float, draw: random.Random) -> Next:
    """Returns where a dispatch stands whose `tries`-th try failed in a way that may pass."""
    if tries > MAX_RETRIES:
        return Next(FAILED)
    return Next(QUEUED, retry_delay(channel, tries, interval, draw))


def after_call(result: CallResult, channel: str, interval: float, draw: random.Random) -> Next:
    """Returns where a dispatch stands once the result of its call is known."""
    if result.outcome == ACCEPTED:
        return Next(SENT)
    if result.outcome == REFUSED:
        return Next(FAILED)
    if result.reason == NOT_STARTED:
        return Next(QUEUED, 0.0)
    return after_failed_try(channel, result.attempt, interval, draw)


def must_hold(earlier: Sequence[EarlierAttempt], rules: Mapping[str, str]) -> bool:
    """Tells whether a dispatch waits for a person: the process of its last attempt died during the call, and
    the rule of that provider is `hold`.

    Args:
        earlier: its attempts, first one first.
        rules: `unknown_outcome_rule` by provider name.
    """
    if not earlier:
        return False
    last = earlier[-1]
    return last.outcome == UNKNOWN and last.reason == PROCESS_DIED and rules.get(last.provider, HOLD) == HOLD


def may_be_repeat(earlier: Sequence[EarlierAttempt], provider: str) -> bool:
    """Tells whether `provider` may have the message already: a call to it ended without an answer."""
    return any(
        attempt.provider == provider
        and (attempt.outcome == UNKNOWN or (attempt.outcome == RETRYABLE and attempt.reason in UNANSWERED))
        for attempt in earlier
    )

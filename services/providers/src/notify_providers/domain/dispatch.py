"""The states of a dispatch and of its attempts, and what leads from one to the next.

A dispatch is `queued` until a provider takes it (`sent`), none ever will (`failed`), or nobody here can know
(`in-doubt`, until a person or a receipt tells). An attempt is open from before the provider is called until
its outcome is recorded; an open attempt whose lease has run out is one whose process died.

The outcome of a call is unknown once a byte of its request was sent and neither a yes nor a no came back. The
provider may have the message then, so that another try could be a second copy: the dispatch waits for a
receipt first, and then follows the provider's rule.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notify_common.enums import Channel, KeyType
from notify_common.records import record

from notify_providers.domain.routing import Provider, UnknownOutcomeRule


class State(StrEnum):
    """Where a dispatch stands."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    IN_DOUBT = "in-doubt"


class Outcome(StrEnum):
    """How an attempt ended."""

    ACCEPTED = "accepted"
    RETRYABLE = "retryable"
    REFUSED = "refused"
    UNKNOWN = "unknown"


MAX_RETRIES = 48
"""Tries after the first one; then the message is given up (public-api.md §4.2)."""

NOT_STARTED = "not_started"
"""Reason of an attempt whose call was never made, because it would have begun too late."""
PROCESS_DIED = "process_died"
"""Reason of an attempt that nobody ended."""
EXPIRED = "expired"
"""Reason of an attempt that was none, since the time by which its message was to be delivered was over."""
RELEASED = "released"
"""Reason of an attempt of unknown outcome once a person has decided that its message is sent again."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A dispatch as it is shown, without its content. `request_id` and `traceparent` may be empty."""

    id: str
    service_id: str
    key_type: KeyType
    state: State
    create_time: datetime
    request_id: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try as it is shown. One under way has neither outcome nor end; `reason` is empty on success.

    Attributes:
        choice: why its provider, a `Why`; empty if that is not known.
    """

    number: int
    provider: str
    start_time: datetime
    end_time: datetime | None
    outcome: Outcome | None
    reason: str
    choice: str


@record()
class CallResult:
    """How one call ended.

    Attributes:
        reason: a short stable word on why it was not accepted; empty when it was.
    """

    dispatch_id: str
    attempt: int
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """An ended attempt, as far as the next one depends on it.

    Attributes:
        age: seconds since it was begun.
    """

    provider: str
    outcome: Outcome
    reason: str
    age: float


@record()
class Next:
    """Where a dispatch stands now.

    Attributes:
        delay: seconds until its next try; None unless it is `queued`.
    """

    state: State
    delay: float | None = None


def retry_delay(channel: Channel, tries: int, interval: float, draw: random.Random) -> float:
    """Return the seconds from a failed try to the next one.

    The interval, up to a tenth more so that a failed batch does not come back as one; none at all for a text
    that failed once (public-api.md §4.2: 5 minutes apart, for SMS the first is immediate).

    Args:
        tries: how many failed so far, from 1.
        interval: seconds.
    """
    if channel is Channel.SMS and tries == 1:
        return 0.0
    return interval * (1 + draw.random() / 10)


def after_failed_try(channel: Channel, tries: int, interval: float, draw: random.Random) -> Next:
    """Return where a dispatch stands whose `tries`-th try failed in a way that may pass."""
    if tries > MAX_RETRIES:
        return Next(State.FAILED)
    return Next(State.QUEUED, retry_delay(channel, tries, interval, draw))


def after_call(
    result: CallResult, channel: Channel, provider: Provider, interval: float, draw: random.Random
) -> Next:
    """Return where a dispatch stands once its call to `provider` has ended."""
    match result.outcome:
        case Outcome.ACCEPTED:
            return Next(State.SENT)
        case Outcome.REFUSED:
            return Next(State.FAILED)
        case Outcome.RETRYABLE if result.reason == NOT_STARTED:
            return Next(State.QUEUED, 0.0)
    failed = after_failed_try(channel, result.attempt, interval, draw)
    if result.outcome is Outcome.RETRYABLE:
        return failed
    unknown = while_unknown(provider, 0.0)
    if unknown is None:
        return failed
    if unknown.delay is None or provider.unknown_outcome_rule is UnknownOutcomeRule.HOLD:
        return unknown
    return Next(State.QUEUED, max(unknown.delay, failed.delay or 0.0))


def while_unknown(provider: Provider | None, age: float) -> Next | None:
    """Return where a dispatch stands whose last call's outcome is unknown; None if it may be sent again.

    It waits for a receipt for the time that the provider's settings give, then follows their rule.

    Args:
        provider: who was called; None if it has no settings any more, which counts as the rule `hold`.
        age: seconds since the call was begun.
    """
    left = provider.unknown_outcome_wait - age if provider else 0.0
    if left > 0:
        return Next(State.QUEUED, left)
    if provider is None or provider.unknown_outcome_rule is UnknownOutcomeRule.HOLD:
        return Next(State.IN_DOUBT)
    return None


def last_is_unknown(earlier: Sequence[EarlierAttempt]) -> bool:
    """Tell whether the last of some attempts, first one first, is of unknown outcome and undecided."""
    return bool(earlier) and earlier[-1].outcome is Outcome.UNKNOWN and earlier[-1].reason != RELEASED


def may_have_it(earlier: Sequence[EarlierAttempt]) -> str:
    """Return the provider that was called last of those that may have the message; empty if none may.

    What a person released is for any.
    """
    unknown = (a for a in reversed(earlier) if a.outcome is Outcome.UNKNOWN and a.reason != RELEASED)
    return next((attempt.provider for attempt in unknown), "")


def turned_away_by(earlier: Sequence[EarlierAttempt], attempt: int) -> str:
    """Return the provider that surely does not have the message, at the first retry; else an empty text."""
    if attempt != 2 or not earlier or earlier[-1].outcome is not Outcome.RETRYABLE:
        return ""
    return "" if earlier[-1].reason == NOT_STARTED else earlier[-1].provider


def may_be_repeat(earlier: Sequence[EarlierAttempt], provider: str) -> bool:
    """Tell whether `provider` may have the message already: the outcome of a call to it is unknown."""
    return any(attempt.provider == provider and attempt.outcome is Outcome.UNKNOWN for attempt in earlier)

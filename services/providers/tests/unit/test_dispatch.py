"""State machine, tries and the rule for calls of unknown outcome."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common.enums import Channel
from notify_providers.domain import dispatch
from notify_providers.domain.dispatch import CallResult, EarlierAttempt, Next, Outcome, State
from notify_providers.domain.routing import Provider, UnknownOutcomeRule

ID = "00000000-0000-4000-8000-000000000001"
DRAW = random.Random(1)


def provider(rule: UnknownOutcomeRule = UnknownOutcomeRule.HOLD, wait: int = 300) -> Provider:
    """Return a provider with a rule for calls of unknown outcome."""
    return Provider("a", Channel.SMS, True, 100, True, rule, wait, 1)


HOLDS, RETRIES = provider(), provider(UnknownOutcomeRule.RETRY)


@given(st.sampled_from(Channel), st.integers(1, 200), st.floats(0, 3600))
def test_a_failed_try_is_followed_by_another_until_48_retries_are_used_up(
    channel: Channel, tries: int, interval: float
) -> None:
    following = dispatch.after_failed_try(channel, tries, interval, DRAW)
    if tries > 48:
        assert following == Next(State.FAILED)
    elif channel is Channel.SMS and tries == 1:
        assert following == Next(State.QUEUED, 0.0)
    else:
        assert following.state is State.QUEUED
        assert following.delay is not None
        assert interval <= following.delay <= interval * 1.1


@pytest.mark.parametrize(
    ("outcome", "reason", "state"),
    [
        (Outcome.ACCEPTED, "", State.SENT),
        (Outcome.REFUSED, "refused", State.FAILED),
        (Outcome.RETRYABLE, "http_503", State.QUEUED),
        (Outcome.RETRYABLE, "not_started", State.QUEUED),
        (Outcome.UNKNOWN, "timeout", State.QUEUED),
    ],
)
@pytest.mark.parametrize("called", [HOLDS, RETRIES])
def test_each_outcome_leads_to_its_state(
    outcome: Outcome, reason: str, state: State, called: Provider
) -> None:
    result = CallResult(ID, 2, outcome, reason)
    assert dispatch.after_call(result, Channel.EMAIL, called, 300, DRAW).state is state


def test_a_call_that_was_never_made_is_made_at_once_and_never_given_up() -> None:
    result = CallResult(ID, 60, Outcome.RETRYABLE, "not_started")
    assert dispatch.after_call(result, Channel.LETTER, HOLDS, 300, DRAW) == Next(State.QUEUED, 0.0)


@given(st.integers(1, 49), st.sampled_from(Channel), st.floats(0, 3600))
def test_a_call_of_unknown_outcome_is_never_followed_by_another_at_once(
    attempt: int, channel: Channel, interval: float
) -> None:
    result = CallResult(ID, attempt, Outcome.UNKNOWN, "timeout")
    assert dispatch.after_call(result, channel, HOLDS, interval, DRAW) == Next(State.QUEUED, 300)
    following = dispatch.after_call(result, channel, RETRIES, interval, DRAW)
    assert following.state is State.QUEUED
    assert following.delay is not None
    assert following.delay >= 300


def test_without_a_wait_the_rule_is_followed_at_once() -> None:
    result = CallResult(ID, 1, Outcome.UNKNOWN, "timeout")
    holds, retries = provider(wait=0), provider(UnknownOutcomeRule.RETRY, 0)
    assert dispatch.after_call(result, Channel.SMS, holds, 300, DRAW) == Next(State.IN_DOUBT)
    assert dispatch.after_call(result, Channel.SMS, retries, 300, DRAW) == Next(State.QUEUED, 0.0)


@pytest.mark.parametrize(
    ("called", "age", "following"),
    [
        (HOLDS, 0.0, Next(State.QUEUED, 300.0)),
        (HOLDS, 299.0, Next(State.QUEUED, 1.0)),
        (HOLDS, 300.0, Next(State.IN_DOUBT)),
        (RETRIES, 299.0, Next(State.QUEUED, 1.0)),
        (RETRIES, 300.0, None),
        (None, 0.0, Next(State.IN_DOUBT)),
    ],
)
def test_a_receipt_is_waited_for_and_then_the_rule_is_followed(
    called: Provider | None, age: float, following: Next | None
) -> None:
    assert dispatch.while_unknown(called, age) == following


@pytest.mark.parametrize(
    ("earlier", "unknown"),
    [
        ([], False),
        ([EarlierAttempt("a", Outcome.UNKNOWN, "process_died", 1)], True),
        ([EarlierAttempt("a", Outcome.UNKNOWN, "timeout", 1)], True),
        ([EarlierAttempt("a", Outcome.UNKNOWN, "released", 1)], False),
        ([EarlierAttempt("a", Outcome.RETRYABLE, "http_503", 1)], False),
        (
            [
                EarlierAttempt("a", Outcome.UNKNOWN, "timeout", 2),
                EarlierAttempt("b", Outcome.RETRYABLE, "http_503", 1),
            ],
            False,
        ),
    ],
)
def test_only_the_last_attempt_can_be_undecided(earlier: list[EarlierAttempt], unknown: bool) -> None:
    assert dispatch.last_is_unknown(earlier) is unknown


@pytest.mark.parametrize(
    ("attempt", "repeat"),
    [
        (EarlierAttempt("a", Outcome.UNKNOWN, "process_died", 1), True),
        (EarlierAttempt("a", Outcome.UNKNOWN, "released", 1), True),
        (EarlierAttempt("a", Outcome.UNKNOWN, "bad_answer", 1), True),
        (EarlierAttempt("a", Outcome.RETRYABLE, "unreachable", 1), False),
        (EarlierAttempt("a", Outcome.RETRYABLE, "http_503", 1), False),
        (EarlierAttempt("b", Outcome.UNKNOWN, "process_died", 1), False),
    ],
)
def test_a_call_is_a_repeat_if_the_provider_may_have_the_message(
    attempt: EarlierAttempt, repeat: bool
) -> None:
    refused = EarlierAttempt("a", Outcome.REFUSED, "", 1)
    assert dispatch.may_be_repeat([attempt, refused], "a") is repeat

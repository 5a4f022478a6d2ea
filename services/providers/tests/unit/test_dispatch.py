"""State machine, tries and the rule for calls of unknown outcome."""

import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_providers.domain import dispatch
from notify_providers.domain.dispatch import CallResult, EarlierAttempt, Next

ID = UUID(int=1)
DRAW = random.Random(1)
RULES = {"holds": "hold", "retries": "retry"}


@given(st.sampled_from(["sms", "email", "letter"]), st.integers(1, 200), st.floats(0, 3600))
def test_a_failed_try_is_followed_by_another_until_48_retries_are_used_up(
    channel: str, tries: int, interval: float
) -> None:
    following = dispatch.after_failed_try(channel, tries, interval, DRAW)
    if tries > 48:
        assert following == Next("failed")
    elif channel == "sms" and tries == 1:
        assert following == Next("queued", 0.0)
    else:
        assert following.state == "queued"
        assert following.delay is not None
        assert interval <= following.delay <= interval * 1.1


@pytest.mark.parametrize(
    ("outcome", "reason", "state"),
    [
        ("accepted", "", "sent"),
        ("refused", "refused", "failed"),
        ("retryable", "timeout", "queued"),
        ("retryable", "not_started", "queued"),
    ],
)
def test_each_outcome_leads_to_its_state(outcome: str, reason: str, state: str) -> None:
    assert dispatch.after_call(CallResult(ID, 2, outcome, reason), "email", 300, DRAW).state == state


def test_a_call_that_was_never_made_is_made_at_once_and_never_given_up() -> None:
    result = CallResult(ID, 60, "retryable", "not_started")
    assert dispatch.after_call(result, "letter", 300, DRAW) == Next("queued", 0.0)


@pytest.mark.parametrize(
    ("earlier", "held"),
    [
        ([], False),
        ([EarlierAttempt("holds", "unknown", "process_died")], True),
        ([EarlierAttempt("gone", "unknown", "process_died")], True),
        ([EarlierAttempt("retries", "unknown", "process_died")], False),
        ([EarlierAttempt("holds", "unknown", "released")], False),
        ([EarlierAttempt("holds", "retryable", "timeout")], False),
        (
            [
                EarlierAttempt("holds", "unknown", "process_died"),
                EarlierAttempt("retries", "retryable", "http_500"),
            ],
            False,
        ),
    ],
)
def test_only_an_unexplained_death_at_a_provider_that_holds_waits_for_a_person(
    earlier: list[EarlierAttempt], held: bool
) -> None:
    assert dispatch.must_hold(earlier, RULES) is held


@pytest.mark.parametrize(
    ("attempt", "repeat"),
    [
        (EarlierAttempt("a", "unknown", "process_died"), True),
        (EarlierAttempt("a", "unknown", "released"), True),
        (EarlierAttempt("a", "retryable", "timeout"), True),
        (EarlierAttempt("a", "retryable", "connection_lost"), True),
        (EarlierAttempt("a", "retryable", "bad_answer"), True),
        (EarlierAttempt("a", "retryable", "unreachable"), False),
        (EarlierAttempt("a", "retryable", "http_500"), False),
        (EarlierAttempt("a", "retryable", "not_started"), False),
        (EarlierAttempt("b", "unknown", "process_died"), False),
    ],
)
def test_a_call_is_a_repeat_if_the_provider_may_have_the_message(
    attempt: EarlierAttempt, repeat: bool
) -> None:
    assert dispatch.may_be_repeat([attempt, EarlierAttempt("a", "refused", "")], "a") is repeat

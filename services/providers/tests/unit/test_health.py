"""How providers do, and what that makes of their shares (pipeline.md §3.6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_providers.domain.health import (
    LONGEST_PROBE_SECONDS,
    PROBES,
    Calls,
    Health,
    as_points,
    drift,
    next_condition,
    probe_seconds,
    shift,
)
from notify_providers.domain.routing import Condition

LEAST = 20
WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 100), min_size=1)


@pytest.mark.parametrize(
    ("window", "found"),
    [
        (Calls(19, 19, 19), Condition.HEALTHY),
        (Calls(20, 9, 0), Condition.HEALTHY),
        (Calls(20, 10, 0), Condition.FAILING),
        (Calls(20, 0, 10), Condition.SLOW),
        (Calls(20, 10, 10), Condition.FAILING),
    ],
)
def test_enough_bad_calls_are_told(window: Calls, found: Condition) -> None:
    assert next_condition(Health(), [window], window, LEAST).condition is found


@pytest.mark.parametrize("condition", [Condition.SLOW, Condition.FAILING])
def test_some_good_calls_in_a_row_make_it_healthy_again(condition: Condition) -> None:
    window = Calls(100, 40, 60)
    health = Health(condition, 0, 3)
    for _ in range(PROBES - 1):
        health = next_condition(health, [window], Calls(1), LEAST)
        assert (health.condition, health.probes) == (condition, 0)
    bad = next_condition(health, [window], Calls(1, 1), LEAST)
    assert (bad.condition, bad.passed) == (condition, 0)
    assert next_condition(health, [window], Calls(1), LEAST) == Health()
    assert next_condition(health, [window], Calls(), LEAST) == health


def test_who_is_slow_may_fail() -> None:
    slow = Health(Condition.SLOW)
    assert next_condition(slow, [Calls(30, 20, 30)], Calls(1, 1), LEAST).condition is Condition.FAILING


def test_probes_come_later_and_later_but_come() -> None:
    assert [probe_seconds(n) for n in range(5)] == [5, 10, 20, 40, 60]
    assert probe_seconds(10**9) == LONGEST_PROBE_SECONDS


def test_of_two_providers_the_worse_gives_the_other_ten_points() -> None:
    assert shift({"mmg": 51, "firetext": 49}, ["mmg"]) == {"mmg": 41, "firetext": 59}
    assert shift({"mmg": 4, "firetext": 96}, ["mmg"]) == {"mmg": 0, "firetext": 100}
    assert shift({"mmg": 51, "firetext": 49}, ["mmg", "firetext"]) == {"mmg": 51, "firetext": 49}
    assert drift({"mmg": 21, "firetext": 79}, {"mmg": 51, "firetext": 49}) == {"mmg": 31, "firetext": 69}
    assert drift({"mmg": 45, "firetext": 55}, {"mmg": 51, "firetext": 49}) == {"mmg": 51, "firetext": 49}


@given(WEIGHTS, st.sets(st.sampled_from("abcdef")))
def test_a_shift_keeps_the_whole_and_moves_at_most_ten_points_of_each(
    weights: dict[str, float], worse: set[str]
) -> None:
    before, after = as_points(weights), shift(weights, worse)
    assert after.keys() == weights.keys()
    assert sum(after.values()) == pytest.approx(100)
    for name in weights:
        assert after[name] >= 0
        if name in worse:
            assert -10 - 1e-9 <= after[name] - before[name] <= 0
        else:
            assert after[name] >= before[name] - 1e-9


@given(WEIGHTS, st.data())
def test_drifting_arrives(weights: dict[str, float], data: st.DataObject) -> None:
    resting = {name: data.draw(st.floats(0, 100)) for name in weights}
    points = weights
    for _ in range(10):
        points = drift(points, resting)
        assert sum(points.values()) == pytest.approx(100)
    assert points == as_points(resting)


def test_what_went_well_before_does_not_hide_that_calls_fail_now() -> None:
    """Half of the calls of 30 s would have to fail, which takes 15 s where a provider was well before."""
    recent, longer = Calls(60, 40), Calls(180, 40)
    assert next_condition(Health(), [recent, longer], Calls(10, 10), LEAST).condition is Condition.FAILING
    few = Calls(LEAST - 1, LEAST - 1)
    assert next_condition(Health(), [few, longer], Calls(1, 1), LEAST).condition is Condition.HEALTHY

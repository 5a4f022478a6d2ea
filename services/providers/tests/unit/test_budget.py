"""Budgets never allow more than their rate, and never less than is due (hypothesis over arrivals)."""

from hypothesis import given
from hypothesis import strategies as st
from notify_providers.domain.budget import MAX_KEYS, Budgets

RATE, BURST = 2.0, 5.0


@given(st.lists(st.floats(0, 3), max_size=60))
def test_what_is_allowed_is_the_burst_and_the_rate(gaps: list[float]) -> None:
    budgets = Budgets(RATE, BURST)
    now, allowed = 0.0, 0
    for gap in gaps:
        now += gap
        took = budgets.take("a", now)
        allowed += took
        assert allowed <= BURST + RATE * now + 1e-6
        if gap >= 1 / RATE:
            assert took, "one is due again"


def test_keys_have_budgets_of_their_own() -> None:
    budgets = Budgets(RATE, 1)
    assert [budgets.take(key, 0.0) for key in ("a", "a", "b", "b")] == [True, False, True, False]


def test_no_more_keys_are_remembered_than_the_bound() -> None:
    budgets = Budgets(RATE, 1)
    for key in range(MAX_KEYS + 1):
        assert budgets.take(key, 0.0)
    assert budgets.take(0, 0.0), "the oldest was forgotten"
    assert not budgets.take(MAX_KEYS, 0.0)

"""Times that are counted together."""

from hypothesis import given
from hypothesis import strategies as st
from notify_notifications.domain.counts import PROMPT, TIME_RATIO, step_time, time_step

TIMES = st.floats(0.01, 1_000_000)


@given(TIMES)
def test_a_step_holds_its_times_to_within_four_percent(seconds: float) -> None:
    longest = step_time(time_step(seconds)).total_seconds()
    assert longest / TIME_RATIO * (1 - 1e-6) - 1e-6 <= seconds <= longest * (1 + 1e-6) + 1e-6


@given(TIMES, TIMES)
def test_longer_times_have_no_earlier_step(one: float, other: float) -> None:
    assert (time_step(one) <= time_step(other)) or one > other


@given(st.floats(max_value=0.008), st.floats(min_value=2_000_000, allow_infinity=False))
def test_what_is_out_of_range_is_in_the_first_and_the_last(short: float, long: float) -> None:
    assert time_step(short) == time_step(-1)
    assert time_step(long) == time_step(1e12)


def test_ten_seconds_is_prompt_and_not_a_moment_more() -> None:
    prompt = PROMPT.total_seconds()
    assert (time_step(prompt), time_step(prompt - 0.001), time_step(prompt + 0.001)) == (0, 0, 1)
    assert step_time(0) == PROMPT

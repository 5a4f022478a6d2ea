"""Computing in turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common.turns import TURN_SECONDS, in_turns


@given(st.lists(st.floats(min_value=0, max_value=3 * TURN_SECONDS), max_size=50))
def test_all_items_come_in_order_and_no_turn_is_long(work: list[float]) -> None:
    now = turn = 0.0
    longest = max(work, default=0.0)

    def sleep(seconds: float) -> None:
        nonlocal turn
        assert seconds > 0
        turn = now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("notify_common.turns.time.perf_counter", lambda: now)
        patch.setattr("notify_common.turns.time.sleep", sleep)
        seen = []
        for item in in_turns(work):
            now += item
            seen.append(item)
            assert now - turn <= TURN_SECONDS + longest + 1e-9
    assert seen == work

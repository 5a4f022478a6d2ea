"""Work done together: who waits for whom, and what becomes of the others when one fails."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from notify_common.errors import NotifyError
from notify_common.gathering import Gatherer
from notify_testing.waiting import WAIT_SECONDS, until

CALL_SECONDS = 20.0
"""A caller's own time, of which half is spent in some tests."""


class Runs:
    """A run that notes its items and, where a test says so, waits or fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.fail: Callable[[list[int]], None] = lambda items: None

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.entered.release()
        assert self.gate.wait(WAIT_SECONDS)
        self.fail(items)
        return [item * 10 for item in items]


class Caller(threading.Thread):
    """Submits items on a thread of its own and keeps what came of it."""

    def __init__(
        self, gatherer: Gatherer[int, int], items: Sequence[int], timeout: float | None = CALL_SECONDS
    ) -> None:
        super().__init__(daemon=True)
        self._gatherer, self._items, self._timeout = gatherer, items, timeout
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = list(self._gatherer.submit(self._items, self._timeout))
        except BaseException as error:
            self.result = error

    def end(self) -> Any:
        self.join(WAIT_SECONDS)
        assert not self.is_alive()
        return self.result


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def gatherer(runs: Runs) -> Gatherer[int, int]:
    return Gatherer(runs, most_items=5, most_weight=100, weigh=abs)


def waiting(gatherer: Gatherer[int, int], count: int) -> None:
    """Return once so many wait for the next run."""
    until(lambda: len(gatherer._waiting) == count)


def blocked(gatherer: Gatherer[int, int], runs: Runs) -> Caller:
    """Start a caller who is in a run that does not end before the gate opens."""
    runs.gate.clear()
    first = Caller(gatherer, [1])
    assert runs.entered.acquire(timeout=WAIT_SECONDS)
    return first


def test_one_alone_waits_for_nobody(gatherer: Gatherer[int, int], runs: Runs) -> None:
    assert gatherer.submit([1, 2]) == [10, 20]
    assert gatherer.submit([3]) == [30]
    assert runs.batches == [[1, 2], [3]]


def test_who_comes_during_a_run_goes_into_the_next(gatherer: Gatherer[int, int], runs: Runs) -> None:
    first = blocked(gatherer, runs)
    others = []
    for number in (2, 3, 4):
        others.append(Caller(gatherer, [number]))
        waiting(gatherer, number - 1)
    runs.gate.set()
    assert [first.end(), *(other.end() for other in others)] == [[10], [20], [30], [40]]
    assert runs.batches == [[1], [2, 3, 4]]
    assert gatherer.submit([9]) == [90]


def test_a_run_takes_no_more_than_there_is_room_for(gatherer: Gatherer[int, int], runs: Runs) -> None:
    first = blocked(gatherer, runs)
    brought: list[list[int]] = [[60], [30], [50], [1, 1, 1], [1, 1, 1, 1, 1, 1]]
    others = []
    for number, items in enumerate(brought, 1):
        others.append(Caller(gatherer, items))
        waiting(gatherer, number)
    runs.gate.set()
    assert [other.end() for other in others] == [[item * 10 for item in items] for items in brought]
    assert first.end() == [10]
    # by weight, by number; what one brings is never divided
    assert runs.batches == [[1], [60, 30], [50, 1, 1, 1], [1] * 6]


def test_a_run_that_fails_fails_for_those_in_it_alone(gatherer: Gatherer[int, int], runs: Runs) -> None:
    def fail(items: list[int]) -> None:
        if 2 in items:
            raise NotifyError("UNAVAILABLE")

    runs.fail = fail
    first = blocked(gatherer, runs)
    second = Caller(gatherer, [2])
    waiting(gatherer, 1)
    third = Caller(gatherer, [3])
    waiting(gatherer, 2)
    runs.gate.set()
    assert first.end() == [10]
    assert [second.end().reason, third.end().reason] == ["UNAVAILABLE", "UNAVAILABLE"]
    assert gatherer.submit([4]) == [40]


def test_a_leader_that_is_ended_takes_nobody_with_it(gatherer: Gatherer[int, int], runs: Runs) -> None:
    def end(items: list[int]) -> None:
        if 2 in items:
            raise SystemExit

    runs.fail = end
    first = blocked(gatherer, runs)
    leader = Caller(gatherer, [2])
    waiting(gatherer, 1)
    follower = Caller(gatherer, [3])
    waiting(gatherer, 2)
    runs.gate.set()
    assert first.end() == [10]
    assert isinstance(leader.end(), SystemExit)
    assert isinstance(follower.end(), RuntimeError)
    assert gatherer.submit([4]) == [40]


def test_a_wrong_number_of_results_is_nobody_s_result(runs: Runs) -> None:
    gatherer: Gatherer[int, int] = Gatherer(lambda items: items[1:], most_items=5, most_weight=100, weigh=abs)
    with pytest.raises(RuntimeError, match="1 results for 2 items"):
        gatherer.submit([1, 2])


def test_who_waits_too_long_is_not_run(gatherer: Gatherer[int, int], runs: Runs) -> None:
    first = blocked(gatherer, runs)
    with pytest.raises(NotifyError) as raised:
        gatherer.submit([2], timeout=0.05)
    assert raised.value.reason == "DEADLINE_EXCEEDED"
    patient = Caller(gatherer, [3])
    waiting(gatherer, 1)
    runs.gate.set()
    assert (first.end(), patient.end()) == ([10], [30])
    assert runs.batches == [[1], [3]]


def test_who_is_taken_in_time_gets_the_result_however_late(gatherer: Gatherer[int, int], runs: Runs) -> None:
    first = blocked(gatherer, runs)
    leader = Caller(gatherer, [2])
    waiting(gatherer, 1)
    hasty = Caller(gatherer, [3], timeout=2)
    waiting(gatherer, 2)
    slow = threading.Event()
    runs.fail = lambda items: None if 1 in items else hold(slow)
    runs.gate.set()
    assert first.end() == [10]
    assert runs.entered.acquire(timeout=WAIT_SECONDS)
    hasty.join(2.5)
    assert hasty.is_alive()
    slow.set()
    assert (leader.end(), hasty.end()) == ([20], [30])


def hold(event: threading.Event) -> None:
    assert event.wait(WAIT_SECONDS)


def lingering(runs: Runs, seconds: float) -> Gatherer[int, int]:
    return Gatherer(runs, most_items=5, most_weight=100, weigh=abs, linger_seconds=seconds)


def shared(gatherer: Gatherer[int, int], runs: Runs, callers: int) -> None:
    """Make a run that one leads alone, and one after it that is shared by `callers` and waits for nobody."""
    lingers = gatherer._linger_seconds
    gatherer._linger_seconds = 0
    first = blocked(gatherer, runs)
    others = []
    for number in range(callers):
        others.append(Caller(gatherer, [number + 2]))
        waiting(gatherer, number + 1)
    runs.gate.set()
    for caller in (first, *others):
        caller.end()
    runs.batches.clear()
    gatherer._linger_seconds = lingers
    gatherer._expected_until += lingers


def led(gatherer: Gatherer[int, int]) -> None:
    """Return once somebody waits for those who are expected."""
    until(lambda: gatherer._lingering is not None)


def test_after_a_shared_run_the_next_waits_for_as_many(runs: Runs) -> None:
    gatherer = lingering(runs, 1000)
    shared(gatherer, runs, 3)
    leader = Caller(gatherer, [7], timeout=None)
    led(gatherer)
    second = Caller(gatherer, [8])
    waiting(gatherer, 1)
    assert not runs.batches
    third = Caller(gatherer, [9])
    assert [leader.end(), second.end(), third.end()] == [[70], [80], [90]]
    assert runs.batches == [[7, 8, 9]]


def test_served_alone_waits_for_nobody_ever(runs: Runs) -> None:
    gatherer = lingering(runs, 1000)
    assert [gatherer.submit([number])[0] for number in range(3)] == [0, 10, 20]


def test_who_does_not_come_is_waited_for_once(runs: Runs) -> None:
    gatherer = lingering(runs, 0.2)
    shared(gatherer, runs, 3)
    assert gatherer.submit([7]) == [70]
    gatherer._linger_seconds = 1000
    assert gatherer.submit([8]) == [80]
    assert gatherer.submit([9]) == [90]
    assert runs.batches == [[7], [8], [9]]


def test_half_of_one_s_time_is_kept_for_the_run(runs: Runs) -> None:
    gatherer = lingering(runs, 1000)
    shared(gatherer, runs, 3)
    assert gatherer.submit([7], timeout=0.1) == [70]


def test_one_who_is_ended_while_waiting_for_others_hands_on(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    gatherer = lingering(runs, 1000)
    shared(gatherer, runs, 3)

    def end(entry: object, timeout: float | None) -> bool:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr("notify_common.gathering._Entry.wait", end)
        with pytest.raises(SystemExit):
            gatherer.submit([7])
    assert gatherer.submit([8]) == [80]
    assert runs.batches == [[8]]


@pytest.mark.parametrize("linger_seconds", [0, 0.005])
def test_many_at_once_lose_and_double_nothing(runs: Runs, linger_seconds: float) -> None:
    gatherer: Gatherer[int, int] = Gatherer(
        runs, most_items=7, most_weight=10_000, weigh=lambda item: 1, linger_seconds=linger_seconds
    )
    callers = [Caller(gatherer, range(number, number + 3)) for number in range(0, 150, 3)]
    assert [item for caller in callers for item in caller.end()] == [item * 10 for item in range(150)]
    assert sorted(item for batch in runs.batches for item in batch) == list(range(150))
    assert max(map(len, runs.batches)) <= 7

"""Places of a process: who has one, who waits, who is refused."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from notify_common import current
from notify_common.errors import NotifyError
from notify_gateway.places import Places
from notify_local.backing import wait_until

SECONDS = 20.0


class Taker(threading.Thread):
    """Takes a place on a thread of its own and keeps it until it is told to leave."""

    def __init__(self, places: Places, owner: str) -> None:
        super().__init__(daemon=True)
        self._places, self._owner = places, owner
        self._leave = threading.Event()
        self.has_it = threading.Event()
        self.reason = ""
        self.start()

    def run(self) -> None:
        try:
            with self._places.taken(self._owner):
                self.has_it.set()
                self._leave.wait(SECONDS)
        except NotifyError as error:
            self.reason = error.reason

    def leave(self) -> str:
        """Give the place back, and return why there was none."""
        self._leave.set()
        self.join(SECONDS)
        return self.reason


@contextmanager
def held(places: Places, *owners: str) -> Iterator[list[Taker]]:
    """Places that are taken, one after the other, inside the block."""
    with ExitStack() as leaving:
        takers = []
        for owner in owners:
            taker = Taker(places, owner)
            leaving.callback(taker.leave)
            assert taker.has_it.wait(SECONDS)
            takers.append(taker)
        yield takers


def refusal(places: Places, owner: str) -> str:
    with pytest.raises(NotifyError) as refused, places.taken(owner):
        pass
    assert refused.value.retry_after is not None
    return refused.value.reason


def test_nobody_has_more_than_its_share() -> None:
    places = Places(most=3, most_each=1, most_waiting=0, seconds=SECONDS)
    with held(places, "a", "b"):
        assert refusal(places, "a") == "TOO_MANY_AT_ONCE"
        with held(places, "c"):
            assert refusal(places, "d") == "OVERLOADED"
        with held(places, "d"):
            pass
    with held(places, "a", "b", "c"):
        pass


def test_who_waits_gets_the_place_that_is_given_back() -> None:
    places = Places(most=2, most_each=1, most_waiting=2, seconds=SECONDS)
    with held(places, "a") as [first]:
        waiting = [Taker(places, "a") for _ in range(2)]
        assert wait_until(lambda: places.waiting == 2, SECONDS)
        assert refusal(places, "a") == "TOO_MANY_AT_ONCE", "no more wait than may"
        with held(places, "b"):
            pass
        assert not any(taker.has_it.is_set() for taker in waiting)
        first.leave()
        assert wait_until(lambda: any(taker.has_it.is_set() for taker in waiting), SECONDS)
        [has_it] = [taker for taker in waiting if taker.has_it.is_set()]
        [other] = [taker for taker in waiting if taker is not has_it]
        assert has_it.leave() == ""
        assert other.has_it.wait(SECONDS)
        assert other.leave() == ""


@pytest.mark.parametrize(("seconds", "budget"), [(0.0, SECONDS), (SECONDS, 0.0), (SECONDS, -1.0)])
def test_who_has_no_time_is_refused(seconds: float, budget: float) -> None:
    places = Places(most=1, most_each=1, most_waiting=1, seconds=seconds)
    with held(places, "a"), current.bind(timeout=budget):
        assert refusal(places, "b") == "OVERLOADED"
    assert places.waiting == 0


def test_a_place_is_given_back_by_who_fails() -> None:
    places = Places(most=1, most_each=1, most_waiting=0, seconds=0)
    with pytest.raises(ZeroDivisionError), places.taken("a"):
        raise ZeroDivisionError
    with held(places, "a"):
        pass

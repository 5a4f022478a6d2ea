"""Bounds on how much of one kind a process does at once."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from notify_common import clock, current
from notify_common.errors import NotifyError

_RETRY_AFTER: Final = timedelta(seconds=1)


class Places:
    """Places that are taken for a while, of which no owner has all.

    Whoever finds none waits for one: a client that asks again as soon as it is refused costs more than one
    that waits. Waiting takes a thread, so those who wait are bounded too.

    Args:
        most: in all.
        most_each: of one owner.
        most_waiting: who wait at once.
        seconds: longest wait; shorter where the request has less time.
    """

    def __init__(self, most: int, most_each: int, most_waiting: int, seconds: float) -> None:
        self._most = most
        self._most_each = most_each
        self._most_waiting = most_waiting
        self._seconds = seconds
        self._given_back = threading.Condition()
        self._taken: Counter[str] = Counter()
        self.waiting = 0
        """How many wait now."""

    @contextmanager
    def taken(self, owner: str) -> Iterator[None]:
        """Hold a place inside the block.

        Raises NotifyError where there is none in time: TOO_MANY_AT_ONCE if the owner has as many as it may,
        else OVERLOADED.
        """
        with self._given_back:
            if not self._is_free(owner) and not self._wait(owner):
                own = self._taken[owner] >= self._most_each
                raise NotifyError("TOO_MANY_AT_ONCE" if own else "OVERLOADED", retry_after=_RETRY_AFTER)
            self._taken[owner] += 1
        try:
            yield
        finally:
            with self._given_back:
                self._taken[owner] -= 1
                if not self._taken[owner]:
                    del self._taken[owner]
                self._given_back.notify_all()

    def _is_free(self, owner: str) -> bool:
        return self._taken.total() < self._most and self._taken[owner] < self._most_each

    def _wait(self, owner: str) -> bool:
        """Wait for a place; returns whether there is one."""
        if self.waiting >= self._most_waiting:
            return False
        deadline = current.deadline.get()
        seconds = self._seconds if deadline is None else min(self._seconds, deadline - clock.monotonic())
        self.waiting += 1
        try:
            return self._given_back.wait_for(lambda: self._is_free(owner), seconds)
        finally:
            self.waiting -= 1

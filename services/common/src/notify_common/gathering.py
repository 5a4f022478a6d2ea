"""Work that many callers want at once, done together: one statement, one call, one commit for all of them."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from notify_common import clock
from notify_common.errors import NotifyError

T = TypeVar("T")
R = TypeVar("R")


class _Entry(Generic[T, R]):
    """What one caller brought, and how it is told what became of it."""

    __slots__ = ("_signal", "error", "items", "leads", "results", "taken", "weight")

    def __init__(self, items: Sequence[T], weight: int) -> None:
        self.items = items
        self.weight = weight
        self.taken = False
        self.leads = False
        self.results: Sequence[R] | None = None
        self.error: BaseException | None = None
        # A bare lock wakes its waiter with one switch of threads, where an Event takes several.
        self._signal = threading.Lock()
        self._signal.acquire()

    def wait(self, timeout: float | None) -> bool:
        return self._signal.acquire(timeout=-1 if timeout is None else max(0.0, timeout))

    def wake(self) -> None:
        self._signal.release()


class Gatherer(Generic[T, R]):
    """Runs a function for many callers at once. Safe to share between threads.

    Whoever arrives while a run is under way goes into the next one. The first of those who wait runs it for
    all, on its own thread, and then hands on to the first of those who came meanwhile; so nobody works on
    once its own result is known, and no thread is kept for it.

    One alone waits for nobody. But callers that make one request after another come back together: where a
    run was shared, the next one may linger until as many callers are there again. Without that, the first to
    come back would run alone and the rest in the run after it, for ever.

    Args:
        run: takes items and returns as many results, in the same order. What it raises, all whose items it
            took get. It must bound its own time: those whose items it took wait for it.
        most_items: in one run. What one caller brings is never divided, and may be more.
        most_weight: of the items of one run together; likewise.
        weigh: weight of an item, such as its size in bytes.
        linger_seconds: how long after the end of a shared run the next one may wait for its callers.
    """

    def __init__(
        self,
        run: Callable[[list[T]], Sequence[R]],
        *,
        most_items: int,
        most_weight: int,
        weigh: Callable[[T], int],
        linger_seconds: float = 0.0,
    ) -> None:
        self._run = run
        self._most_items = most_items
        self._most_weight = most_weight
        self._weigh = weigh
        self._linger_seconds = linger_seconds
        self._lock: Final = threading.Lock()
        self._running = False
        self._waiting: deque[_Entry[T, R]] = deque()
        self._expected = 1
        self._expected_until = 0.0
        self._lingering: _Entry[T, R] | None = None

    def submit(self, items: Sequence[T], timeout: float | None = None) -> Sequence[R]:
        """Run `items` together with those of others and return their results.

        Args:
            timeout: seconds to wait until a run takes the items; None waits for ever. Once they are taken the
                caller waits for their results, whose time `run` bounds: an answer that comes a little late is
                worth more than none.

        Raises:
            NotifyError: DEADLINE_EXCEEDED, no run took them in time; nothing was done.
            Exception: whatever `run` raised.
        """
        entry: _Entry[T, R] = _Entry(items, sum(map(self._weigh, items)))
        until = None if timeout is None else clock.monotonic() + timeout
        with self._lock:
            leads = not self._running
            if leads:
                self._running = True
            else:
                self._waiting.append(entry)
                self._end_lingering()
        if not leads:
            self._await_turn(entry, timeout)
        if entry.leads and until is not None and clock.monotonic() > until:
            self._hand_on()
            raise NotifyError("DEADLINE_EXCEEDED")
        if leads or entry.leads:
            self._lead(entry, until)
        if entry.error is not None:
            raise entry.error.with_traceback(None)
        assert entry.results is not None  # noqa: S101 - a run ends with results or an error
        return entry.results

    def _await_turn(self, entry: _Entry[T, R], timeout: float | None) -> None:
        """Return when the entry has its results or leads the next run."""
        try:
            if entry.wait(timeout):
                return
            with self._lock:
                if not entry.taken and not entry.leads:
                    self._waiting.remove(entry)
                    raise NotifyError("DEADLINE_EXCEEDED")
            entry.wait(None)
        except NotifyError:
            raise
        except BaseException:
            # This thread is being ended. What it leads must not end with it.
            with self._lock:
                if not entry.taken and not entry.leads:
                    self._waiting.remove(entry)
                    raise
            if entry.leads:
                self._hand_on()
            raise

    def _lead(self, own: _Entry[T, R], until: float | None) -> None:
        entries = [own]
        try:
            self._linger(own, until)
            with self._lock:
                self._take(entries)
            results = self._run([item for entry in entries for item in entry.items])
            at = 0
            for entry in entries:
                entry.results = results[at : at + len(entry.items)]
                at += len(entry.items)
            if at != len(results):
                raise RuntimeError(f"{len(results)} results for {at} items")
        except BaseException as error:
            for entry in entries:
                entry.results = None
                entry.error = error if isinstance(error, Exception) else RuntimeError("the run was ended")
            if not isinstance(error, Exception):
                raise
        finally:
            for entry in entries[1:]:
                entry.wake()
            self._hand_on(len(entries))

    def _linger(self, own: _Entry[T, R], until: float | None) -> None:
        """Wait for those who are expected, for at most half of the time that the caller has left."""
        with self._lock:
            now = clock.monotonic()
            seconds = self._expected_until - now
            if seconds <= 0 or len(self._waiting) + 1 >= self._expected:
                return
            self._lingering = own
        if until is not None:
            seconds = min(seconds, (until - now) / 2)
        own.wait(seconds)
        with self._lock:
            self._lingering = None

    def _end_lingering(self) -> None:
        """Let the run begin if all who are expected are there."""
        if self._lingering is not None and len(self._waiting) + 1 >= self._expected:
            self._lingering.wake()
            self._lingering = None

    def _take(self, entries: list[_Entry[T, R]]) -> None:
        """Add those who wait to the run, first come first, as far as there is room."""
        items, weight = len(entries[0].items), entries[0].weight
        while self._waiting:
            following = self._waiting[0]
            items += len(following.items)
            weight += following.weight
            if items > self._most_items or weight > self._most_weight:
                return
            following.taken = True
            entries.append(self._waiting.popleft())

    def _hand_on(self, served: int = 1) -> None:
        """Let the first of those who wait lead the next run; the gatherer rests where there is none.

        `served` is the number of callers in the run that ended.
        """
        with self._lock:
            self._lingering = None
            self._expected = min(served + len(self._waiting), self._most_items)
            self._expected_until = clock.monotonic() + self._linger_seconds
            if not self._waiting:
                self._running = False
                return
            following = self._waiting.popleft()
            following.leads = True
        following.wake()

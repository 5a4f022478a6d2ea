"""Hot configuration, cached in each process and evicted by a feed (design.md §3.2)."""

import contextlib
import contextvars
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from prometheus_client import Counter, Gauge

from notify_common import clock, current
from notify_common.errors import NotifyError
from notify_common.logging import describe_exception, get_logger

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Change = TypeVar("Change")

_READS = Counter("notify_snapshot_reads_total", "Reads by how they were answered.", ["cache", "outcome"])
_CAUGHT_UP = Gauge(
    "notify_snapshot_feed_caught_up_timestamp_seconds",
    "When the end of the feed was last seen; of processes that share metrics, by the one furthest behind.",
    ["feed"],
    multiprocess_mode="livemin",
)

RETRY_AFTER_FAILURE_SECONDS = 1.0
PATIENCE_SECONDS: Final = 0.1
"""How long a load may take before an old value is served in its place."""
LONGEST_WAIT_SECONDS: Final = 30.0
"""How long who has no deadline waits for a load."""
LOADERS: Final = 4
"""Loads of one cache at once."""


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V | None
    loaded_at: float
    fresh_until: float


class _Flight(Generic[V]):
    """One load under way, which all who want the key wait for."""

    def __init__(self, started: float) -> None:
        self.landed = threading.Event()
        self.patient_until = started + PATIENCE_SECONDS
        self.keep = True
        self.value: V | None = None
        self.error: BaseException | None = None


class SnapshotCache(Generic[K, V]):
    """Values by key, read through `load_many`, evicted when a feed says that they changed.

    Staleness: what a `ConfigFeedPoller` evicts is at most about one poll old; without a poller, `ttl`. A
    value past its `ttl` that was loaded within `stale_limit` is served on (and counted as `stale`) while
    `load_many` fails or takes longer than 100 ms, unless it was evicted: a value known to have changed is
    never served. Values are shared between threads: never change one.

    Loads run in threads of the cache's own, so that a source that hangs holds up only who needs what is not
    there, and each of those no longer than its own request has time. After a load that ran out of time, one
    load at a time asks whether the source is back, and who needs another value then is refused at once.

    Args:
        name: in metrics.
        load_many: takes keys, returns their values; a key that is left out, or has None, does not exist. Must
            have a deadline of its own.
        max_entries: of all entries the least recently used ones make room.
        ttl: seconds until a value is read again although no change was heard of.
        negative_ttl: seconds for which a key is known not to exist.
        stale_limit: age in seconds up to which a value is served while `load_many` fails or hangs.
        immutable: tells keys whose values never change: they are kept until they make room for others.
    """

    def __init__(
        self,
        name: str,
        load_many: Callable[[list[K]], Mapping[K, V | None]],
        *,
        max_entries: int,
        ttl: float = 60,
        negative_ttl: float = 1,
        stale_limit: float = 900,
        immutable: Callable[[K], bool] | None = None,
    ) -> None:
        self.name = name
        self._load_many = load_many
        self._max_entries = max_entries
        self._ttl = ttl
        self._negative_ttl = negative_ttl
        self._stale_limit = stale_limit
        self._immutable = immutable or (lambda key: False)
        self._lock = threading.Lock()
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._flights: dict[K, _Flight[V]] = {}
        self._loads = 0
        self._hanging = False
        self._retry_at = 0.0
        self._loaders: ThreadPoolExecutor | None = None
        self._process = 0
        self._hit = _READS.labels(name, "hit")
        self._miss = _READS.labels(name, "miss")
        self._stale = _READS.labels(name, "stale")

    def get(self, key: K) -> V | None:
        """Return the value of `key`, None when there is no such thing.

        Raises whatever `load_many` raised when there is no value to fall back on, and NotifyError
        DEADLINE_EXCEEDED where the request has no more time to wait for it.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and clock.monotonic() < entry.fresh_until:
                self._entries.move_to_end(key)
                self._hit.inc()
                return entry.value
        return self.get_many([key])[key]

    def get_many(self, keys: Iterable[K]) -> dict[K, V | None]:
        """Return the values of all `keys`, those that must be loaded in one call; otherwise as `get`."""
        values: dict[K, V | None] = {}
        waits: dict[K, _Flight[V]] = {}
        ours: dict[K, _Flight[V]] = {}
        now = clock.monotonic()
        with self._lock:
            for key in keys:
                entry = self._entries.get(key)
                if entry is not None and now < entry.fresh_until:
                    self._entries.move_to_end(key)
                    values[key] = entry.value
                elif key not in waits:
                    flight = self._flights.get(key)
                    if flight is None and self._may_load(now):
                        flight = ours[key] = self._flights[key] = _Flight(now)
                    if flight is not None:
                        waits[key] = flight
                    else:
                        values[key] = self._old_value(key, now)
            if ours:
                self._loads += 1
        if values:
            self._hit.inc(len(values))
        if ours:
            # the load belongs to this request, but may outlive it
            run = contextvars.copy_context().run
            self._loading().submit(run, self._load, ours)
        for key, flight in waits.items():
            values[key] = self._landed(key, flight)
        return values

    def peek_many(self, keys: Iterable[K]) -> dict[K, V]:
        """Return the values that are here and not known to have changed. It neither waits nor raises.

        What is not here, or past its `ttl`, is loaded meanwhile, for whoever asks next.
        """
        values: dict[K, V] = {}
        ours: dict[K, _Flight[V]] = {}
        now = clock.monotonic()
        with self._lock:
            for key in keys:
                entry = self._entries.get(key)
                if (
                    entry is not None
                    and entry.value is not None
                    and now - entry.loaded_at <= self._stale_limit
                ):
                    values[key] = entry.value
                fresh = entry is not None and now < entry.fresh_until
                if not fresh and key not in self._flights and self._may_load(now):
                    ours[key] = self._flights[key] = _Flight(now)
            if ours:
                self._loads += 1
        if ours:
            self._loading().submit(contextvars.copy_context().run, self._load, ours)
        return values

    def evict(self, key: K) -> None:
        """Forget `key`. A load of it that is under way answers those who wait, and is not kept."""
        with self._lock:
            self._forget(key)

    def evict_where(self, matches: Callable[[K], bool]) -> None:
        """Evict all keys that match; this takes time in proportion to the number of entries."""
        with self._lock:
            for key in [key for key in (*self._entries, *self._flights) if matches(key)]:
                self._forget(key)

    def clear(self) -> None:
        """Evict all keys but those of immutable values."""
        self.evict_where(lambda key: not self._immutable(key) or self._is_negative(key))

    def __len__(self) -> int:
        return len(self._entries)

    def _is_negative(self, key: K) -> bool:
        entry = self._entries.get(key)
        return entry is None or entry.value is None

    def _forget(self, key: K) -> None:
        self._entries.pop(key, None)
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.keep = False

    def _may_load(self, now: float) -> bool:
        """Tell whether the source may be asked: always while it answers, else by one load a second."""
        return not self._hanging or (self._loads == 0 and now >= self._retry_at)

    def _old_value(self, key: K, now: float) -> V:
        """Return the value to serve in place of a fresh one. Raises NotifyError where there is none."""
        entry = self._entries.get(key)
        if entry is not None and entry.value is not None and now - entry.loaded_at <= self._stale_limit:
            self._stale.inc()
            return entry.value
        raise NotifyError("DEADLINE_EXCEEDED")

    def _landed(self, key: K, flight: _Flight[V]) -> V | None:
        """Wait for a load: a little where there is an old value, else as long as the request may."""
        left = current.time_left()
        longest = LONGEST_WAIT_SECONDS if left is None else max(0.0, min(left, LONGEST_WAIT_SECONDS))
        started = clock.monotonic()
        if not flight.landed.wait(max(0.0, min(longest, flight.patient_until - started))):
            with self._lock, contextlib.suppress(NotifyError):
                if flight.keep:
                    return self._old_value(key, started)
            if not flight.landed.wait(max(0.0, longest - PATIENCE_SECONDS)):
                raise NotifyError("DEADLINE_EXCEEDED")
        if flight.error is not None:
            raise flight.error
        return flight.value

    def _loading(self) -> ThreadPoolExecutor:
        """Return the threads that load; a forked child makes its own."""
        with self._lock:
            if self._loaders is None or self._process != os.getpid():
                self._loaders = ThreadPoolExecutor(LOADERS, f"snapshots-{self.name}")
                self._process = os.getpid()
            return self._loaders

    def _load(self, flights: dict[K, _Flight[V]]) -> None:
        current.deadline.set(None)
        loaded: Mapping[K, V | None] = {}
        error: BaseException | None = None
        try:
            loaded = self._load_many(list(flights))
        except BaseException as caught:  # whoever waits raises it
            error = caught
        now = clock.monotonic()
        with self._lock:
            self._loads -= 1
            self._hanging = isinstance(error, NotifyError) and error.reason == "DEADLINE_EXCEEDED"
            self._retry_at = now + RETRY_AFTER_FAILURE_SECONDS
            for key, flight in flights.items():
                if error is None:
                    flight.value = loaded.get(key)
                    self._miss.inc()
                    if flight.keep:
                        self._keep(key, flight.value, now)
                else:
                    self._fall_back(key, flight, now, error)
                if flight.keep:
                    self._flights.pop(key, None)
                flight.landed.set()

    def _keep(self, key: K, value: V | None, now: float) -> None:
        if value is None:
            lifetime = self._negative_ttl
        else:
            lifetime = float("inf") if self._immutable(key) else self._ttl
        self._entries[key] = _Entry(value, now, now + lifetime)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def _fall_back(self, key: K, flight: _Flight[V], now: float, error: BaseException) -> None:
        entry = self._entries.get(key)
        if entry is None or entry.value is None or now - entry.loaded_at > self._stale_limit:
            flight.error = error
            return
        self._stale.inc()
        # the next readers are answered at once, and the loader is left alone for a while
        entry.fresh_until = now + RETRY_AFTER_FAILURE_SECONDS
        flight.value = entry.value


class ConfigFeedPoller(Generic[Change]):
    """One thread that follows a feed of changes and evicts what changed.

    Args:
        name: in metrics.
        list_changes: takes a cursor (`latest` at first), returns the changes after it and the next cursor.
        on_change: called with each change, oldest first.
        on_start: called whenever a position in the feed was found anew: forget everything that may have
            changed before it (`SnapshotCache.clear`).
        interval: seconds between polls.
    """

    def __init__(
        self,
        name: str,
        list_changes: Callable[[str], tuple[Sequence[Change], str]],
        on_change: Callable[[Change], None],
        on_start: Callable[[], None],
        interval: float = 1,
    ) -> None:
        self.name = name
        self._list_changes = list_changes
        self._on_change = on_change
        self._on_start = on_start
        self._interval = interval
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start polling. Call it after any fork."""
        self._thread = threading.Thread(target=self._run, name=f"{self.name}-poller", daemon=True)
        self._caught_up()
        self._thread.start()

    def stop(self) -> None:
        """End polling."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        cursor = ""
        failing = False
        while not self._stop.is_set():
            try:
                if not cursor:
                    _, cursor = self._list_changes("latest")
                    self._on_start()
                cursor = self._follow(cursor)
                failing = False
            except Exception as error:
                if not failing:
                    get_logger().error("feed can't be read", name=self.name, **describe_exception(error))
                failing = True
            self._stop.wait(self._interval)

    def _follow(self, cursor: str) -> str:
        while True:
            changes, next_cursor = self._list_changes(cursor)
            for change in changes:
                self._on_change(change)
            if not changes or self._stop.is_set():
                self._caught_up()
                return next_cursor
            cursor = next_cursor

    def _caught_up(self) -> None:
        _CAUGHT_UP.labels(self.name).set(clock.now().timestamp())

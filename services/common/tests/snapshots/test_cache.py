"""Snapshots of hot configuration."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common import clock
from notify_common.snapshots.cache import ConfigFeedPoller, SnapshotCache

DEADLINE_SECONDS = 10


class Clock:
    """Monotonic seconds that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "monotonic", moved)
    return moved


class Source:
    """What the cache reads from; counts and can fail or be held up."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.calls: list[list[str]] = []
        self.error: Exception | None = None
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def load_many(self, keys: list[str]) -> Mapping[str, str | None]:
        self.calls.append(keys)
        found = {key: self.values[key] for key in keys if key in self.values}
        self.arrived.set()
        assert self.gate.wait(DEADLINE_SECONDS)
        if self.error is not None:
            raise self.error
        return found


def cache_of(source: Source, **options: object) -> SnapshotCache[str, str]:
    settings: dict[str, object] = {"max_entries": 100, "ttl": 60, "negative_ttl": 1, "stale_limit": 900}
    return SnapshotCache("test", source.load_many, **(settings | options))  # type: ignore[arg-type]


def test_reads_once_and_then_from_memory(moment: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source)
    assert [cache.get("a"), cache.get("a")] == ["1", "1"]
    assert source.calls == [["a"]]


def test_reads_all_that_is_missing_in_one_call(moment: Clock) -> None:
    source = Source(a="1", b="2", c="3")
    cache = cache_of(source)
    cache.get("b")
    assert cache.get_many(["a", "b", "c", "a", "none"]) == {"a": "1", "b": "2", "c": "3", "none": None}
    assert source.calls == [["b"], ["a", "c", "none"]]


def test_reads_again_after_the_ttl(moment: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source)
    cache.get("a")
    source.values["a"] = "2"
    moment.seconds += 59
    assert cache.get("a") == "1"
    moment.seconds += 2
    assert cache.get("a") == "2"


def test_remembers_what_does_not_exist_for_a_second(moment: Clock) -> None:
    source = Source()
    cache = cache_of(source)
    assert cache.get("a") is None
    source.values["a"] = "1"
    assert cache.get("a") is None
    assert len(source.calls) == 1
    moment.seconds += 1.1
    assert cache.get("a") == "1"


def test_immutable_values_are_never_read_again(moment: Clock) -> None:
    source = Source(a="1", b="1")
    cache = cache_of(source, immutable=lambda key: key == "a")
    cache.get_many(["a", "b", "none"])
    moment.seconds += 1_000_000
    cache.clear()
    assert cache.get("a") == "1"
    cache.get("b")
    assert source.calls == [["a", "b", "none"], ["b"]]


def test_immutable_key_that_does_not_exist_yet_is_asked_for_again(moment: Clock) -> None:
    source = Source()
    cache = cache_of(source, immutable=lambda key: True)
    assert cache.get("a") is None
    source.values["a"] = "1"
    moment.seconds += 1.1
    assert cache.get("a") == "1"


def test_serves_the_old_value_while_the_source_fails_and_leaves_it_alone_for_a_second(moment: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source)
    cache.get("a")
    source.error = ConnectionError()
    moment.seconds += 61
    assert [cache.get("a"), cache.get("a")] == ["1", "1"]
    assert len(source.calls) == 2
    moment.seconds += 1.1
    assert cache.get("a") == "1"
    assert len(source.calls) == 3
    source.error = None
    source.values["a"] = "2"
    moment.seconds += 1.1
    assert cache.get("a") == "2"


def test_does_not_serve_a_value_older_than_the_stale_limit(moment: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source)
    cache.get("a")
    source.error = ConnectionError()
    for _ in range(15):
        moment.seconds += 60
        assert cache.get("a") == "1"
    moment.seconds += 60
    with pytest.raises(ConnectionError):
        cache.get("a")


def test_does_not_serve_an_evicted_value_when_the_source_fails(moment: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source)
    cache.get("a")
    cache.evict("a")
    source.error = ConnectionError()
    with pytest.raises(ConnectionError):
        cache.get("a")
    source.error = None
    assert cache.get("a") == "1"


def test_evicts_what_matches(moment: Clock) -> None:
    source = Source(a1="1", a2="1", b="1")
    cache = cache_of(source)
    cache.get_many(["a1", "a2", "b"])
    cache.evict_where(lambda key: key.startswith("a"))
    source.calls.clear()
    cache.get_many(["a1", "a2", "b"])
    assert source.calls == [["a1", "a2"]]


def test_keeps_no_more_than_its_size_and_drops_what_was_used_longest_ago(moment: Clock) -> None:
    source = Source(**{letter: letter for letter in "abcd"})
    cache = cache_of(source, max_entries=3)
    cache.get_many(["a", "b", "c"])
    cache.get("a")
    cache.get("d")
    assert len(cache) == 3
    source.calls.clear()
    cache.get_many(["a", "c", "d"])
    assert source.calls == []
    cache.get("b")
    assert source.calls == [["b"]]


@given(st.lists(st.tuples(st.sampled_from(["get", "evict"]), st.integers(0, 20)), max_size=60))
def test_never_holds_more_than_its_size_and_never_answers_wrongly(steps: list[tuple[str, int]]) -> None:
    source = Source(**{str(number): f"value {number}" for number in range(0, 21, 2)})
    cache = cache_of(source, max_entries=5)
    for step, number in steps:
        if step == "get":
            assert cache.get(str(number)) == (f"value {number}" if number % 2 == 0 else None)
        else:
            cache.evict(str(number))
        assert len(cache) <= 5


def test_many_who_miss_at_once_cause_one_load() -> None:
    source = Source(a="1")
    source.gate.clear()
    cache = cache_of(source)
    waiting = threading.Barrier(9)

    def read() -> str | None:
        waiting.wait()
        return cache.get("a")

    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(read) for _ in range(8)]
        waiting.wait()
        assert source.arrived.wait(DEADLINE_SECONDS)
        source.gate.set()
        assert {read.result(DEADLINE_SECONDS) for read in reads} == {"1"}
    assert source.calls == [["a"]]


def test_all_who_wait_for_a_load_that_fails_get_its_error() -> None:
    source = Source()
    source.error = ConnectionError()
    source.gate.clear()
    cache = cache_of(source)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, "a")
        assert source.arrived.wait(DEADLINE_SECONDS)
        others = [pool.submit(cache.get, "a") for _ in range(3)]
        source.gate.set()
        for read in (first, *others):
            with pytest.raises(ConnectionError):
                read.result(DEADLINE_SECONDS)


@pytest.mark.parametrize("evict", ["evict", "evict_where", "clear"])
def test_value_that_changed_while_it_was_read_is_not_kept(evict: str) -> None:
    source = Source(a="old")
    source.gate.clear()
    cache = cache_of(source)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(cache.get, "a")
        assert source.arrived.wait(DEADLINE_SECONDS)
        source.values["a"] = "new"
        {
            "evict": lambda: cache.evict("a"),
            "evict_where": lambda: cache.evict_where(lambda key: True),
            "clear": cache.clear,
        }[evict]()
        source.gate.set()
        assert read.result(DEADLINE_SECONDS) == "old"
    assert cache.get("a") == "new"


# --- the poller


class Feed:
    """A feed whose cursor is a number; can fail."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.failures = 0
        self.polled = threading.Semaphore(0)

    def list_changes(self, cursor: str) -> tuple[list[str], str]:
        self.polled.release()
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        if cursor == "latest":
            return [], str(len(self.changes))
        page = self.changes[int(cursor) : int(cursor) + 2]
        return page, str(int(cursor) + len(page))


@pytest.fixture
def poll() -> Iterator[Callable[..., None]]:
    pollers: list[ConfigFeedPoller[str]] = []

    def start(feed: Feed, on_change: Callable[[str], None], on_start: Callable[[], None]) -> None:
        pollers.append(ConfigFeedPoller("test", feed.list_changes, on_change, on_start, interval=0.001))
        pollers[-1].start()

    yield start
    for poller in pollers:
        poller.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = threading.Event()
    for _ in range(DEADLINE_SECONDS * 200):
        if condition():
            return
        deadline.wait(0.005)
    raise AssertionError("did not happen in time")


def test_poller_hears_every_change_once_and_in_order(poll: Callable[..., None]) -> None:
    feed, heard, started = Feed(), list[str](), threading.Event()
    feed.changes = ["before"]
    poll(feed, heard.append, started.set)
    assert started.wait(DEADLINE_SECONDS)
    feed.changes += [str(number) for number in range(7)]
    wait_until(lambda: len(heard) >= 7)
    assert heard == [str(number) for number in range(7)]


def test_poller_outlives_failures_and_misses_nothing(poll: Callable[..., None]) -> None:
    feed, heard, starts = Feed(), list[str](), list[int]()
    feed.failures = 3
    poll(feed, heard.append, lambda: starts.append(1))
    wait_until(lambda: bool(starts))
    feed.failures = 3
    feed.changes.append("change")
    wait_until(lambda: heard == ["change"])
    assert starts == [1]


def test_change_evicts_and_the_next_read_sees_it(poll: Callable[..., None]) -> None:
    source, feed, started = Source(a="1"), Feed(), threading.Event()
    cache = cache_of(source)

    def on_start() -> None:
        cache.clear()
        started.set()

    poll(feed, cache.evict, on_start)
    assert started.wait(DEADLINE_SECONDS)
    assert cache.get("a") == "1"
    source.values["a"] = "2"
    feed.changes.append("a")
    wait_until(lambda: cache.get("a") == "2")

"""Snapshots of hot configuration."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify_common import clock, current
from notify_common.errors import NotifyError
from notify_common.rpc.channel import Channels
from notify_common.snapshots.cache import ConfigFeedPoller, SnapshotCache
from notify_testing.requests import any_id
from notify_testing.rpc import tls_settings
from notify_testing.waiting import WAIT_SECONDS, until


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
        assert self.gate.wait(WAIT_SECONDS)
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


def test_a_look_waits_for_nothing_and_loads_for_the_next(moment: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source)
    source.gate.clear()
    assert cache.peek_many(["a", "none"]) == {}
    assert cache.peek_many(["a", "none"]) == {}
    source.gate.set()
    until(lambda: cache.peek_many(["a", "none"]) == {"a": "1"})
    assert source.calls[0] == ["a", "none"]


def test_a_look_has_what_is_old_but_not_what_is_known_to_have_changed(moment: Clock) -> None:
    source = Source(a="1", b="1")
    cache = cache_of(source)
    cache.get_many(["a", "b"])
    cache.evict("b")
    moment.seconds += 61
    source.values = {"a": "2", "b": "2"}
    assert cache.peek_many(["a", "b"]) == {"a": "1"}
    until(lambda: cache.peek_many(["a", "b"]) == {"a": "2", "b": "2"})


def test_a_look_raises_nothing(moment: Clock) -> None:
    source = Source(a="1")
    source.error = RuntimeError("away")
    cache = cache_of(source)
    assert cache.peek_many(["a"]) == {}
    assert source.arrived.wait(WAIT_SECONDS)
    source.error = None
    assert cache.get("a") == "1"


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
        assert source.arrived.wait(WAIT_SECONDS)
        source.gate.set()
        assert {read.result(WAIT_SECONDS) for read in reads} == {"1"}
    assert source.calls == [["a"]]


def test_all_who_wait_for_a_load_that_fails_get_its_error() -> None:
    source = Source()
    source.error = ConnectionError()
    source.gate.clear()
    cache = cache_of(source)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, "a")
        assert source.arrived.wait(WAIT_SECONDS)
        others = [pool.submit(cache.get, "a") for _ in range(3)]
        source.gate.set()
        for read in (first, *others):
            with pytest.raises(ConnectionError):
                read.result(WAIT_SECONDS)


@pytest.mark.parametrize("evict", ["evict", "evict_where", "clear"])
def test_value_that_changed_while_it_was_read_is_not_kept(evict: str) -> None:
    source = Source(a="old")
    source.gate.clear()
    cache = cache_of(source)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(cache.get, "a")
        assert source.arrived.wait(WAIT_SECONDS)
        source.values["a"] = "new"
        {
            "evict": lambda: cache.evict("a"),
            "evict_where": lambda: cache.evict_where(lambda key: True),
            "clear": cache.clear,
        }[evict]()
        source.gate.set()
        assert read.result(WAIT_SECONDS) == "old"
    assert cache.get("a") == "new"


def test_an_old_value_is_served_while_a_load_hangs_and_one_load_is_enough() -> None:
    source = Source(a="old", b="other")
    cache = cache_of(source, ttl=0)
    cache.get("a")
    source.gate.clear()
    source.values["a"] = "new"

    # the loader waits for the gate, so that these come back only if they do not wait for it
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(cache.get, "a") for _ in range(4)]
        assert {read.result(WAIT_SECONDS) for read in reads} == {"old"}
    assert source.calls == [["a"], ["a"]]
    source.gate.set()
    until(lambda: cache.get("a") == "new")


def test_who_needs_what_is_not_there_waits_no_longer_than_the_request_has_time() -> None:
    source = Source(a="1")
    source.gate.clear()
    cache = cache_of(source)
    with current.bind(timeout=0.2), pytest.raises(NotifyError) as caught:
        cache.get("a")
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    source.gate.set()
    # the load went on, and serves the next
    until(lambda: len(cache) == 1)
    assert (cache.get("a"), source.calls) == ("1", [["a"]])


def test_a_load_is_not_cut_short_by_the_request_that_began_it() -> None:
    left: list[float | None] = []

    def load_many(keys: list[str]) -> Mapping[str, str]:
        left.append(current.time_left())
        return {}

    with current.bind(timeout=5):
        SnapshotCache("test", load_many, max_entries=1).get("a")
    assert left == [None]


def test_while_the_source_hangs_one_load_a_second_asks(moment: Clock) -> None:
    source = Source(a="1", b="2")
    source.error = NotifyError("DEADLINE_EXCEEDED")
    cache = cache_of(source)
    for key in ("a", "b", "a"):
        with pytest.raises(NotifyError) as caught:
            cache.get(key)
        assert caught.value.reason == "DEADLINE_EXCEEDED"
    assert source.calls == [["a"]]
    moment.seconds += 1.1
    with pytest.raises(NotifyError):
        cache.get("b")
    source.error = None
    moment.seconds += 1.1
    assert cache.get("a") == "1"
    assert cache.get("b") == "2"


STOPPABLE = """
import sys
from notify.admin.v1 import users_service_pb2 as pb, users_service_pb2_grpc as stubs
from notify.admin.v1.user_pb2 import User
from notify_common.logging import configure_logging
from notify_common.rpc.server import Registration, Server
from notify_common.settings import ServiceSettings

configure_logging("admin", "error")

class Users(stubs.UsersServiceServicer):
    def GetUser(self, request, context):
        return pb.GetUserResponse(user=User(id=request.user_id))

Server(
    "admin", ServiceSettings(allowed_callers={"notify.admin.v1.UsersService": ["gateway-internal"]}),
    [Registration(stubs.add_UsersServiceServicer_to_server, Users(), "notify.admin.v1.UsersService")], {},
).start()
print("ready", flush=True)
sys.stdin.read()
"""


def test_reads_go_on_while_admin_is_stopped(tmp_path: Path) -> None:
    files = tls_settings("admin")
    environment = os.environ | {
        "TLS_CA_FILE": str(files.tls_ca_file),
        "TLS_CERT_FILE": str(files.tls_cert_file),
        "TLS_KEY_FILE": str(files.tls_key_file),
        "GRPC_LISTEN": f"unix:{tmp_path}/grpc",
        "OPS_LISTEN": f"unix:{tmp_path}/ops",
    }
    admin = subprocess.Popen(
        [sys.executable, "-c", STOPPABLE],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    channels = Channels(tls_settings("gateway-internal"))
    stub = UsersServiceStub(channels.get("admin", f"unix:{tmp_path}/grpc"))
    loads: list[list[str]] = []

    def load_many(keys: list[str]) -> Mapping[str, str]:
        loads.append(keys)
        return {key: stub.GetUser(pb.GetUserRequest(user_id=key)).user.id for key in keys}

    cache = SnapshotCache("test", load_many, max_entries=10, ttl=0)
    try:
        assert admin.stdout is not None
        assert admin.stdout.readline() == "ready\n"
        known, unknown = any_id("known"), any_id("unknown")
        cache.get(known)
        admin.send_signal(signal.SIGSTOP)

        # far more reads than there would be time for, were each to wait for admin's deadline of 2 s
        for _ in range(500):
            with current.bind(timeout=1):
                assert cache.get(known) == known
        with current.bind(timeout=0.3), pytest.raises(NotifyError):
            cache.get(unknown)

        admin.send_signal(signal.SIGCONT)
        before = len(loads)
        until(lambda: cache.get(known) == known and len(loads) > before)
    finally:
        admin.kill()
        admin.wait()
        channels.close()


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


def test_poller_hears_every_change_once_and_in_order(poll: Callable[..., None]) -> None:
    feed, heard, started = Feed(), list[str](), threading.Event()
    feed.changes = ["before"]
    poll(feed, heard.append, started.set)
    assert started.wait(WAIT_SECONDS)
    feed.changes += [str(number) for number in range(7)]
    until(lambda: len(heard) >= 7)
    assert heard == [str(number) for number in range(7)]


def test_poller_outlives_failures_and_misses_nothing(poll: Callable[..., None]) -> None:
    feed, heard, starts = Feed(), list[str](), list[int]()
    feed.failures = 3
    poll(feed, heard.append, lambda: starts.append(1))
    until(lambda: bool(starts))
    feed.failures = 3
    feed.changes.append("change")
    until(lambda: heard == ["change"])
    assert starts == [1]


def test_change_evicts_and_the_next_read_sees_it(poll: Callable[..., None]) -> None:
    source, feed, started = Source(a="1"), Feed(), threading.Event()
    cache = cache_of(source)

    def on_start() -> None:
        cache.clear()
        started.set()

    poll(feed, cache.evict, on_start)
    assert started.wait(WAIT_SECONDS)
    assert cache.get("a") == "1"
    source.values["a"] = "2"
    feed.changes.append("a")
    until(lambda: cache.get("a") == "2")

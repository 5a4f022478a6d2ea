"""What the edge lets nobody do: see the inside, or take what everybody needs.

A small server stands for the gateway.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from notify_local import edge, envoy
from notify_local.backing import ChildProcess, free_ports, wait_until
from notify_testing.serving import serve_in_thread
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.owed_bodies import OwedBodies, allow_many_connections, answer_seconds

NEVER = float("inf")


@dataclass
class Inside:
    """What arrived at the server behind the edge."""

    port: int = 0
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, path and length of the body."""
    headers: list[dict[str, str]] = field(default_factory=list)
    lists: threading.Event = field(default_factory=threading.Event)
    """Lists of messages are not answered before it is set."""


@contextmanager
def serving(inside: Inside) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            inside.requests.append((self.command, self.path, len(body)))
            inside.headers.append({name.lower(): text for name, text in self.headers.items()})
            if self.path.split("?")[0] == "/v2/notifications":
                inside.lists.wait(60)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.send_header("X-Spelled-Like-This", "1")
            self.end_headers()
            self.wfile.write(b"ok")

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    inside.port = server.server_port
    serve_in_thread(server)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class LoneEdge:
    """An edge whose inside is a server of the test's."""

    port: int
    inside: Inside
    process: ChildProcess

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running_edge(folder: Path, **limits: Any) -> Iterator[LoneEdge]:
    allow_many_connections()
    inside = Inside()
    [port] = free_ports(1)
    with ExitStack() as stack:
        stack.enter_context(serving(inside))
        ports = [inside.port]
        config = edge.write_config(folder / "edge.yaml", port, ports, internal_ports=ports, **limits)
        process = ChildProcess("edge", envoy.command(config), folder / "edge.log", {})
        process.start()
        stack.callback(process.stop)
        assert wait_until(lambda: answer_seconds(port, 1) != [NEVER], WAIT_SECONDS)
        inside.requests.clear()
        yield LoneEdge(port, inside, process)


@pytest.fixture(scope="module")
def shared_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneEdge]:
    with running_edge(tmp_path_factory.mktemp("edge"), request_seconds=60) as started:
        yield started


@pytest.fixture
def lone_edge(shared_edge: LoneEdge) -> LoneEdge:
    shared_edge.inside.requests.clear()
    return shared_edge


def ask(port: int, path: str) -> int:
    """Ask for a path exactly as it is spelled, and return the status."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(64).split()[1])


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "//metrics", "///metrics", "/%6Detrics", "/./metrics", "/%2e/metrics", "/metrics/"),
        *("/v2/../metrics", "/v2/%2e%2e/metrics", "/v2/..%2fmetrics/../../metrics", "/v2/../v2/../metrics"),
        *("/METRICS", "/v2metrics", "/_status/../metrics", "/%2Fmetrics", "/;/metrics", "/metrics?x"),
        *("/debug", "/.git/config"),
    ],
)  # fmt: skip
def test_what_is_not_on_the_list_does_not_exist(lone_edge: LoneEdge, path: str) -> None:
    assert ask(lone_edge.port, path) == 404
    assert lone_edge.inside.requests == []


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/?x=1", "/_status", "/_status?simple=1", "/v2/templates?type=sms", "/v2//templates"),
        *("/console/", "/service/1/user", "/unsubscribe/1/abc", "/notifications/sms/mmg"),
    ],
)  # fmt: skip
def test_what_is_on_the_list_passes_as_it_is(lone_edge: LoneEdge, path: str) -> None:
    assert ask(lone_edge.port, path) == 200
    assert lone_edge.inside.requests == [("GET", path, 0)]


def test_all_ways_that_a_path_may_climb_are_read_before_it_is_judged(lone_edge: LoneEdge) -> None:
    assert ask(lone_edge.port, "/metrics/../v2/templates") == 200
    assert lone_edge.inside.requests == [("GET", "/v2/templates", 0)]


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1_000_000, 10_485_760])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_of_all_sizes_arrive_whole(lone_edge: LoneEdge, size: int, chunked: bool) -> None:
    body = b"x" * size
    parts = (body[start : start + 50_000] for start in range(0, size, 50_000))
    answer = requests.post(f"{lone_edge.url}/v2/x", data=parts if chunked else body, timeout=WAIT_SECONDS)
    assert answer.status_code == 200
    assert "X-Spelled-Like-This" in answer.headers
    assert lone_edge.inside.requests == [("POST", "/v2/x", size)]
    arrived = lone_edge.inside.headers[-1]
    assert "," not in arrived["x-forwarded-for"], "the edge has named itself as well"
    assert arrived["x-forwarded-proto"] == "http"
    assert arrived["x-request-id"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/v2/x", "/service/x"])
def test_a_body_over_the_limit(lone_edge: LoneEdge, path: str, chunked: bool) -> None:
    body = b"x" * 10_485_761
    parts = (body[start : start + 50_000] for start in range(0, len(body), 50_000))
    answer = requests.post(f"{lone_edge.url}{path}", data=parts if chunked else body, timeout=WAIT_SECONDS)
    said = shape(answer, path, "BadRequestError", 413)
    assert said == "Request body is too large. It cannot be larger than 10485760 bytes."
    assert lone_edge.inside.requests == []


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
@pytest.mark.parametrize("path", ["/v2/notifications/email", "/notifications/sms/mmg", "/d/a/b?key=c"])
def test_a_body_of_100_megabytes_is_refused_when_it_begins(
    lone_edge: LoneEdge, method: str, path: str
) -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: edge\r\nContent-Length: 100000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", lone_edge.port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(head.encode() + b"x" * 70_000)
        assert connection.recv(64).split()[1] == b"413"
    assert lone_edge.inside.requests == []


def shape(answer: requests.Response, path: str, error: str, status: int) -> str:
    """Check that an error has the shape of its path, and return its sentence."""
    assert answer.status_code == status
    body: dict[str, Any] = json.loads(answer.content)
    for name in ("Cache-Control", "Strict-Transport-Security", "Access-Control-Allow-Origin"):
        assert name in answer.headers
    if path.startswith("/v2/"):
        [entry] = body["errors"]
        assert (entry["error"], body["status_code"]) == (error, status)
        return str(entry["message"])
    assert body["result"] == "error"
    return str(body["message"])


def test_what_can_not_be_read_is_answered_in_the_legacy_shape(lone_edge: LoneEdge) -> None:
    # Its path is among what was not read.
    answer = requests.get(f"{lone_edge.url}/v2/x", headers={"With_underscore": "1"}, timeout=WAIT_SECONDS)
    assert "not valid HTTP" in shape(answer, "", "", 400)


def test_lists_wait_for_each_other_at_the_edge_and_nobody_else_does(lone_edge: LoneEdge) -> None:
    statuses: list[int] = []
    path = "/v2/notifications?status=created"
    readers = [
        threading.Thread(target=lambda: statuses.append(ask(lone_edge.port, path)), daemon=True)
        for _ in range(48)
    ]
    for reader in readers:
        reader.start()
    try:
        arrived = lone_edge.inside.requests
        assert wait_until(lambda: len(arrived) >= edge.LISTS_AT_ONCE, 20)
        sent = requests.post(f"{lone_edge.url}/v2/notifications/sms", json={}, timeout=10)
        assert sent.status_code == 200
        assert ask(lone_edge.port, "/v2/notifications/1") == 200
        assert arrived.count(("GET", path, 0)) == edge.LISTS_AT_ONCE
    finally:
        lone_edge.inside.lists.set()
    for reader in readers:
        reader.join(30)
    assert statuses == [200] * len(readers)


def test_thousands_who_owe_a_byte_keep_nobody_else_out(lone_edge: LoneEdge) -> None:
    with OwedBodies(lone_edge.port, 4_200, 2):
        assert NEVER not in answer_seconds(lone_edge.port, 20)
    assert {method for method, _, _ in lone_edge.inside.requests} == {"GET"}


def test_large_bodies_that_are_owed_a_byte_fill_their_own_lane_alone(lone_edge: LoneEdge) -> None:
    with OwedBodies(lone_edge.port, 100, 10_000_000):
        assert NEVER not in answer_seconds(lone_edge.port, 20)
        small = requests.post(f"{lone_edge.url}/v2/x", data=b"x" * 60_000, timeout=WAIT_SECONDS)
        assert small.status_code == 200
        large = requests.post(f"{lone_edge.url}/v2/x", data=b"x" * 70_000, timeout=WAIT_SECONDS)
        assert shape(large, "/v2/x", "ServiceUnavailableError", 503) == "The service is busy, try again later"
        assert large.headers["Retry-After"] == "1"
        assert psutil.Process(lone_edge.process.pid).memory_info().rss < edge.HEAP_BYTES
    assert wait_until(
        lambda: (
            requests.post(f"{lone_edge.url}/v2/x", data=b"x" * 70_000, timeout=WAIT_SECONDS).status_code
            == 200
        ),
        WAIT_SECONDS,
    )


@pytest.mark.parametrize("path", ["/v2/x", "/service/x"])
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, path: str, size: int) -> None:
    with (
        running_edge(tmp_path, request_seconds=1) as impatient,
        socket.create_connection(("127.0.0.1", impatient.port), timeout=WAIT_SECONDS) as connection,
    ):
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\nabc".encode())
        answer = b""
        while part := connection.recv(4096):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    said = json.loads(body)
    sentence = "The request took too long to arrive"
    assert said == (
        {"errors": [{"error": "BadRequestError", "message": sentence}], "status_code": 408}
        if path.startswith("/v2/")
        else {"result": "error", "message": sentence}
    )
    assert impatient.inside.requests == []


@pytest.mark.parametrize("path", ["/v2/x", "/service/x"])
def test_one_address_does_not_take_what_all_need(tmp_path: Path, path: str) -> None:
    with running_edge(tmp_path, requests_per_second=1, burst=5) as strict:
        answers = [requests.get(f"{strict.url}{path}", timeout=WAIT_SECONDS) for _ in range(10)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 4 <= len(refused) <= 9
    assert shape(refused[0], path, "RateLimitError", 429).startswith("Too many requests from this address")
    assert refused[0].headers["Retry-After"] == "1"

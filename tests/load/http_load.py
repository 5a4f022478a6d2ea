"""A small closed-loop HTTP load generator for 127.0.0.1, bounded in requests and time.

One thread drives all connections over raw sockets, so that on a small shared machine the generator takes
little from what it measures.
"""

import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

ANSWER_SECONDS = 30.0


@dataclass
class LoadResult:
    """What a run saw: seconds of wall time, one latency in seconds per answer, answers by HTTP status."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        """Answers per second of wall time."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """Latency in milliseconds that `percent` per cent of the answers did not pass."""
        ordered = sorted(self.latencies)
        if not ordered:
            return 0.0
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> int | None:
        """Take what has arrived; returns the status once the answer is whole."""
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the server closed the connection before its answer was whole")
        self.received += piece
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return None
        if len(body) < _content_length(head):
            return None
        return int(head[9:12])


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def http_request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Put an HTTP/1.1 request together."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def run_load(
    port: int,
    make_request: Callable[[int], bytes],
    *,
    connections: int,
    requests: int,
    max_seconds: float = 120.0,
) -> LoadResult:
    """Send `requests` requests over `connections` connections, each one after the answer before it.

    `make_request(n)` gives the bytes of request n, from 0. Stops early after `max_seconds`. Raises
    ConnectionError if the server breaks a connection, TimeoutError if it answers nothing for 30 s.
    """
    result = LoadResult()
    selector = selectors.DefaultSelector()
    started = time.perf_counter()
    next_request = 0
    busy = 0
    try:
        for _ in range(min(connections, requests)):
            connection = _Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(make_request(next_request))
            next_request += 1
            busy += 1
        while busy:
            ready = selector.select(ANSWER_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer within {ANSWER_SECONDS:.0f} s")
            for key, _ in ready:
                connection = key.data
                status = connection.read()
                if status is None:
                    continue
                now = time.perf_counter()
                result.latencies.append(now - connection.sent_at)
                result.statuses[status] += 1
                if next_request < requests and now - started < max_seconds:
                    connection.send(make_request(next_request))
                    next_request += 1
                else:
                    busy -= 1
    finally:
        result.seconds = time.perf_counter() - started
        for key in list(selector.get_map().values()):
            key.data.socket.close()
        selector.close()
    return result

"""Clients that owe the rest of a body: what they cost everybody else who asks the edge."""

import resource
import selectors
import socket
import time
from dataclasses import dataclass, field
from types import TracebackType

_CHUNK: bytes = b" " * 262_144


def allow_many_connections() -> None:
    """Raise this process's limit of open files, and that of the processes it starts, as far as it may go."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass
class OwedBodies:
    """Connections to `port`, each with a request whose body lacks its last byte; closed with the block."""

    port: int
    count: int
    body_bytes: int
    """Length that the requests name."""
    seconds: float = 30.0
    """How long at most sending takes; what is not sent by then stays unsent."""
    refused: int = 0
    """Connections that were not taken, or were cut off while sending."""
    _open: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> "OwedBodies":
        head = (
            "POST /v2/notifications/sms HTTP/1.1\r\nHost: edge\r\n"
            f"Content-Length: {self.body_bytes}\r\nContent-Type: application/json\r\n\r\n"
        ).encode()
        deadline = time.monotonic() + self.seconds
        with selectors.DefaultSelector() as selector:
            for _ in range(self.count):
                connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
                connection.sendall(head)
                connection.setblocking(False)
                self._open.append(connection)
                selector.register(connection, selectors.EVENT_WRITE, self.body_bytes - 1)
            while selector.get_map() and time.monotonic() < deadline:
                for key, _ in selector.select(timeout=1):
                    self._send(selector, key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._open:
            connection.close()

    def _send(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        connection, left = key.fileobj, key.data
        assert isinstance(connection, socket.socket)
        try:
            left -= connection.send(_CHUNK[:left]) if left else 0
        except BlockingIOError:
            return
        except OSError:
            self.refused += 1
            left = 0
        if left:
            selector.modify(connection, selectors.EVENT_WRITE, left)
        else:
            selector.unregister(connection)


def answer_seconds(port: int, asked: int, limit: float = 30.0) -> list[float]:
    """Ask for the status `asked` times, each on a connection of its own; return what each answer took.

    Infinity stands for no answer within `limit` seconds, or another than 200.
    """
    taken = []
    for _ in range(asked):
        start = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=limit) as connection:
                connection.sendall(
                    b"GET /_status?simple=1 HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n"
                )
                answer = connection.recv(64)
        except OSError:
            answer = b""
        taken.append(time.monotonic() - start if b" 200 " in answer[:16] else float("inf"))
    return taken

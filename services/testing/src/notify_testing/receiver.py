"""A service's own server in tests: takes callbacks over HTTPS, and does wrong on demand."""

import json
import socket
import ssl
import struct
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from notify_testing.rpc import certificates
from notify_testing.serving import serve_in_thread
from notify_testing.waiting import WAIT_SECONDS

RESET: Final = "reset"
"""Resets the connection in the middle of its answer."""
CLOSE: Final = "close"
"""Closes the connection without an answer."""
HANG: Final = "hang"
"""Answers nothing until the receiver is released."""
HUGE: Final = "huge"
"""Answers 200 and 10 MB."""
_HUGE_BYTES: Final = 10_000_000
_PIECE: Final = b" " * 100_000


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str] = field(repr=False)
    """By name in lower case."""
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


class Receiver:
    """Listens on a port of 127.0.0.1 while the `with` block runs, with a certificate of the tests' authority.

    What it does with the next request for a path can be scripted, as a status or a word of this module;
    otherwise it answers 204.
    """

    def __init__(self) -> None:
        self.location = ""
        """Where redirects lead."""
        self._received: list[Received] = []
        self._scripts: defaultdict[str, deque[int | str]] = defaultdict(deque)
        self._always: dict[str, int | str] = {}
        self._released = threading.Event()
        self._lock = threading.Lock()
        files = certificates()["gateway-public"]
        self.ca_file = files.ca
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.cert, files.key)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True

            def finish_request(self, request: Any, client_address: Any) -> None:
                # in the request's own thread: a client that is slow to shake hands holds up nobody else
                with context.wrap_socket(request, server_side=True) as wrapped:
                    super().finish_request(wrapped, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                return

        self._server = Server(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        serve_in_thread(self._server)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """Return where it is reached."""
        return f"https://{host}:{self.port}{path}"

    def script(self, path: str, *behaviours: int | str) -> None:
        """Say what it does with the next requests for a path."""
        with self._lock:
            self._scripts[path].extend(behaviours)

    def always(self, path: str, behaviour: int | str) -> None:
        """Say what it does with every request for a path that is not scripted."""
        self._always[path] = behaviour

    def of(self, path: str) -> list[Received]:
        """Return the requests for a path so far."""
        with self._lock:
            return [one for one in self._received if one.path == path]

    def release(self) -> None:
        """End all that hangs."""
        self._released.set()

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            self._received.append(Received(handler.path, headers, body))
            script = self._scripts[handler.path]
            behaviour = script.popleft() if script else self._always.get(handler.path, 204)
        match behaviour:
            case int(status):
                self._answer(handler, status, 0)
            case "huge":
                self._answer(handler, 200, _HUGE_BYTES)
                for _ in range(_HUGE_BYTES // len(_PIECE)):
                    handler.wfile.write(_PIECE)
            case "hang":
                self._released.wait(WAIT_SECONDS)
                handler.close_connection = True
            case "reset":
                self._answer(handler, 200, 1_000)
                handler.wfile.write(b"half")
                handler.wfile.flush()
                linger = struct.pack("ii", 1, 0)
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                handler.close_connection = True
            case _:
                handler.close_connection = True

    def _answer(self, handler: BaseHTTPRequestHandler, status: int, length: int) -> None:
        handler.send_response(status)
        if self.location:
            handler.send_header("Location", self.location)
        if status != 204:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()

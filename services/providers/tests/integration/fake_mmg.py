"""A stand-in for MMG: a real HTTP server that does wrong on demand."""

import json
import socket
import struct
import threading
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from notify_providers.clients.mmg import MmgSettings
from notify_testing.serving import serve_in_thread
from notify_testing.waiting import WAIT_SECONDS

from .configured import provider_settings

OK = "ok"
BUSY = "busy"
ERROR = "error"
BAD_REQUEST = "bad-request"
ERROR_INSIDE = "error-inside"
GARBAGE = "garbage"
NOTHING = "nothing"
RESET = "reset"
CLOSE = "close"
HANG = "hang"
HUGE = "huge"
_STATUSES = {BUSY: 503, ERROR: 500, BAD_REQUEST: 400}
_BODIES = {
    GARBAGE: b"<html>OK</html>",
    NOTHING: b"",
    HUGE: b" " * 200_000,
}


class FakeMmg:
    """Takes messages of MMG's JSON interface.

    What it does with the next call for a number can be scripted; otherwise it takes it.
    """

    path = "/jsonv2a/api.php"
    number_field = "MSISDN"
    id_field = "cid"
    bodies: ClassVar[dict[str, bytes]] = {
        OK: b'{"Reference":"1"}',
        ERROR_INSIDE: b'{"Error":"206","Description":"Some kind of error"}',
    }

    statuses: ClassVar[dict[str, int]] = {}
    headers: ClassVar[dict[str, dict[str, str]]] = {}

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self._scripts: defaultdict[str, deque[str]] = defaultdict(deque)
        self._hanging = 0
        self._released = threading.Event()
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fake._serve(self, fake.read(body))

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        serve_in_thread(self._server)

    @property
    def url(self) -> str:
        """Where it takes messages."""
        return f"http://127.0.0.1:{self._server.server_port}{self.path}"

    @property
    def settings(self) -> dict[str, object]:
        """Settings that make workers use it for texts, and nothing else."""
        return self.with_receipts_to(None)

    def with_receipts_to(self, url: str | None) -> dict[str, object]:
        """Return `settings`, with receipts asked for at `url`."""
        mmg = MmgSettings.model_validate({"url": self.url, "api_key": "key", "receipt_url": url})
        return {"providers": provider_settings(mmg=mmg), "sandbox_live_messages": False}

    @property
    def variables(self) -> dict[str, object]:
        """As `settings`, for the environment of a process; names without their prefix."""
        return {"mmg_url": self.url, "mmg_api_key": "key", "sandbox_live_messages": False}

    @property
    def ids(self) -> list[str]:
        """Our ids of the messages of all calls, in their order."""
        return [message[self.id_field] for message in self.messages]

    @property
    def hanging(self) -> int:
        """Calls that are waiting for `release`."""
        return self._hanging

    def read(self, body: bytes) -> dict[str, Any]:
        """Return the message that a request's body holds."""
        message: dict[str, Any] = json.loads(body)
        return message

    def script(self, number: str, *behaviours: str) -> None:
        """Set what the next calls for a number meet."""
        self._scripts[number].extend(behaviours)

    def forget(self, number: str) -> None:
        """Let the next calls for a number meet nothing special."""
        with self._lock:
            self._scripts[number].clear()

    def release(self) -> None:
        """Answer the calls that hang."""
        self._released.set()

    def close(self) -> None:
        """End it."""
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler, message: dict[str, Any]) -> None:
        with self._lock:
            self.messages.append(message)
            self.authorizations.append(handler.headers["Authorization"])
            script = self._scripts[message[self.number_field]]
            behaviour = script.popleft() if script else OK
            self._hanging += behaviour == HANG
        if behaviour == HANG:
            self._released.wait(WAIT_SECONDS)
            with self._lock:
                self._hanging -= 1
        elif behaviour == RESET:
            handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"Refe')
            handler.wfile.flush()
            linger = struct.pack("ii", 1, 0)  # closing sends a reset
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if behaviour in (RESET, CLOSE):
            handler.close_connection = True
            handler.connection.close()
            return
        status = {**_STATUSES, **self.statuses}.get(behaviour, 200)
        answer = {**_BODIES, **self.bodies}.get(behaviour, self.bodies[OK])
        try:
            handler.send_response(status)
            for name, value in self.headers.get(behaviour, {}).items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(answer)))
            handler.end_headers()
            handler.wfile.write(answer)
        except OSError:
            handler.close_connection = True

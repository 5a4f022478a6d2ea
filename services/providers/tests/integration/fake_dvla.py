"""A stand-in for DVLA's print API: a real HTTP server with tokens, keys and passwords that change."""

import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from notify_testing.serving import serve_in_thread

USERNAME = "notify"
HALF = b'{"id": "'
"""An answer that breaks off."""


class FakeDvla:
    """Takes letters from who has a token and the API key; `jobs` are those that it took, once per id."""

    def __init__(self) -> None:
        self.password = "first-password"
        self.api_key = "first-key"
        self.token_seconds = 3_600.0
        self.jobs: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.statuses: deque[int] = deque()
        """What the next print jobs are answered with, in place of being taken; 0 drops the connection after
        the letter was taken."""
        self.odd_answers: dict[str, bytes] = {}
        """What is answered with 202, whole or not, by the recipient of a letter that was taken."""
        self.drop_after_change = False
        self._tokens: set[str] = set()
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake._lock:
                    fake.calls.append(self.path)
                    status, answer = fake._answer(self.path, self.headers, body)
                if not status:
                    self.close_connection = True
                    self.connection.close()
                    return
                text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                breaks_off = text == HALF
                self.send_header("Content-Length", str(len(text) + breaks_off))
                self.end_headers()
                self.wfile.write(text)
                self.close_connection = breaks_off or self.close_connection

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        serve_in_thread(self._server)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def ids(self) -> list[str]:
        """Our ids of the letters that it took."""
        return [job["id"] for job in self.jobs]

    def count(self, path: str) -> int:
        """Return how many calls a path got."""
        return sum(call.endswith(path) for call in self.calls)

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str, headers: Any, body: dict[str, Any]) -> tuple[int, object]:
        if path == "/thirdparty-access/v1/authenticate":
            if body != {"userName": USERNAME, "password": self.password}:
                return 401, [{"status": "401", "title": "Unauthorized"}]
            now = time.time()
            claims = {"exp": now + self.token_seconds, "n": len(self._tokens)}
            token = jwt.encode(claims, "a-key-of-the-far-end-that-nobody-checks", algorithm="HS256")
            self._tokens.add(token)
            return 200, {"id-token": token}
        if path == "/thirdparty-access/v1/password":
            if (body["userName"], body["password"]) != (USERNAME, self.password):
                return 401, [{"status": "401", "title": "Unauthorized"}]
            self.password = body["newPassword"]
            return (0 if self.drop_after_change else 200), {"message": "Password successfully changed"}
        if headers["Authorization"] not in self._tokens or headers["X-API-Key"] != self.api_key:
            return 401, {"errors": [{"status": "401", "title": "Unauthorized"}]}
        if path == "/thirdparty-access/v1/new-api-key":
            self.api_key = f"key-{len(self.calls)}"
            return 200, {"newApiKey": self.api_key}
        assert path == "/print-request/v1/print/jobs"
        status = self.statuses.popleft() if self.statuses else 202
        if status in (0, 202):
            if body["id"] in self.ids:
                return 409, {"errors": [{"status": "409", "title": "Conflict"}]}
            self.jobs.append(body)
            odd = self.odd_answers.pop(body["standardParams"]["recipientName"], None)
            if odd is not None:
                return 202, odd
        return status, {"id": body["id"]} if status == 202 else {"errors": [{"status": str(status)}]}

"""A stand-in for SQS: a real HTTP server that speaks its JSON protocol, for one queue."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from notify_testing.serving import serve_in_thread

from . import fake_aws

_PATH = "/123456789012/receipts"


class FakeSqs:
    """Holds messages. Those that were received are hidden until `show_again`, or until they are deleted.

    `faults` says what was wrong with calls that were turned away.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.fails_to_delete = False
        self._messages: dict[str, bytes] = {}
        self._hidden: set[str] = set()
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                target = self.headers["X-Amz-Target"].removeprefix("AmazonSQS.")
                scope = f"/{fake_aws.REGION}/sqs/aws4_request"
                signed = f"{fake_aws.KEY['access_key_id']}/" in self.headers["Authorization"]
                if scope not in self.headers["Authorization"] or not signed:
                    fake.faults.append("wrong signature")
                if body["QueueUrl"] != fake.url:
                    fake.faults.append("wrong queue")
                status, answer = fake.answer(target, body)
                encoded = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serve_in_thread(self._server)

    @property
    def url(self) -> str:
        """The queue's URL."""
        return f"http://127.0.0.1:{self._server.server_port}{_PATH}"

    @property
    def waiting(self) -> int:
        """How many messages there are, hidden ones too."""
        return len(self._messages)

    def put(self, body: bytes) -> None:
        """Put a message into the queue."""
        with self._lock:
            self._messages[f"handle-{len(self._messages)}-{len(body)}"] = body

    def show_again(self) -> None:
        """End the visibility timeout of all messages."""
        with self._lock:
            self._hidden.clear()

    def answer(self, target: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to a call."""
        with self._lock:
            if target == "ReceiveMessage":
                shown = [handle for handle in self._messages if handle not in self._hidden]
                given = shown[: body["MaxNumberOfMessages"]]
                self._hidden.update(given)
                return 200, {"Messages": [self._message(handle) for handle in given]} if given else {}
            assert target == "DeleteMessageBatch"
            if self.fails_to_delete:
                return 500, {"__type": "com.amazonaws.sqs#InternalError", "message": "no"}
            entries = body["Entries"]
            assert 1 <= len(entries) <= 10
            for entry in entries:
                self._messages.pop(entry["ReceiptHandle"], None)
            return 200, {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def _message(self, handle: str) -> dict[str, str]:
        body = self._messages[handle]
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return {"MessageId": handle, "ReceiptHandle": handle, "Body": body.decode(), "MD5OfBody": digest}

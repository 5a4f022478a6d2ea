"""Amazon SQS as its clients see it: the JSON protocol of the calls that Celery makes, over plain HTTP."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from notify_testing.serving import serve_in_thread

_DEFAULT_VISIBILITY_SECONDS = 30
_POLL_SECONDS = 0.05


class FakeSqs:
    """Standard queues: a message that was received and not deleted is there again after a while."""

    def __init__(self) -> None:
        self.queues: dict[str, dict[str, dict[str, Any]]] = {}
        """Queue -> message id -> the message, with the instant from which it may be received."""
        self.visibility_seconds: dict[str, int] = {}
        """Queue -> how long a received message is nobody else's, as its maker wished."""
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                operation = self.headers["X-Amz-Target"].removeprefix("AmazonSQS.")
                body = json.dumps(fake._answer(operation, asked)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        serve_in_thread(self._server)
        self.port = self._server.server_port

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "ListQueues": self._list_queues,
            "CreateQueue": self._create_queue,
            "GetQueueAttributes": self._get_queue_attributes,
            "SendMessage": self._send_message,
            "ReceiveMessage": self._receive_message,
            "DeleteMessage": self._delete_message,
            "ChangeMessageVisibility": self._change_message_visibility,
        }
        return operations[operation](asked)

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/000000000000/{name}"

    def _list_queues(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            names = [name for name in self.queues if name.startswith(asked.get("QueueNamePrefix", ""))]
        return {"QueueUrls": [self._url(name) for name in names]}

    def _create_queue(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["QueueName"]
        attributes = asked.get("Attributes", {})
        with self._lock:
            self.queues.setdefault(name, {})
            self.visibility_seconds.setdefault(
                name, int(attributes.get("VisibilityTimeout", _DEFAULT_VISIBILITY_SECONDS))
            )
        return {"QueueUrl": self._url(name)}

    def _get_queue_attributes(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            messages = self._messages(asked).values()
            waiting = sum(message["from"] <= time.monotonic() for message in messages)
        return {"Attributes": {"ApproximateNumberOfMessages": str(waiting)}}

    def _send_message(self, asked: dict[str, Any]) -> dict[str, Any]:
        body, message_id = asked["MessageBody"], str(uuid4())
        with self._lock:
            self._messages(asked)[message_id] = {"body": body, "from": time.monotonic(), "received": 0}
        return {"MessageId": message_id, "MD5OfMessageBody": _md5(body)}

    def _receive_message(self, asked: dict[str, Any]) -> dict[str, Any]:
        until = time.monotonic() + asked.get("WaitTimeSeconds", 0)
        while not (found := self._take(asked)) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        return {"Messages": found} if found else {}

    def _take(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with self._lock:
            name = asked["QueueUrl"].rsplit("/", 1)[-1]
            for message_id, message in self.queues[name].items():
                if message["from"] > time.monotonic() or len(found) == asked.get("MaxNumberOfMessages", 1):
                    continue
                message["from"] = time.monotonic() + self.visibility_seconds[name]
                message["received"] += 1
                found.append(
                    {
                        "MessageId": message_id,
                        "ReceiptHandle": message_id,
                        "Body": message["body"],
                        "MD5OfBody": _md5(message["body"]),
                        "Attributes": {"ApproximateReceiveCount": str(message["received"])},
                    }
                )
        return found

    def _delete_message(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._messages(asked).pop(asked["ReceiptHandle"], None)
        return {}

    def _change_message_visibility(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            message = self._messages(asked).get(asked["ReceiptHandle"])
            if message is not None:
                message["from"] = time.monotonic() + asked["VisibilityTimeout"]
        return {}

    def _messages(self, asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return self.queues[asked["QueueUrl"].rsplit("/", 1)[-1]]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

"""A small server that a test runs twice behind Envoy and kills: `python -m tests.harness.one_of_two`.

It writes down what it takes before it answers, so that a test sees what was taken twice. Over HTTP it takes
what stands behind the last slash of a path and answers its own name, with 503 to what begins with `busy-`.
Over gRPC it takes the id of `UsersService.GetUser` and answers its own name, and the caller's as the address.
"""

import argparse
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from notify.admin.v1 import user_pb2, users_service_pb2, users_service_pb2_grpc
from notify_common.rpc.server import Registration, Server
from notify_common.rpc.tls import caller_names
from notify_common.settings import ServiceSettings
from notify_local.backing import ChildProcess
from notify_testing.certs import ensure_certificates
from notify_testing.waiting import WAIT_SECONDS, until
from prometheus_client.parser import text_string_to_metric_families

ANSWER_SECONDS = 0.005
"""How long an answer takes, so that some are owed whenever a server dies."""
CALLERS = 4
USERS = "notify.admin.v1.UsersService"
ROOT = Path(__file__).parents[2]


class Two:
    """Two such servers, and what they took."""

    def __init__(self, kind: str, ports: list[int], folder: Path) -> None:
        self.names = ["one", "two"]
        self._folder = folder
        module = [sys.executable, "-m", "tests.harness.one_of_two"]
        # From the root, as where a test runs is its own business.
        told = os.environ | {"PYTHONPATH": str(ROOT)}
        self._processes = {
            name: ChildProcess(
                name, [*module, kind, str(port), str(folder), name], folder / f"{name}.log", told
            )
            for name, port in zip(self.names, ports, strict=True)
        }
        for process in self._processes.values():
            process.start()

    def kill(self, name: str) -> None:
        """End one at once."""
        self._processes[name].kill()

    def start(self, name: str) -> None:
        """Start one again."""
        self._processes[name].start()

    def stop(self) -> None:
        """End both."""
        for process in self._processes.values():
            process.kill()

    def taken(self) -> Counter[str]:
        """Return how often each id was taken."""
        return Counter(
            line for name in self.names for line in (self._folder / f"{name}.taken").read_text().splitlines()
        )


def healthy(watch_port: int, cluster: str) -> int:
    """Return how many members of a cluster its Envoy sends requests to."""
    shown = requests.get(f"http://127.0.0.1:{watch_port}/stats/prometheus", timeout=WAIT_SECONDS).text
    for family in text_string_to_metric_families(shown):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "envoy_cluster_membership_healthy" and labels["envoy_cluster_name"] == cluster:
                return int(sample.value)
    return 0


def die_under_load(two: Two, ask: Callable[[], str | None], healthy: Callable[[], int]) -> int:
    """Have four callers ask all the time while one server dies, is left out, and comes back.

    Args:
        ask: asks once and returns the name of who answered; None if nobody did.
        healthy: how many servers are asked.

    Returns how many of the calls were answered by nobody.
    """
    until(lambda: healthy() == 2)
    over = threading.Event()
    answers: list[str | None] = []

    def ask_on() -> None:
        while not over.is_set():
            answers.append(ask())

    def both_answer() -> None:
        begun = len(answers)
        until(lambda: set(answers[begun:]) >= set(two.names))

    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(ask_on) for _ in range(CALLERS)]
        try:
            both_answer()
            two.kill("one")
            until(lambda: healthy() == 1)
            begun = len(answers)
            until(lambda: len(answers) > begun + 200)
            assert "one" not in answers[begun : begun + 200]
            two.start("one")
            until(lambda: healthy() == 2)
            both_answer()
        finally:
            over.set()
        for caller in callers:
            caller.result()
    return answers.count(None)


def _serve_http(port: int, take: Callable[[str], None], name: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = self.path.rpartition("/")[2]
            if not self.path.startswith("/_status"):
                take(asked)
            self.send_response(503 if asked.startswith("busy-") else 200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def _serve_grpc(port: int, take: Callable[[str], None], name: str, certificates: Path) -> None:
    class Users(users_service_pb2_grpc.UsersServiceServicer):
        def GetUser(self, request: Any, context: Any) -> users_service_pb2.GetUserResponse:
            take(request.user_id)
            [caller, *_] = caller_names(context)
            return users_service_pb2.GetUserResponse(user=user_pb2.User(name=name, email_address=caller))

    files = ensure_certificates(certificates, ["admin"])["admin"]
    settings = ServiceSettings(
        grpc_listen=f"127.0.0.1:{port}",
        tls_ca_file=files.ca,
        tls_cert_file=files.cert,
        tls_key_file=files.key,
        allowed_callers={USERS: ["gateway-internal"]},
    )
    add = users_service_pb2_grpc.add_UsersServiceServicer_to_server
    server = Server("admin", settings, [Registration(add, Users(), USERS)], {})
    server.start()
    threading.Event().wait()


def main() -> None:
    """Serve until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["http", "grpc"])
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    told = parser.parse_args()
    with (told.folder / f"{told.name}.taken").open("a", buffering=1) as taken:

        def take(id: str) -> None:
            taken.write(f"{id}\n")
            time.sleep(ANSWER_SECONDS)

        if told.kind == "http":
            _serve_http(told.port, take, told.name)
        _serve_grpc(told.port, take, told.name, told.folder / "certs")


if __name__ == "__main__":
    main()

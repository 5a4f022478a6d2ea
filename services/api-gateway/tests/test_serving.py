"""The gateway as granian serves it (design.md §4.2, §4.3)."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from notify_gateway.settings import GatewaySettings
from notify_testing.rpc import certificates
from notify_testing.waiting import WAIT_SECONDS, until

from .conftest import Tenant
from .neighbours import Neighbours

TEMPLATE_ID = "f33517ff-2a88-4f6e-b855-c550268ce08a"
SMS = {"phone_number": "07400123456", "template_id": TEMPLATE_ID}


@dataclass
class Served:
    """A gateway that is served as in production.

    Attributes:
        process: the parent of its workers.
        url: where it is.
        log: what it wrote.
    """

    process: subprocess.Popen[bytes]
    url: str
    log: Path


@pytest.fixture
def granian(request: pytest.FixtureRequest, settings: GatewaySettings, tmp_path: Path) -> Iterator[Served]:
    """Provide a gateway of the test's own."""
    drain_seconds = 300 if getattr(request, "param", None) == "slowly" else 0
    with served(settings, tmp_path / "log", drain_seconds) as started:
        yield started


@pytest.fixture(scope="module")
def shared_granian(settings: GatewaySettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Provide a gateway that the test leaves as it is."""
    with served(settings, tmp_path_factory.mktemp("gateway") / "log", 0) as started:
        yield started


@contextlib.contextmanager
def served(settings: GatewaySettings, log: Path, drain_seconds: int) -> Iterator[Served]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    files = certificates()["gateway-public"]
    told = {
        "HTTP_LISTEN": f"127.0.0.1:{port}",
        "HTTP_THREADS": 4,
        "DRAIN_SECONDS": drain_seconds,
        "TLS_CA_FILE": files.ca,
        "TLS_CERT_FILE": files.cert,
        "TLS_KEY_FILE": files.key,
        "ADMIN_TARGET": settings.admin_target,
        "NOTIFICATIONS_TARGET": settings.notifications_target,
        "LETTERS_TARGET": settings.letters_target,
        "PROVIDERS_TARGET": settings.providers_target,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "notify_gateway", "serve"],
            env=os.environ | {f"NOTIFY_GATEWAY_{name}": str(value) for name, value in told.items()},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_it_answers(process, url)
        yield Served(process, url, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers would outlive it
        process.wait()


def wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while process.poll() is None:
        try:
            if httpx.get(f"{url}/_status?simple=1").status_code == 200:
                return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
    pytest.fail(f"granian ended with {process.returncode}")


def test_a_request_under_way_is_answered_after_sigterm(
    granian: Served, tenant: Tenant, neighbours: Neighbours
) -> None:
    process, url, log = granian.process, granian.url, granian.log
    headers = tenant.headers()
    assert httpx.post(f"{url}/v2/notifications/sms", json=SMS, headers=headers).status_code == 201
    gate = neighbours.recorder.gates["SendSms"] = threading.Event()
    answers: list[int] = []

    def ask() -> None:
        answers.append(
            httpx.post(
                f"{url}/v2/notifications/sms", json=SMS, headers=headers, timeout=WAIT_SECONDS
            ).status_code
        )

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: len(neighbours.recorder.requests("SendSms")) >= 2)
    process.send_signal(signal.SIGTERM)
    gate.set()
    asking.join(timeout=WAIT_SECONDS)
    assert answers == [201]
    assert process.wait(timeout=WAIT_SECONDS) == 0
    assert b"Traceback" not in log.read_bytes()
    assert not re.search(rb"900123|07400123456", log.read_bytes())


@pytest.mark.parametrize("granian", ["slowly"], indirect=True)
def test_told_to_stop_it_says_so_and_serves_on(granian: Served, tenant: Tenant) -> None:
    process, url = granian.process, granian.url
    process.send_signal(signal.SIGTERM)
    until(lambda: httpx.get(f"{url}/_status?simple=1").status_code == 503)
    assert httpx.post(f"{url}/v2/notifications/sms", json=SMS, headers=tenant.headers()).status_code == 201
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=WAIT_SECONDS) == 0


def test_an_idempotency_key_beyond_ascii_is_not_dropped(shared_granian: Served, tenant: Tenant) -> None:
    url = shared_granian.url
    headers = {name.encode(): value.encode() for name, value in tenant.headers().items()}
    for key in (b"order-\xfc", "order-ü".encode()):
        answer = httpx.post(
            f"{url}/v2/notifications/sms", json=SMS, headers=headers | {b"Idempotency-Key": key}
        )
        assert answer.status_code == 400


def test_bodies_without_a_length(shared_granian: Served, tenant: Tenant) -> None:
    url = shared_granian.url

    def parts() -> Iterator[bytes]:
        yield b'{"phone_number": "07400123456", '
        yield f'"template_id": "{TEMPLATE_ID}"}}'.encode()

    address = f"{url}/v2/notifications/sms"
    assert httpx.post(address, content=parts(), headers=tenant.headers()).status_code == 201

    def too_many() -> Iterator[bytes]:
        for _ in range(12):
            yield b" " * 1_000_000

    assert httpx.post(address, content=too_many(), headers=tenant.headers()).status_code == 413


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("path", "status"), [("/v2/notifications/sms", 401), ("/v2/nothing", 404)])
def test_a_refusal_cuts_no_client_off_that_is_still_sending(
    shared_granian: Served, method: str, path: str, status: int
) -> None:
    url = shared_granian.url
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=WAIT_SECONDS)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request(method, path, body=b" " * 9_000_000)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
        assert connection.sock is first, "the server closed the connection"
    connection.close()

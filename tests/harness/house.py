"""The whole house for tests: real processes, and a client that repeats a request until it has an answer."""

import itertools
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import jwt
import psycopg2
import requests
from notify.letters.v1 import print_runs_service_pb2, print_runs_service_pb2_grpc
from notify.providers.v1 import (
    provider_settings_service_pb2,
    provider_settings_service_pb2_grpc,
    sandbox_service_pb2,
    sandbox_service_pb2_grpc,
)
from notify_local.seed import Seeded, seed
from notify_local.stack import Options, Stack
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from tests.harness.text_providers import Mmg

COPIES = int(os.environ.get("NOTIFY_COPIES", "1"))
"""How many there are of each server and worker, unless a test says otherwise."""
ACCEPT_SECONDS = 300.0
"""How long a client repeats one request before it gives up: a busy machine starts a process in minutes."""
SETTLE_SECONDS = 300.0
"""How long messages may take to arrive after a death: the longest lease (60 s) runs out first."""
ASK_SECONDS = 30.0
"""How long a client waits for one answer."""

TRACED = {
    "gateway-public": "GATEWAY",
    "notifications": "NOTIFICATIONS",
    "notifications-work": "NOTIFICATIONS",
    "providers": "PROVIDERS",
    "providers-work": "PROVIDERS",
}
"""The processes that a text passes, with the context whose settings each reads."""

AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""What a caller is told who may ask again."""

LETTER_PROCESSES = ("letters", "letters-work", "letters-celery", "letters-beat")

PROVIDER_SECONDS = 2.0
"""Longest time for one provider call."""

SETTINGS = {
    # What the processes of one gateway share is seen only where there are two.
    "gateway-public": {"NOTIFY_GATEWAY_HTTP_PROCESSES": "2"},
    "providers-work": {
        "NOTIFY_PROVIDERS_SANDBOX_RECEIPT_DELAY_SECONDS": "0.1",
        "NOTIFY_PROVIDERS_SANDBOX_KEEP_COUNT": "1000000",
        "NOTIFY_PROVIDERS_PROVIDER_TIMEOUT_SECONDS": str(PROVIDER_SECONDS),
        "NOTIFY_PROVIDERS_RETRY_INTERVAL_SECONDS": "2",
    },
    # A task that died with its worker is sent again while a test waits, not minutes later.
    **{
        process: {"NOTIFY_LETTERS_LEASE_SECONDS": "10", "NOTIFY_LETTERS_RESEND_SECONDS": "10"}
        for process in LETTER_PROCESSES
    },
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that was accepted: its id, how often it was asked for, and how long that took."""

    id: str
    tries: int
    seconds: float


@dataclass(frozen=True)
class House:
    """A platform that runs, with its demo service."""

    stack: Stack
    seeded: Seeded
    collector: "Collector"
    mmg: Mmg
    """Takes the texts while `texts_go_to_mmg`; its receipts come by themselves."""

    def headers(self, key: str = "normal", **more: str) -> dict[str, str]:
        """Return the headers of a request by the demo service, with a fresh token."""
        api_key = self.seeded.api_keys[key]
        token = jwt.encode({"iss": api_key[-73:-37], "iat": int(time.time())}, api_key[-36:], "HS256")
        return {"Authorization": f"Bearer {token}", **more}

    def query(self, context: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement in a context's database."""
        with closing(psycopg2.connect(self.stack.app_urls[context])) as made, made.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def send(self, channel: str, body: dict[str, Any], key: str = "normal") -> Accepted:
        """Send one message as a careful client does.

        The same Idempotency-Key goes with every repetition, so that a lost answer is no second message.
        """
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        begun = time.monotonic()
        pause = threading.Event()
        for tries in itertools.count(1):
            try:
                answer = _session().post(
                    f"{self.stack.base_url}/v2/notifications/{channel}",
                    json=body,
                    headers=self.headers(key, **headers),
                    timeout=ASK_SECONDS,
                )
                if answer.status_code == 201:
                    return Accepted(str(answer.json()["id"]), tries, time.monotonic() - begun)
                # a try that was given up may still run behind another gateway
                runs = answer.status_code == 409 and "still running" in answer.text
                assert runs or answer.status_code >= 500, answer.text
            except (requests.ConnectionError, requests.Timeout):
                pass
            if time.monotonic() - begun > ACCEPT_SECONDS:
                break
            pause.wait(0.05)
        raise AssertionError(f"no {channel} was accepted for {ACCEPT_SECONDS:.0f} s")

    def start_print_run(self) -> None:
        """Start a print run of all letters that are ready, as an operator would, who asks until it is."""
        request = print_runs_service_pb2.StartPrintRunRequest(request_id=str(uuid.uuid4()))

        def started() -> bool:
            with self.channel("letters") as channel:
                try:
                    stub = print_runs_service_pb2_grpc.PrintRunsServiceStub(channel)
                    stub.StartPrintRun(request, timeout=ASK_SECONDS)
                except grpc.RpcError as error:
                    if error.code() not in AGAIN:
                        raise
                    return False
            return True

        assert eventually(started, SETTLE_SECONDS)

    @contextmanager
    def texts_go_to_mmg(self) -> Iterator[None]:
        """Have texts handed to MMG while the block runs, and to the sandbox again after it."""
        self._use_mmg(True)
        try:
            yield
        finally:
            self._use_mmg(False)

    def _use_mmg(self, active: bool) -> None:
        with self.channel("providers") as channel:
            stub = provider_settings_service_pb2_grpc.ProviderSettingsServiceStub(channel)
            listed = stub.ListProviders(
                provider_settings_service_pb2.ListProvidersRequest(), timeout=ASK_SECONDS
            )
            mmg = next(provider for provider in listed.providers if provider.name == "mmg")
            mmg.active = active
            request = provider_settings_service_pb2.UpdateProviderRequest(provider=mmg)
            request.update_mask.paths.append("active")
            stub.UpdateProvider(request, timeout=ASK_SECONDS)

    def sandbox_copies(self) -> dict[str, int]:
        """Return how many copies of each message the sandbox was handed, by message id."""
        found: dict[str, int] = {}
        request = sandbox_service_pb2.ListSandboxMessagesRequest(page_size=250)
        with self.channel("providers") as channel:
            stub = sandbox_service_pb2_grpc.SandboxServiceStub(channel)
            while True:
                page = stub.ListSandboxMessages(request, timeout=ASK_SECONDS)
                found |= {message.id: message.copy_count for message in page.messages}
                request.page_token = page.next_page_token
                if not request.page_token:
                    return found

    def states(self, ids: list[str]) -> dict[str, int]:
        """Return how many of these notifications are in each state."""
        rows = self.query(
            "notifications",
            "SELECT state, count(*) FROM notifications WHERE id = ANY(%s::uuid[]) GROUP BY state",
            ids,
        )
        return dict(rows)

    def wait_for_states(self, ids: list[str], wanted: str) -> None:
        """Wait until all these notifications are in one state."""
        arrived = eventually(lambda: self.states(ids) == {wanted: len(ids)}, SETTLE_SECONDS)
        assert arrived, f"{self.states(ids)} of {len(ids)} messages, not all {wanted}"

    def are_typeset(self, ids: list[str]) -> bool:
        """Return whether notifications knows of the PDF of each of these letters."""
        missing = "SELECT count(*) FROM notifications WHERE id = ANY(%s::uuid[]) AND sheet_count IS NULL"
        return self.query("notifications", missing, ids) == [(0,)]

    def wait_until_typeset(self, ids: list[str]) -> None:
        """Wait until notifications knows of the PDF of each of these letters."""
        assert eventually(lambda: self.are_typeset(ids), SETTLE_SECONDS)

    def channel(self, context: str) -> grpc.Channel:
        """Return a channel to a context with the operator's certificate; close it after use."""
        return self.stack.operator_channel(self.stack.grpc_targets[context])


_sessions = threading.local()


def _session() -> requests.Session:
    session: requests.Session | None = getattr(_sessions, "session", None)
    if session is None:
        session = _sessions.session = requests.Session()
    return session


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask until a condition holds or the time is up; return whether it held."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.2)
    return True


class Collector(TraceServiceServicer):
    """What OpenTelemetry exports to; keeps the spans of the traces that it was told to watch."""

    def __init__(self) -> None:
        self._spans: dict[str, set[tuple[str, str]]] = {}

    def watch(self, trace_id: str) -> None:
        """Keep the spans of this trace (32 hex digits) from now on."""
        self._spans[trace_id] = set()

    def spans(self, trace_id: str) -> set[tuple[str, str]]:
        """Return (service, span name) of the spans of a watched trace so far."""
        return set(self._spans[trace_id])

    def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:
        """Take the spans of one export: the collector's only method."""
        for resource in request.resource_spans:
            service = next(
                attribute.value.string_value
                for attribute in resource.resource.attributes
                if attribute.key == "service.name"
            )
            for scope in resource.scope_spans:
                for span in scope.spans:
                    kept = self._spans.get(span.trace_id.hex())
                    if kept is not None:
                        kept.add((service, span.name))
        return ExportTraceServiceResponse()


@contextmanager
def running_house(
    folder: Path,
    say: Callable[[str], None] = lambda _: None,
    copies: int = COPIES,
    make: Callable[[Options], Stack] = Stack,
) -> Iterator[House]:
    """Provide a house in `folder` with its edge, stopped at the end.

    Args:
        say: is told what is being started.
        copies: of each server and worker.
        make: makes its stack.
    """
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)
    endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    mmg = Mmg(late_seconds=2 * PROVIDER_SECONDS)
    mmg.listen()
    traced = {name: {f"NOTIFY_{context}_OTLP_ENDPOINT": endpoint} for name, context in TRACED.items()}
    with_mmg = {"NOTIFY_PROVIDERS_MMG_URL": mmg.url, "NOTIFY_PROVIDERS_MMG_API_KEY": "stand-in"}
    told = dict.fromkeys(("providers", "providers-work"), with_mmg)
    environment = {
        name: traced.get(name, {}) | SETTINGS.get(name, {}) | told.get(name, {})
        for name in {*traced, *SETTINGS, *told}
    }
    options = Options(
        folder, with_edge=True, with_receiver=True, extra_environment=environment, copies=copies
    )
    stack = make(options)
    try:
        stack.start(say)
        house = House(stack, seed(stack), collector, mmg)
        house._use_mmg(False)
        with reporting(house):
            yield house
    finally:
        stack.stop()
        server.stop(None).wait()
        mmg.leave()


@contextmanager
def reporting(house: House) -> Iterator[None]:
    """Have a receipt come for each text that MMG takes, repeated until it is answered with 200."""
    over = threading.Event()

    def report(id: str) -> None:
        while not over.is_set():
            try:
                url = f"{house.stack.base_url}/notifications/sms/mmg"
                if _session().post(url, json={"CID": id, "status": "3"}, timeout=ASK_SECONDS).ok:
                    return
            except (requests.ConnectionError, requests.Timeout):
                pass
            over.wait(0.2)

    with ThreadPoolExecutor(2) as pool:

        def report_soon(id: str) -> None:
            pool.submit(report, id)

        house.mmg.on_taken = report_soon
        try:
            yield
        finally:
            house.mmg.on_taken = lambda _: None
            over.set()


def log_lines(folder: Path, process: str) -> list[dict[str, Any]]:
    """Return the JSON lines that a process has logged."""
    text = (folder / "logs" / f"{process}.log").read_text(errors="replace")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

"""The whole house for tests: real processes, and a client that repeats a request until it has an answer."""

import json
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
    dispatch_pb2,
    dispatch_service_pb2,
    dispatch_service_pb2_grpc,
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

ACCEPT_SECONDS = 60.0
"""How long a client repeats one request before it gives up."""
SETTLE_SECONDS = 150.0
"""How long messages may take to arrive after a death: the longest lease (60 s) runs out first."""
CLIENTS = 8

TRACED = {
    "api-gateway": "GATEWAY",
    "notifications": "NOTIFICATIONS",
    "notifications-work": "NOTIFICATIONS",
    "providers": "PROVIDERS",
    "providers-work": "PROVIDERS",
}
"""The processes that a text passes, with the context whose settings each reads."""

LETTER_PROCESSES = ("letters", "letters-work", "letters-celery", "letters-beat")

SETTINGS = {
    "providers-work": {
        "NOTIFY_PROVIDERS_SANDBOX_RECEIPT_DELAY_SECONDS": "0.1",
        "NOTIFY_PROVIDERS_SANDBOX_KEEP_COUNT": "1000000",
    },
    # A task that died with its worker is sent again while a test waits, not minutes later.
    **{
        process: {"NOTIFY_LETTERS_LEASE_SECONDS": "10", "NOTIFY_LETTERS_RESEND_SECONDS": "10"}
        for process in LETTER_PROCESSES
    },
}


@dataclass(frozen=True)
class House:
    """A platform that runs, with its demo service."""

    stack: Stack
    seeded: Seeded
    collector: "Collector"

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

    def send(self, channel: str, body: dict[str, Any], key: str = "normal") -> str:
        """Send one message as a careful client does, and return its id.

        The same Idempotency-Key goes with every repetition, so that a lost answer is no second message.
        """
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        deadline = time.monotonic() + ACCEPT_SECONDS
        pause = threading.Event()
        while True:
            try:
                answer = _session().post(
                    f"{self.stack.base_url}/v2/notifications/{channel}",
                    json=body,
                    headers=self.headers(key, **headers),
                    timeout=10,
                )
                if answer.status_code == 201:
                    return str(answer.json()["id"])
                assert answer.status_code >= 500, answer.text
            except (requests.ConnectionError, requests.Timeout):
                pass
            assert time.monotonic() < deadline, f"no {channel} was accepted for {ACCEPT_SECONDS:.0f} s"
            pause.wait(0.05)

    def send_many(self, count: int, send: Callable[[int], str], at_half: Callable[[], None]) -> list[str]:
        """Send `count` messages with CLIENTS clients; call `at_half` once, when half are done.

        Returns what `send` returned for 0 … count - 1; raises what it raised.
        """
        done = 0
        lock = threading.Lock()
        half = threading.Event()

        def one(number: int) -> str:
            nonlocal done
            try:
                return send(number)
            finally:
                with lock:
                    done += 1
                    if done >= count // 2:
                        half.set()

        with ThreadPoolExecutor(CLIENTS) as clients:
            waiting = [clients.submit(one, number) for number in range(count)]
            half.wait()
            at_half()
            return [future.result() for future in waiting]

    def start_print_run(self) -> None:
        """Start a print run of all letters that are ready, as an operator would."""
        with self.channel("letters") as channel:
            print_runs_service_pb2_grpc.PrintRunsServiceStub(channel).StartPrintRun(
                print_runs_service_pb2.StartPrintRunRequest(request_id=str(uuid.uuid4())), timeout=10
            )

    def sandbox_copies(self) -> dict[str, int]:
        """Return how many copies of each message the sandbox was handed, by message id."""
        found: dict[str, int] = {}
        request = sandbox_service_pb2.ListSandboxMessagesRequest(page_size=250)
        with self.channel("providers") as channel:
            stub = sandbox_service_pb2_grpc.SandboxServiceStub(channel)
            while True:
                page = stub.ListSandboxMessages(request, timeout=10)
                found |= {message.id: message.copy_count for message in page.messages}
                request.page_token = page.next_page_token
                if not request.page_token:
                    return found

    def in_doubt(self) -> set[str]:
        """Return the ids of the dispatches that wait for a person's decision."""
        with self.channel("providers") as channel:
            page = dispatch_service_pb2_grpc.DispatchServiceStub(channel).ListDispatches(
                dispatch_service_pb2.ListDispatchesRequest(
                    state=dispatch_pb2.Dispatch.STATE_IN_DOUBT, page_size=250
                ),
                timeout=10,
            )
        return {dispatch.id for dispatch in page.dispatches}

    def wait_for_states(self, ids: list[str], wanted: str) -> None:
        """Wait until all these notifications are in one state."""
        states: dict[str, int] = {}

        def settled() -> bool:
            nonlocal states
            rows = self.query(
                "notifications",
                "SELECT state, count(*) FROM notifications WHERE id = ANY(%s::uuid[]) GROUP BY state",
                ids,
            )
            states = dict(rows)
            return states == {wanted: len(ids)}

        assert eventually(settled, SETTLE_SECONDS), f"{states} of {len(ids)} messages, not all {wanted}"

    def wait_until_typeset(self, ids: list[str]) -> None:
        """Wait until notifications knows of the PDF of each of these letters."""
        missing = "SELECT count(*) FROM notifications WHERE id = ANY(%s::uuid[]) AND sheet_count IS NULL"
        assert eventually(lambda: self.query("notifications", missing, ids) == [(0,)], SETTLE_SECONDS)

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
        pause.wait(0.1)
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
def running_house(folder: Path) -> Iterator[House]:
    """Provide a house in `folder` with its edge, stopped at the end."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)
    endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    traced = {name: {f"NOTIFY_{context}_OTLP_ENDPOINT": endpoint} for name, context in TRACED.items()}
    environment = {name: traced.get(name, {}) | SETTINGS.get(name, {}) for name in {*traced, *SETTINGS}}
    stack = Stack(Options(folder, with_edge=True, extra_environment=environment))
    try:
        stack.start()
        yield House(stack, seed(stack), collector)
    finally:
        stack.stop()
        server.stop(None).wait()


def log_lines(folder: Path, process: str) -> list[dict[str, Any]]:
    """Return the JSON lines that a process has logged."""
    text = (folder / "logs" / f"{process}.log").read_text(errors="replace")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

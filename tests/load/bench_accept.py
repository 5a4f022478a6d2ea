"""How fast the platform accepts texts and emails, beside a bare skeleton of the same parts in the same run.

The whole platform runs as it is deployed, over mTLS, in a folder of the bench's own, on a PostgreSQL that
writes durably; the skeleton (Flask, one gRPC hop, one insert) has a database of its own on that server. Load
comes from this machine over 127.0.0.1. Two parts:

1. accept: HTTP request to the answer 201, for the skeleton, texts and emails, at 1, 8 and 32 connections. All
   cases take turns in each of several rounds, so that what disturbs the machine disturbs all alike; figures
   are medians over the rounds. Each request is different; a token is made for each second, as the official
   client does, outside of what is measured. First with the workers stopped, which compares like with like:
   the skeleton has nothing behind it. Then with the workers running, which hand over and deliver on the same
   cores what is being accepted; a turn begins when what the one before accepted is delivered.
   The processor time of each process for one answer is measured too: where a machine is busy with other
   things it is the figure to go by.
2. accept to attempt: texts are sent one by one with the official client while nothing else happens. Measured
   from the notification's create_time to the start_time of the provider's attempt, which is written just
   before the call.

Prints a table and one JSON line.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import jwt
import psutil
import sqlalchemy as sa
from http_load import LoadResult, http_request, run_load
from meter import Meter, pids
from notifications_python_client.notifications import NotificationsAPIClient
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_local.backing import wait_until
from notify_local.seed import seed
from notify_local.stack import Options, Stack
from notify_testing.folders import passable_folder
from sqlalchemy.dialects.postgresql import ARRAY
from stacks import SKELETON, running_skeleton

CONNECTIONS = (1, 8, 32)
BODIES = 256
"""Different bodies that are sent in turn."""
TOKEN_SECONDS = 25
"""Tokens made ahead of a turn, one for each second; a turn ends sooner."""
DRAIN_SECONDS = 300.0

WORKERS = (
    "notifications-work",
    "notifications-callbacks",
    "notifications-jobs",
    "providers-work",
    "letters-work",
    "letters-celery",
)
MEASURED = ("edge", "gateway-public", "notifications")
"""Processes whose memory and processor time are reported, besides those of PostgreSQL and Redis."""

RequestMaker = Callable[[int], bytes]


class Workers(StrEnum):
    """What the workers do while requests are accepted."""

    STOPPED = "stopped"
    RUNNING = "running"


@dataclass
class Case:
    """One kind of request at one number of connections, and what its rounds gave."""

    name: str
    connections: int
    workers: Workers
    port: int
    prepare: Callable[[], RequestMaker]
    """Makes the requests of one turn: tokens age."""
    rounds: list[LoadResult] = field(default_factory=list)
    processor_ms: list[dict[str, float]] = field(default_factory=list)
    """Of each round: processor time that each process took for one answer."""

    def measure(self, requests: int, meter: Meter) -> LoadResult:
        """One turn that counts. Raises SystemExit for an answer other than 201."""
        before = meter.read()
        result = self.run(requests)
        answers = len(result.latencies)
        after = meter.read()
        self.processor_ms.append({name: (after[name] - before[name]) * 1000 / answers for name in after})
        self.rounds.append(result)
        return result

    def run(self, requests: int) -> LoadResult:
        """One turn. Raises SystemExit for an answer other than 201."""
        result = run_load(
            self.port,
            self.prepare(),
            connections=self.connections,
            requests=requests,
            max_seconds=TOKEN_SECONDS - 5,
        )
        if set(result.statuses) != {201}:
            raise SystemExit(f"{self.name}: answers were {dict(result.statuses)}")
        return result

    def processor(self) -> dict[str, float]:
        """Milliseconds of processor time an answer, by process, medians over the rounds."""
        names = self.processor_ms[0]
        return {name: statistics.median(one[name] for one in self.processor_ms) for name in names}

    def per_second(self) -> float:
        """Median over the rounds."""
        return float(statistics.median(result.per_second for result in self.rounds))

    def percentile(self, percent: float) -> float:
        """Milliseconds, median over the rounds."""
        return float(statistics.median(result.percentile(percent) for result in self.rounds))


def main() -> None:
    """Run both parts."""
    arguments = _arguments()
    with ExitStack() as exits:
        folder = exits.enter_context(passable_folder("notify-bench-"))
        stack = Stack(Options(folder / "stack", console=False, with_edge=True))
        exits.callback(stack.stop)
        stack.start(lambda step: _progress(f"starting {step}"))
        seeded = seed(stack)
        skeleton_port, skeleton_pids = exits.enter_context(running_skeleton(stack, folder))
        notifications = exits.enter_context(_database(stack, "notifications"))
        providers = exits.enter_context(_database(stack, "providers"))
        client = NotificationsAPIClient(seeded.api_keys["normal"], base_url=stack.base_url)
        alone, delivering = (
            _cases(client, stack.port, skeleton_port, seeded.templates, workers) for workers in Workers
        )
        for worker in WORKERS:
            stack.processes[worker].stop()
        _progress("accepting with the workers stopped")
        meter = Meter(pids(stack, MEASURED, ["postgres", "redis"]) | skeleton_pids)
        _accept(alone, arguments.requests, arguments.rounds, meter, lambda: None)
        for worker in WORKERS:
            stack.restart(worker)
        _progress("waiting until all is delivered")
        _wait_delivered(notifications)
        _progress("accepting with the workers running")
        _accept(
            delivering, arguments.requests, arguments.rounds, meter, lambda: _wait_delivered(notifications)
        )
        _progress(f"sending {arguments.latency_messages} texts one by one")
        latency = _accept_to_attempt(
            client, seeded.templates["sms"], notifications, providers, arguments.latency_messages
        )
        memory = {name: _peak_mib(stack.processes[name].pid) for name in MEASURED}
    result = {
        "bench": "accept",
        "requests": arguments.requests,
        "rounds": arguments.rounds,
        "accept": [_figures(case, cases) for cases in (alone, delivering) for case in cases],
        "latency_messages": arguments.latency_messages,
        **latency,
        **{f"{name}_peak_rss_mib": round(peak) for name, peak in memory.items()},
        "machine": _machine(),
    }
    _print_table(result)
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=_positive, default=4000, help="of each case, over its rounds")
    parser.add_argument("--rounds", type=_positive, default=5)
    parser.add_argument("--latency-messages", type=_positive, default=200)
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


# --- part 1 ------------------------------------------------------------------------------------------------


def _cases(
    client: NotificationsAPIClient,
    port: int,
    skeleton_port: int,
    templates: dict[str, str],
    workers: Workers,
) -> list[Case]:
    texts = [
        {
            "phone_number": f"07400{number:06}",
            "template_id": templates["sms"],
            "personalisation": {"name": f"Amala {number}", "date": "Tuesday 3 March at 10:40"},
            "reference": f"order {number}",
        }
        for number in range(BODIES)
    ]
    emails = [
        {
            "email_address": f"amala.{number}@example.gov.uk",
            "template_id": templates["email"],
            "personalisation": {"name": f"Amala {number}", "date": "Tuesday 3 March", "needs parking": "yes"},
            "reference": f"order {number}",
        }
        for number in range(BODIES)
    ]

    def signed(path: str, bodies: Sequence[dict[str, Any]]) -> Callable[[], RequestMaker]:
        encoded = [json.dumps(body).encode() for body in bodies]
        return lambda: _signed_requests(path, encoded, client)

    bare = [
        http_request("POST", "/accept", {"Content-Type": "application/json"}, json.dumps(text).encode())
        for text in texts
    ]
    kinds: list[tuple[str, int, Callable[[], RequestMaker]]] = [
        (SKELETON, skeleton_port, lambda: lambda number: bare[number % BODIES]),
        ("sms", port, signed("/v2/notifications/sms", texts)),
        ("email", port, signed("/v2/notifications/email", emails)),
    ]
    return [
        Case(name, connections, workers, at, prepare)
        for connections in CONNECTIONS
        for name, at, prepare in kinds
    ]


def _signed_requests(path: str, bodies: Sequence[bytes], client: NotificationsAPIClient) -> RequestMaker:
    """Return requests with the headers and tokens that the official client would make in the seconds to
    come.
    """
    now = int(time.time())
    by_second = {}
    for second in range(now, now + TOKEN_SECONDS):
        token = jwt.encode({"iss": client.service_id, "iat": second}, client.api_key, "HS256")
        headers = client.generate_headers(token)
        by_second[second] = [http_request("POST", path, headers, body) for body in bodies]
    return lambda number: by_second[int(time.time())][number % BODIES]


def _accept(cases: list[Case], requests: int, rounds: int, meter: Meter, drained: Callable[[], None]) -> None:
    for case in cases:
        case.run(max(1, min(200, requests)))  # caches, connections and prepared statements
        drained()
    share = max(1, requests // rounds)
    for number in range(rounds):
        order = cases[number % len(cases) :] + cases[: number % len(cases)]
        for case in order:
            case.measure(share, meter)
            drained()
        _progress(
            f"round {number + 1} of {rounds}: "
            + ", ".join(f"{c.name}×{c.connections} {c.rounds[-1].per_second:.0f}/s" for c in cases)
        )


@contextmanager
def _database(stack: Stack, context: str) -> Iterator[UnitOfWork]:
    uow = UnitOfWork(create_engine(stack.app_urls[context], 1))
    try:
        yield uow
    finally:
        uow.engine.dispose()


def _wait_delivered(notifications: UnitOfWork) -> None:
    """Return once nothing that was accepted is still on its way. Raises SystemExit after 5 minutes."""
    statement = sa.text("SELECT EXISTS (SELECT FROM notifications WHERE state IN ('created', 'sending'))")

    def delivered() -> bool:
        with notifications.autocommit() as connection:
            return not connection.execute(statement).scalar_one()

    if not wait_until(delivered, DRAIN_SECONDS, interval=0.25):
        raise SystemExit(f"not all that was accepted was delivered within {DRAIN_SECONDS:.0f} s")


# --- part 2 ------------------------------------------------------------------------------------------------


def _accept_to_attempt(
    client: NotificationsAPIClient,
    template_id: str,
    notifications: UnitOfWork,
    providers: UnitOfWork,
    count: int,
) -> dict[str, float]:
    """Milliseconds from a notification's creation to the start of its first attempt: p50, p99 and most."""
    ids = []
    for number in range(count):
        answer = client.send_sms_notification(
            phone_number=f"07400{number:06}",
            template_id=template_id,
            personalisation={"name": "Amala", "date": "Tuesday 3 March"},
        )
        ids.append(answer["id"])
        # Long enough for the system to be idle again, at no fixed beat with which its polls could fall in.
        time.sleep(random.uniform(0.15, 0.35))
    _wait_delivered(notifications)
    created = _times(notifications, "SELECT id, create_time FROM notifications WHERE id = ANY(:ids)", ids)
    started = _times(
        providers,
        "SELECT dispatch_id, start_time FROM attempts WHERE number = 1 AND dispatch_id = ANY(:ids)",
        ids,
    )
    waits = sorted((started[key] - created[key]) * 1000 for key in created)
    return {
        "accept_to_attempt_p50_ms": round(_percentile(waits, 50), 1),
        "accept_to_attempt_p99_ms": round(_percentile(waits, 99), 1),
        "accept_to_attempt_max_ms": round(waits[-1], 1),
    }


def _times(uow: UnitOfWork, statement: str, ids: list[str]) -> dict[str, float]:
    """UUID -> seconds since the epoch."""
    typed = sa.text(statement).bindparams(sa.bindparam("ids", ids, ARRAY(sa.Uuid(as_uuid=False))))
    with uow.autocommit() as connection:
        return {str(row[0]): row[1].timestamp() for row in connection.execute(typed)}


def _percentile(ordered: Sequence[float], percent: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


# --- result ------------------------------------------------------------------------------------------------


def _figures(case: Case, cases: Sequence[Case]) -> dict[str, Any]:
    """Return what is reported of a case; ratios are to the skeleton at as many connections."""
    spent = case.processor()
    bare = next(c for c in cases if c.name == SKELETON and c.connections == case.connections)
    return {
        "workers": case.workers,
        "case": case.name,
        "connections": case.connections,
        "per_second": round(case.per_second()),
        "p50_ms": round(case.percentile(50), 2),
        "p99_ms": round(case.percentile(99), 2),
        "throughput_ratio": round(case.per_second() / bare.per_second(), 2),
        "p50_ratio": round(case.percentile(50) / bare.percentile(50), 2),
        "processor_ms": round(sum(spent.values()), 2),
        "processor_ratio": round(sum(spent.values()) / sum(bare.processor().values()), 2),
        "processor_ms_of": {name: round(share, 2) for name, share in spent.items() if share > 0.005},
    }


def _print_table(result: dict[str, Any]) -> None:
    columns = [name for name in result["accept"][0] if name != "processor_ms_of"]
    for row in [dict(zip(columns, columns, strict=True)), *result["accept"]]:
        print("".join(f"{row[column]!s:>{max(len(column), 8) + 3}}" for column in columns))
    for row in result["accept"]:
        shares = ", ".join(f"{name} {spent}" for name, spent in row["processor_ms_of"].items())
        print(f"{row['case']}×{row['connections']}, workers {row['workers']}: {shares}")
    for name, value in result.items():
        if name not in ("bench", "accept"):
            print(f"{name:28} {value}")


def _peak_mib(pid: int | None) -> float:
    """Return the most memory that a process and its children have held, added up, where the system tells
    that;
    otherwise what they hold now.
    """
    parent = psutil.Process(pid)
    return sum(_peak_of_one_mib(process) for process in (parent, *parent.children(recursive=True)))


def _peak_of_one_mib(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float(process.memory_info().rss) / 2**20


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _progress(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

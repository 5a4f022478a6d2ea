"""How long a text waits while a job of another service is queued before it: `make bench-lanes`.

The whole platform runs as it is deployed. First a service sends a text every 50 ms with nothing else to do.
Then, with the relay stopped, BULK texts of one service are queued;
it starts, and while they are worked off the other service sends as before.
Measured for each, from its create_time: until the providers context has it, and until its
provider is called (start_time of the attempt, written just before the call). Two cases: the bulk is a job, so
that the texts are of a faster lane; and the bulk waits in the same lane, so that only the fair shares between
services help. What is left of the bulk after a case is thrown away. `--lane` runs one case alone: a bulk of
200,000 takes minutes to queue on a busy machine.

Prints a table and one JSON line. Fails where the slowest 1 % of the faster lane wait longer than
BOUND_SECONDS for their hand-over, or in either lane longer for their provider's call than twice what they do
while nothing else happens and than CALL_BOUND_SECONDS.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import threading
import time
from contextlib import ExitStack, closing
from typing import Any, Final

import psycopg2
from notifications_python_client.notifications import NotificationsAPIClient
from notify_common.enums import Lane
from notify_local.backing import wait_until
from notify_local.seed import Seeded, seed
from notify_local.stack import Options, Stack
from notify_testing.folders import passable_folder

BOUND_SECONDS: Final = 1.0
CALL_BOUND_SECONDS: Final = 2.0
IDLE_SECONDS: Final = 10.0
EVERY_SECONDS: Final = 0.05
CHUNK: Final = 10_000
RELAY: Final = "notifications-work"
CASES: Final = {Lane.JOB: "a faster lane", Lane.API: "the same lane"}
"""What the lane of another service's text is, beside that of the bulk."""
PERSONALISATION: Final = {"name": "Ada", "date": "1 May"}

# Copies of one accepted text, as a job of its service makes them.
QUEUE = """
WITH copies AS (
    INSERT INTO notifications
    SELECT (jsonb_populate_record(n, jsonb_build_object(
        'id', gen_random_uuid(), 'state', 'created', 'create_time', now(), 'hand_over_time', NULL,
        'sent_time', NULL, 'update_time', NULL
    ))).*
    FROM notifications n, generate_series(1, %(count)s)
    WHERE n.id = %(id)s
    RETURNING id, service_id
)
INSERT INTO outbox (notification_id, destination, lane, service_id)
SELECT id, 'providers', %(lane)s, service_id FROM copies
"""
ACCEPTED = (
    "SELECT id::text, extract(epoch FROM create_time)::float FROM notifications WHERE id = ANY(%s::uuid[])"
)
HANDED_OVER = (
    "SELECT id::text, extract(epoch FROM create_time)::float FROM dispatches WHERE id = ANY(%s::uuid[])"
)
CALLED = """
SELECT dispatch_id::text, extract(epoch FROM min(start_time))::float
FROM attempts WHERE dispatch_id = ANY(%s::uuid[]) GROUP BY dispatch_id
"""


def main() -> int:
    """Return the exit status: 0 where the bound was kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bulk", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="longest time that texts are sent for")
    parser.add_argument("--lane", choices=list(CASES), help="of the bulk; one after the other if not given")
    arguments = parser.parse_args()
    lanes = [Lane(arguments.lane)] if arguments.lane else list(CASES)
    with ExitStack() as exits:
        folder = exits.enter_context(passable_folder("notify-bench-"))
        stack = Stack(Options(folder / "stack", console=False))
        exits.callback(stack.stop)
        stack.start(lambda step: _progress(f"starting {step}"))
        bulk, other = seed(stack, "Bulk service"), seed(stack)
        cases = {"nothing queued": _idle(stack, other)}
        cases |= {
            CASES[lane]: _case(stack, bulk, other, lane, arguments.bulk, arguments.seconds) for lane in lanes
        }
    print(f"\n{arguments.bulk:,} texts of another service queued; waits in milliseconds")
    print(
        f"{'':16}{'texts':>7}{'hand-over p50':>15}{'p99':>8}{'call p50':>11}{'p99':>8}{'bulk a second':>15}"
    )
    for name, case in cases.items():
        print(
            f"{name:16}{case['texts']:>7}{case['hand_over_p50_ms']:>15.0f}{case['hand_over_p99_ms']:>8.0f}"
            f"{case['call_p50_ms']:>11.0f}{case['call_p99_ms']:>8.0f}{case['bulk_per_second']:>15.0f}"
        )
    idle = cases["nothing queued"]["call_p99_ms"]
    call_bound = max(2 * idle, CALL_BOUND_SECONDS * 1000)
    ratios = {name: case["call_p99_ms"] / idle for name, case in cases.items()}
    faster = cases.get(CASES[Lane.JOB])
    kept = (faster is None or faster["hand_over_p99_ms"] <= BOUND_SECONDS * 1000) and all(
        case["call_p99_ms"] <= call_bound for case in cases.values()
    )
    print("call p99 to that with nothing queued: ", end="")
    print(", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items()))
    print(f"bounds {BOUND_SECONDS:.0f} s and {call_bound / 1000:.1f} s: {'kept' if kept else 'BROKEN'}")
    result = {"bench": "lanes", "bulk": arguments.bulk, "cases": cases, "ratios": ratios, "kept": kept}
    print(json.dumps(result | {"machine": f"{os.cpu_count()} cores, {platform.platform()}"}))
    return 0 if kept else 1


def _idle(stack: Stack, other: Seeded) -> dict[str, float]:
    """Return how long texts wait while nothing else happens."""
    send(stack, other)
    sent = []
    until = time.monotonic() + IDLE_SECONDS
    pause = threading.Event()
    while time.monotonic() < until:
        sent.append(send(stack, other))
        pause.wait(EVERY_SECONDS)
    return {**_waits(stack, sent), "bulk_per_second": 0.0}


def _case(
    stack: Stack, bulk: Seeded, other: Seeded, lane: Lane, count: int, seconds: float
) -> dict[str, float]:
    notifications, providers = stack.app_urls["notifications"], stack.app_urls["providers"]
    sample = send(stack, bulk)
    if not wait_until(lambda: bool(query(providers, HANDED_OVER, [sample])), 60):
        raise SystemExit("nothing is handed over")
    stack.processes[RELAY].stop()
    for queued in range(0, count, CHUNK):
        _progress(f"queueing {queued + CHUNK:,} texts in the lane {lane}")
        query(notifications, QUEUE, {"count": min(CHUNK, count - queued), "id": sample, "lane": lane.value})
    query(notifications, "ANALYZE outbox, notifications")
    backlog = "SELECT count(*) FROM outbox WHERE service_id = %s"
    restart = threading.Thread(target=stack.restart, args=(RELAY,))
    restart.start()
    pause = threading.Event()
    # it works long before it says that it is ready
    while (waiting := query(notifications, backlog, bulk.service_id)[0][0]) == count:
        pause.wait(EVERY_SECONDS)
    _progress(f"sending texts of another service while {waiting:,} wait")
    started = time.monotonic()
    sent = []
    while time.monotonic() < started + seconds:
        sent.append(send(stack, other))
        if len(sent) % 20 == 0 and not query(
            notifications, "SELECT 1 FROM outbox WHERE lane = %s LIMIT 1", lane
        ):
            break
        pause.wait(EVERY_SECONDS)
    taken = time.monotonic() - started
    left = query(notifications, backlog, bulk.service_id)[0][0]
    restart.join()
    waits = _waits(stack, sent)
    providers = stack.app_urls["providers"]
    query(notifications, "DELETE FROM outbox WHERE service_id = %s", bulk.service_id)
    query(providers, "DELETE FROM dispatches WHERE service_id = %s AND state = 'queued'", bulk.service_id)
    return {**waits, "bulk_per_second": (waiting - left) / taken}


def _waits(stack: Stack, sent: list[str]) -> dict[str, float]:
    """Return how long texts waited, once all were handed to their provider."""
    providers = stack.app_urls["providers"]
    if not wait_until(lambda: len(query(providers, CALLED, sent)) == len(sent), 120):
        raise SystemExit("texts did not reach their provider")
    accepted = dict(query(stack.app_urls["notifications"], ACCEPTED, sent))
    handed_over, called = dict(query(providers, HANDED_OVER, sent)), dict(query(providers, CALLED, sent))
    hand_over = [handed_over[id] - at for id, at in accepted.items()]
    call = [called[id] - at for id, at in accepted.items()]
    return {
        "texts": len(sent),
        "hand_over_p50_ms": statistics.median(hand_over) * 1000,
        "hand_over_p99_ms": _p99(hand_over) * 1000,
        "call_p50_ms": statistics.median(call) * 1000,
        "call_p99_ms": _p99(call) * 1000,
    }


def send(stack: Stack, service: Seeded) -> str:
    """Send a text over the API; return its id."""
    client = NotificationsAPIClient(service.api_keys["normal"], base_url=stack.base_url)
    answer: dict[str, Any] = client.send_sms_notification(
        "07700900123", service.templates["sms"], PERSONALISATION
    )
    return str(answer["id"])


def _p99(waits: list[float]) -> float:
    return sorted(waits)[-(len(waits) // 100) - 1]


def query(url: str, statement: str, value: object = None) -> list[tuple[Any, ...]]:
    """Run a statement with one value, or a mapping of values, and return its rows, if it has any."""
    with closing(psycopg2.connect(url, options="-c statement_timeout=0")) as made:
        made.autocommit = True
        with made.cursor() as cursor:
            cursor.execute(statement, value if value is None or isinstance(value, dict) else (value,))
            return cursor.fetchall() if cursor.description else []


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""How fast the platform accepts one batch of texts, and what a row costs each process.

The whole platform runs as it is deployed, over mTLS, in a folder of the bench's own, on a PostgreSQL that
writes durably; workers are stopped. One client uploads NDJSON through the edge, each row with a number, a
personalisation and a reference of its own, then the same again under the same key. At the end messages,
outbox and counts are compared.

Prints a table and one JSON line. Where a machine is busy with other things, processor time is the figure to
go by.
"""

import argparse
import http.client
import json
import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, Final

import jwt
import psutil
from bench_accept import WORKERS
from meter import Meter, pids
from notify_local.seed import Seeded, seed
from notify_local.stack import Options, Stack
from notify_testing.folders import passable_folder
from stacks import stored_rows

MEASURED: Final = ("edge", "gateway-public", "notifications")
SAMPLE_SECONDS: Final = 1.0
MIB: Final = 1024 * 1024


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--max-cost", default="", help="in pounds: the batch is priced before it is accepted")
    arguments = parser.parse_args()
    rows: int = arguments.rows
    query = f"?max_cost={arguments.max_cost}" if arguments.max_cost else ""
    with ExitStack() as exits:
        folder = exits.enter_context(passable_folder("notify-bench-"))
        stack = Stack(Options(folder / "stack", console=False, with_edge=True))
        exits.callback(stack.stop)
        stack.start(lambda step: print(f"bench: starting {step}", file=sys.stderr, flush=True))
        seeded = seed(stack)
        for worker in WORKERS:
            stack.processes[worker].stop()
        body = b"".join(_lines(seeded.templates["sms"], rows))
        measured = pids(stack, MEASURED, ["postgres"])
        _warm(stack, seeded)
        result = _measured(stack, seeded, measured, body, rows, query)
        result |= stored_rows(stack, result.pop("batch_id"), rows)
    result |= {"cores": os.cpu_count(), "python": platform.python_version()}
    for name, value in result.items():
        print(f"{name:32} {value}")
    print(json.dumps({"bench": "batch", **result}))


def _lines(template_id: str, count: int) -> Iterator[bytes]:
    for number in range(count):
        row = {
            "type": "sms",
            "phone_number": f"07400{number % 1_000_000:06}",
            "template_id": template_id,
            "personalisation": {"name": f"Amala {number}", "date": "Tuesday 3 March at 10:40"},
            "reference": f"order {number}",
        }
        yield json.dumps(row).encode() + b"\n"


def _warm(stack: Stack, seeded: Seeded) -> None:
    """Send a small batch, so that snapshots and connections are there."""
    for _ in range(4):
        _upload(stack, seeded, b"".join(_lines(seeded.templates["sms"], 10)), str(uuid.uuid4()))


def _upload(stack: Stack, seeded: Seeded, body: bytes, key: str, query: str = "") -> dict[str, Any]:
    api_key = seeded.api_keys["normal"]
    token = jwt.encode({"iss": api_key[-73:-37], "iat": int(time.time())}, api_key[-36:], "HS256")
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": key,
    }
    with closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=600)) as connection:
        connection.request("POST", f"/v2/batches{query}", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 201:
            raise SystemExit(f"the batch was answered {answer.status}: {text[:500]!r}")
        found: dict[str, Any] = json.loads(text)
    return found


def _measured(
    stack: Stack, seeded: Seeded, measured: dict[str, int], body: bytes, rows: int, query: str
) -> dict[str, Any]:
    key = str(uuid.uuid4())
    peaks: dict[str, float] = {}
    ended = threading.Event()
    sampling = threading.Thread(target=_sample, args=(measured, peaks, ended))
    sampling.start()
    meter = Meter(measured)
    before, own, started = meter.read(), time.thread_time(), time.perf_counter()
    answer = _upload(stack, seeded, body, key, query)
    seconds = time.perf_counter() - started
    after = meter.read()
    spent = {name: (after[name] - before[name]) / rows * 1e6 for name in measured}
    spent["loader"] = (time.thread_time() - own) / rows * 1e6
    repeated = time.perf_counter()
    if _upload(stack, seeded, body, key, query) != answer:
        raise SystemExit("the repeat was answered otherwise")
    repeat_seconds = time.perf_counter() - repeated
    ended.set()
    sampling.join()
    if answer["accepted_count"] != rows:
        raise SystemExit(f"of {rows} rows {answer['accepted_count']} were accepted: {answer['errors'][:3]}")
    return {
        "batch_id": answer["id"],
        "rows": rows,
        "body_mib": round(len(body) / MIB, 1),
        "per_second": round(rows / seconds),
        "repeat_seconds": round(repeat_seconds, 2),
        **{f"{name}_cpu_us_per_row": round(value, 1) for name, value in spent.items()},
        "cpu_us_per_row": round(sum(spent.values()), 1),
        **{f"{name}_peak_rss_mib": round(peak) for name, peak in peaks.items()},
    }


def _sample(pids: dict[str, int], peaks: dict[str, float], ended: threading.Event) -> None:
    """Note the most memory that one process of each kind had."""
    while not ended.wait(SAMPLE_SECONDS):
        for name in ("gateway-public", "notifications"):
            parent = psutil.Process(pids[name])
            sizes = [one.memory_info().rss / MIB for one in (parent, *parent.children(recursive=True))]
            peaks[name] = max(peaks.get(name, 0.0), *sizes)


if __name__ == "__main__":
    main()

"""How fast a spreadsheet becomes messages, and what a row costs each process.

The platform runs as it is deployed, in a folder of the bench's own, on a PostgreSQL that writes durably; the
other workers are stopped. A job of texts is made over HTTP, of a file in the bucket, as the admin web app
does it; counted from the job's start to its end, on the database's clock. Processor time has the look
through the file in it, which comes before the start. At the end messages, outbox and counts are compared.

Prints a table and one JSON line. Where a machine is busy with other things, processor time is the figure to
go by.
"""

import argparse
import json
import os
import platform
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import jwt
import psutil
import requests
from bench_accept import WORKERS
from meter import Meter, pids
from notify_common.blobs.s3 import BlobStore
from notify_local.backing import ObjectStore, wait_until
from notify_local.seed import Seeded, fixed_id, seed
from notify_local.stack import ADMIN_CLIENT_SECRET, JOB_BUCKET, Options, Stack
from notify_testing.folders import passable_folder
from stacks import query, stored_rows

WORKER: Final = "notifications-jobs"
MIB: Final = 1024 * 1024
MOST_SECONDS: Final = 600.0


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, help="of the file; at most 100,000")
    arguments = parser.parse_args()
    rows: int = arguments.rows
    with ExitStack() as exits:
        folder = exits.enter_context(passable_folder("notify-bench-"))
        stack = Stack(Options(folder / "stack", console=False, with_edge=True))
        exits.callback(stack.stop)
        stack.start(lambda step: print(f"bench: starting {step}", file=sys.stderr, flush=True))
        seeded = seed(stack)
        for worker in WORKERS:
            if worker != WORKER:
                stack.processes[worker].stop()
        _run(stack, seeded, 1_000)
        small = _peak_mib(stack)
        meter = Meter(pids(stack, (WORKER,), ["postgres"]))
        before = meter.read()
        job_id, seconds = _run(stack, seeded, rows)
        after = meter.read()
        result: dict[str, Any] = {
            "rows": rows,
            "per_second": round(rows / seconds),
            **{
                f"{name}_cpu_us_per_row": round((after[name] - before[name]) / rows * 1e6, 1)
                for name in after
            },
            "worker_mib_after_1000": round(small),
            "worker_mib": round(_peak_mib(stack)),
            **stored_rows(stack, job_id, rows),
        }
    result |= {"cores": os.cpu_count(), "python": platform.python_version()}
    for name, value in result.items():
        print(f"{name:32} {value}")
    print(json.dumps({"bench": "jobs", **result}))


def _lines(count: int) -> Iterator[str]:
    yield "phone number,name,date,reference\n"
    for number in range(count):
        yield f"07400{number:06},Amala {number},Tuesday 3 March at 10:40,order {number}\n"


def _run(stack: Stack, seeded: Seeded, rows: int) -> tuple[str, float]:
    """Have a job worked off; return its id and how long it took."""
    id = str(uuid.uuid4())
    service_id = seeded.api_keys["normal"][-73:-37]
    told = {
        "original_file_name": "people.csv",
        "notification_count": str(rows),
        "template_id": seeded.templates["sms"],
        "valid": "True",
    }
    bucket = BlobStore(stack.object_store_url, JOB_BUCKET, ObjectStore.access_key, ObjectStore.secret_key)
    bucket.put(f"service-{service_id}-notify/{id}.csv", "".join(_lines(rows)).encode(), told)
    token = jwt.encode({"iss": "notify-admin", "iat": int(time.time())}, ADMIN_CLIENT_SECRET, "HS256")
    answer = requests.post(
        f"{stack.base_url}/service/{service_id}/job",
        json={"id": id, "created_by": fixed_id("user")},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    if answer.status_code != 201:
        raise SystemExit(f"the job was answered {answer.status_code}: {answer.text[:500]}")
    if not wait_until(lambda: _ended(stack, id) is not None, MOST_SECONDS, interval=0.25):
        raise SystemExit(f"the job was not worked off within {MOST_SECONDS:.0f} s")
    ended = _ended(stack, id)
    assert ended is not None
    return id, ended


def _ended(stack: Stack, job_id: str) -> float | None:
    """Return how long a job took, if it is worked off. Raises SystemExit for one that ended otherwise."""
    rows = query(
        stack,
        "SELECT state, extract(epoch FROM finish_time - start_time), park_reason FROM jobs WHERE id = %(id)s",
        job_id,
    )
    state, seconds, reason = rows[0]
    if reason or state in ("cancelled", "sending limits exceeded"):
        raise SystemExit(f"the job is {state}: {reason}")
    return float(seconds) if state == "finished all notifications created" else None


def _peak_mib(stack: Stack) -> float:
    return float(psutil.Process(stack.processes[WORKER].pid).memory_info().rss) / MIB


if __name__ == "__main__":
    main()

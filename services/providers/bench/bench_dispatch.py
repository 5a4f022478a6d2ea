"""How fast accepted messages are handed to a provider over HTTP and their state recorded.

Two parts, both with the worker process as it is deployed, a PostgreSQL server of the bench's own that writes
durably, and a stand-in for MMG on 127.0.0.1, all on this machine:

1. throughput: a backlog is taken over first; then the worker starts and empties it. Counted from the first
   attempt's mark to the last state recorded, on the database's clock.
2. latency: messages are taken over one by one at a steady rate with the system otherwise idle. Measured from
   the row's commit to the attempt's mark (the call follows at once), and to the state recorded.

Prints a table and one JSON line.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from notify_common.db.engine import create_engine
from notify_common.db.migrations import migrate
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.ids import new_id
from notify_local.backing import ChildProcess, Postgres, wait_until
from notify_providers.domain.message import NewDispatch, SmsContent
from notify_providers.usecases.batch_dispatch import MAX_BATCH, batch_dispatch
from notify_testing.certs import ensure_certificates
from notify_testing.folders import passable_folder
from notify_testing.provisioning import app_role, provision

_BODY = "Your appointment is on Tuesday 3 March at 10:40. Reply CANCEL if you can't come. " * 2


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=20_000, help="messages of the throughput part")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--window", type=int, default=256, help="calls that a worker keeps under way")
    parser.add_argument("--stub-latency-ms", type=float, default=0.0, help="the stand-in's time to an answer")
    parser.add_argument("--latency-messages", type=int, default=60, help="messages of the latency part")
    parser.add_argument(
        "--latency-rate", type=float, default=5.0, help="messages a second of the latency part"
    )
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(passable_folder("notify-bench-"))
        owner_url, app_url = stack.enter_context(_database(folder))
        stub = stack.enter_context(_stub(arguments.stub_latency_ms))
        uow = UnitOfWork(create_engine(app_url, 2))
        stack.callback(uow.engine.dispose)
        _progress(f"taking over {arguments.messages} messages")
        accepted_per_second = _take_over(uow, arguments.messages)
        with UnitOfWork(create_engine(owner_url, 1)).autocommit() as conn:
            conn.exec_driver_sql("ANALYZE")
        workers = [_worker(folder, app_url, stub, arguments.window, n) for n in range(arguments.workers)]
        for worker in workers:
            worker.start()
            stack.callback(worker.stop)
        _progress("handing them over")
        throughput = _throughput(uow, arguments.messages)
        cpu = sum(sum(psutil.Process(worker.pid).cpu_times()[:2]) for worker in workers if worker.pid)
        _progress(f"handing {arguments.latency_messages} over one by one")
        latency = _latency(uow, arguments.latency_messages, arguments.latency_rate)
        memory = max(_peak_mib(worker.pid) for worker in workers if worker.pid)
    result = {
        "bench": "dispatch",
        "messages": arguments.messages,
        "workers": arguments.workers,
        "window": arguments.window,
        "stub_latency_ms": arguments.stub_latency_ms,
        "accepted_per_second": round(accepted_per_second),
        "handed_over_per_second": round(throughput),
        # the start of the process included: about a second
        "worker_cpu_us_per_message": round(cpu * 1e6 / arguments.messages),
        **latency,
        "worker_peak_rss_mib": round(memory),
        "machine": _machine(),
    }
    for name, value in result.items():
        print(f"{name:28} {value}")
    print(json.dumps(result))


@contextmanager
def _database(folder: Path) -> Iterator[tuple[str, str]]:
    """Provide a database with the schema: the owner's URL and the service's."""
    server = Postgres(folder / "postgres")
    server.start()
    try:
        urls = provision(server.url, "providers")
        migrate("notify_providers", urls.owner_url, app_role("providers"))
        yield urls.owner_url, urls.app_url
    finally:
        server.stop()


@contextmanager
def _stub(latency_ms: float) -> Iterator[str]:
    """Provide the stand-in's URL."""
    script = Path(__file__).with_name("mmg_stub.py")
    command = [sys.executable, str(script), "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/jsonv2a/api.php"
    finally:
        process.terminate()
        process.wait()


def _worker(folder: Path, database_url: str, stub: str, window: int, number: int) -> ChildProcess:
    """Return a worker process, not started yet."""
    files = ensure_certificates(folder / "certificates", ["providers"])["providers"]
    prefix = "NOTIFY_PROVIDERS_"
    environment = {
        f"{prefix}DATABASE_URL": database_url,
        f"{prefix}PAGE_TOKEN_SECRET": "x" * 32,
        f"{prefix}TLS_CA_FILE": str(files.ca),
        f"{prefix}TLS_CERT_FILE": str(files.cert),
        f"{prefix}TLS_KEY_FILE": str(files.key),
        f"{prefix}MMG_URL": stub,
        f"{prefix}MMG_API_KEY": "bench",
        f"{prefix}DISPATCH_WINDOW": str(window),
        f"{prefix}DRAIN_SECONDS": "0",
    }
    command = [sys.executable, "-m", "notify_providers", "work", "--queues", "dispatch"]
    log = folder / f"worker-{number}.log"
    return ChildProcess(f"worker-{number}", command, log, {**os.environ, **environment})


def _take_over(uow: UnitOfWork, count: int) -> float:
    """Take messages over in batches; return how many a second."""
    batches = [
        [_message() for _ in range(min(MAX_BATCH, count - start))] for start in range(0, count, MAX_BATCH)
    ]
    started = time.perf_counter()
    for batch in batches:
        batch_dispatch(uow, batch)
    return count / (time.perf_counter() - started)


def _message() -> NewDispatch:
    content = SmsContent(
        phone_number="447700900123", sender="BENCH", body=_BODY, phone_number_as_typed="07700 900123"
    )
    return NewDispatch(
        id=new_id(),
        service_id=new_id(),
        key_type="normal",
        content=content,
        request_id="bench",
        traceparent="",
    )


def _throughput(uow: UnitOfWork, count: int) -> float:
    """Wait until all are sent; return how many a second."""
    _wait_for_sent(uow, count)
    with uow.begin() as conn:
        seconds = conn.execute(
            sa.text("SELECT extract(epoch FROM max(end_time) - min(start_time)) FROM attempts")
        ).scalar_one()
        attempts = conn.execute(sa.text("SELECT count(*) FROM attempts")).scalar_one()
    if attempts != count:
        raise SystemExit(f"{attempts} attempts for {count} messages")
    return count / float(seconds)


def _latency(uow: UnitOfWork, count: int, rate: float) -> dict[str, float]:
    """Take messages over one by one; return percentiles in milliseconds."""
    ids = []
    started = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, started + number / rate - time.perf_counter()))
        message = _message()
        batch_dispatch(uow, [message])
        ids.append(message.id)
    with uow.begin() as conn:
        before = conn.execute(
            sa.text("SELECT count(*) FROM dispatches WHERE NOT id = ANY(:ids)"), {"ids": ids}
        )
        total = int(before.scalar_one()) + count
    _wait_for_sent(uow, total)
    result = {}
    with uow.begin() as conn:
        for name, column in (("call", "start_time"), ("recorded", "end_time")):
            query = f"""
                SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
                    ORDER BY extract(epoch FROM a.{column} - d.create_time) * 1000)
                FROM dispatches d JOIN attempts a ON a.dispatch_id = d.id WHERE d.id = ANY(:ids)"""
            p50, p99 = conn.execute(sa.text(query), {"ids": ids}).scalar_one()
            result[f"accept_to_{name}_p50_ms"] = round(p50, 1)
            result[f"accept_to_{name}_p99_ms"] = round(p99, 1)
    return result


def _wait_for_sent(uow: UnitOfWork, count: int) -> None:
    def done() -> bool:
        with uow.begin() as conn:
            sent = conn.execute(
                sa.text("SELECT count(*) FROM delivery_events WHERE kind = 'sent'")
            ).scalar_one()
        return bool(sent >= count)

    if not wait_until(done, 600, interval=0.2):
        raise SystemExit("the messages were not handed over within 10 minutes")


def _peak_mib(pid: int) -> float:
    """Return the most memory that a process has held, where the system tells; otherwise what it holds now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float(psutil.Process(pid).memory_info().rss) / 2**20


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

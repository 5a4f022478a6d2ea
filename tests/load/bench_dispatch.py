"""How fast accepted messages are handed to a provider over HTTP and their state recorded.

Four parts, with processes as they are deployed, PostgreSQL servers of the bench's own that write durably,
and a stand-in for MMG on 127.0.0.1, all on this machine:

1. throughput: a backlog is taken over first; then the worker starts and empties it. Counted from the first
   attempt's mark to the last state recorded, on the database's clock.
2. latency: messages are taken over one by one at a steady rate with the system otherwise idle. Measured from
   the row's commit to the attempt's mark (the call follows at once), and to the state recorded.
3. bare: a loop makes the same calls with the same HTTP client and nothing else: to the same stand-in, from
   one process as a worker is, with as many under way. It marks and records nothing.
4. the whole way: on a platform of its own, with its relay stopped, accepted rows are queued in notifications;
   then it starts. Counted from the first hand-over to the last message that notifications knows to be sent.

Prints a table and one JSON line.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
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
from notify_common.enums import KeyType
from notify_common.http import HttpAnswer, HttpCaller, HttpRequest
from notify_common.ids import new_id
from notify_local.backing import ChildProcess, Postgres, wait_until
from notify_local.seed import seed
from notify_local.stack import Options, Stack
from notify_providers.domain.message import NewDispatch, SmsContent
from notify_providers.usecases.batch_dispatch import MAX_BATCH, batch_dispatch
from notify_testing.certs import ensure_certificates
from notify_testing.folders import passable_folder
from notify_testing.provisioning import app_role, provision

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from bench_lanes import CHUNK, HANDED_OVER, QUEUE, RELAY, query, send
from meter import seconds_of

_WORKERS = ("notifications-work", "providers-work")
_DATABASES = "postgres"
_MEASURED = ("providers-work", "providers", _DATABASES)
_WHOLE_WAY_SECONDS = 1800
_BODY = "Your appointment is on Tuesday 3 March at 10:40. Reply CANCEL if you can't come. " * 2


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=20_000, help="messages of the throughput part")
    parser.add_argument(
        "--whole-way-messages", type=int, help="messages of the last part; as many as the first by default"
    )
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
        for worker in workers:
            worker.stop()
        _progress("making the same calls in a bare loop")
        bare, bare_cpu = _bare(stub, arguments.messages, arguments.window)
        count = arguments.messages if arguments.whole_way_messages is None else arguments.whole_way_messages
        whole_way = _whole_way(folder, stub, count, arguments.window) if count else {}
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
        "bare_loop_per_second": round(bare),
        "bare_loop_cpu_us_per_message": round(bare_cpu * 1e6 / arguments.messages),
        "handed_over_to_bare_loop": round(throughput / bare, 2),
        **whole_way,
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
        key_type=KeyType.NORMAL,
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
            sa.text("SELECT count(*) FROM dispatches WHERE NOT id = ANY(CAST(:ids AS uuid[]))"), {"ids": ids}
        )
        total = int(before.scalar_one()) + count
    _wait_for_sent(uow, total)
    result = {}
    with uow.begin() as conn:
        for name, column in (("call", "start_time"), ("recorded", "end_time")):
            query = f"""
                SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
                    ORDER BY extract(epoch FROM a.{column} - d.create_time) * 1000)
                FROM dispatches d JOIN attempts a ON a.dispatch_id = d.id
                WHERE d.id = ANY(CAST(:ids AS uuid[]))"""
            p50, p99 = conn.execute(sa.text(query), {"ids": ids}).scalar_one()
            result[f"accept_to_{name}_p50_ms"] = round(p50, 1)
            result[f"accept_to_{name}_p99_ms"] = round(p99, 1)
    return result


def _bare(url: str, count: int, window: int) -> tuple[float, float]:
    """Make as many calls, as many at once, with the workers' HTTP client; return how many a second, and the
    seconds of processor time that all took here.
    """
    caller = HttpCaller(window, 10.0)
    free = threading.Semaphore(window)
    statuses: set[int] = set()

    def done(answer: HttpAnswer) -> None:
        statuses.add(answer.status)
        free.release()

    headers = {"Content-Type": "application/json", "Authorization": "Basic bench"}
    started, used = time.perf_counter(), time.process_time()
    for _ in range(count):
        free.acquire()
        fields = {"reqType": "BULK", "MSISDN": "447700900123", "msg": _BODY, "sender": "BENCH"}
        body = json.dumps({**fields, "cid": new_id(), "multi": True}).encode()
        caller.call(HttpRequest(url, headers, body, time.monotonic() + 60), done)
    caller.close()
    seconds = time.perf_counter() - started
    if statuses != {200}:
        raise SystemExit(f"the stand-in answered {sorted(statuses)}")
    return count / seconds, time.process_time() - used


def _whole_way(folder: Path, stub: str, count: int, window: int) -> dict[str, Any]:
    """Queue accepted messages on a platform, let them go, and return how many a second became sent."""
    environment = {
        "NOTIFY_PROVIDERS_MMG_URL": stub,
        "NOTIFY_PROVIDERS_MMG_API_KEY": "bench",
        "NOTIFY_PROVIDERS_DISPATCH_WINDOW": str(window),
    }
    of_process = dict.fromkeys(("providers", "providers-work"), environment)
    stack = Stack(Options(folder / "stack", console=False, extra_environment=of_process))
    try:
        stack.start(lambda step: _progress(f"starting {step}"))
        seeded = seed(stack, "Bulk service")
        sample = send(stack, seeded)
        url = stack.app_urls["notifications"]
        providers = stack.app_urls["providers"]
        if not wait_until(lambda: bool(query(providers, HANDED_OVER, [sample])), 60):
            raise SystemExit("nothing is handed over")
        stack.processes[RELAY].stop()
        for queued in range(0, count, CHUNK):
            _progress(f"queueing {min(count, queued + CHUNK):,} accepted texts")
            values = {"count": min(CHUNK, count - queued), "id": sample, "lane": "api"}
            query(url, QUEUE, values)
        query(url, "ANALYZE outbox, notifications")
        processor = {name: _processor(stack, name) for name in _MEASURED}
        stack.restart(RELAY)
        _progress("letting them go")
        left = "SELECT EXISTS (SELECT FROM notifications WHERE sent_time IS NULL)"
        if not wait_until(lambda: query(url, left) == [(False,)], _WHOLE_WAY_SECONDS, interval=0.2):
            raise SystemExit("the messages were not sent in time")
        ended = time.time()
        [(began,)] = query(
            providers,
            "SELECT extract(epoch FROM min(create_time))::float FROM dispatches WHERE id <> %s",
            sample,
        )
        [(attempts,)] = query(providers, "SELECT count(*) FROM attempts")
        if attempts != count + 1:
            raise SystemExit(f"{attempts} attempts for {count + 1} messages")
        # that of the relay is a new process, whose start, about a second, counts
        used = {name: _processor(stack, name) - before for name, before in processor.items()}
        used[RELAY] = _processor(stack, RELAY)
        return {
            "whole_way_messages": count,
            "whole_way_per_second": round(count / (ended - began)),
            "whole_way_cpu_us_per_message": round(sum(used.values()) * 1e6 / count),
            **{
                f"whole_way_{name.replace('-', '_')}_cpu_us_per_message": round(spent * 1e6 / count)
                for name, spent in used.items()
            },
            **{
                f"whole_way_{name.replace('-', '_')}_peak_rss_mib": round(_peak_mib(pid))
                for name in _WORKERS
                if (pid := stack.processes[name].pid)
            },
        }
    finally:
        stack.stop()


def _processor(stack: Stack, name: str) -> float:
    """Return the seconds of processor time that a process has used; of the databases, with all backends."""
    if name != _DATABASES:
        pid = stack.processes[name].pid
        return sum(psutil.Process(pid).cpu_times()[:2]) if pid else 0.0
    assert stack.postgres is not None
    server = psutil.Process(stack.postgres.pid)
    # backends that ended count with the server's own times
    return sum(server.cpu_times()[:4]) + sum(map(seconds_of, server.children()))


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

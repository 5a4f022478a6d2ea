"""A print run at scale: from its start until providers have recorded every letter, at constant memory.

The letters are made by SQL, in several services and classes of post, with ids in the order of their making
as the platform gives them; all of them tell of one same PDF, which nothing here reads (PDFs go from the blob
store to the printer later). Everything else is real:
PostgreSQL that writes durably, Redis, the object store, mTLS, and the processes that take part, each
started with its own command: letters (serve), letters-work, letters-celery (PROCESSES of them share the
batches), providers (serve). Nothing is dispatched meanwhile.

1. small: a run over SMALL letters in a house of its own, for the memory of each process.
2. large: the same over ROWS letters: letters a second from StartPrintRun to the last batch recorded, in all
   and by tenths of the run; memory; then every manifest is read, its signature and hashes checked, and
   every letter must be in exactly one, and in providers exactly once.
3. comparison: one process fetches all ROWS letters at once, hands them to the same providers in batches of
   500 and marks them: its memory and its speed, without manifests, claims, or a way to go on.

With --kill, there is the large run alone, and letters-work, letters-celery and providers are killed at
random, again and again, until it is complete.

Prints a table, the bounds with what was measured, and one JSON line; ends with status 1 where a bound is
broken that does not depend on the machine: rates do, and are only told.
"""

import argparse
import bisect
import hashlib
import json
import math
import os
import platform
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from notify.letters.v1 import print_runs_service_pb2 as pb
from notify.letters.v1.print_run_pb2 import PrintRun
from notify.letters.v1.print_runs_service_pb2_grpc import PrintRunsServiceStub
from notify_common import ids
from notify_common.blobs.s3 import BlobStore
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_letters.domain.manifest import Signer, is_signed_by
from notify_local.backing import ObjectStore, wait_until
from notify_local.stack import Options, Stack
from notify_testing.folders import passable_folder

TAKING_PART = ("letters", "letters-work", "letters-celery", "providers")
KEPT_RUNNING = (*TAKING_PART, "admin")
"""Admin too: letters asks it once a minute for how long services keep letters."""
KILLED = ("letters-work", "letters-celery", "providers")
SERVICES = 20
ONE_PDF_SHA256 = hashlib.sha256(b"the one PDF").hexdigest()
_SIGNING_SECRET = "NOTIFY_LETTERS_PAGE_TOKEN_SECRET"
ROWS_A_STATEMENT = 50_000
DRAIN_SECONDS = 1800.0
STATEMENT_MS = 600_000
MEMORY_BOUND_MB = 150
GROWTH_BOUND = 0.10
RATE_BOUND = 10_000
"""Letters a second on two processors that have nothing else to do."""
FLAT_BOUND = 0.8
"""What of the first tenth's rate the last one has at least."""

_MAKE = """
INSERT INTO letters (id, service_id, key_type, template_id, template_version, personalisation, address_lines,
                     postage, reference, create_time, state, page_count, sheet_count, pdf_bytes, pdf_sha256,
                     render_batch_id, request_id, traceparent)
SELECT uuidv7(interval '-1 hour' + n * interval '1 ms'), md5((n % :services)::text)::uuid, 'normal',
       md5('template')::uuid, 1,
       '[["name", "Ms Example of Exampleton"], ["date", "1 December 2026"], ["amount", "130.20"]]',
       '["Ms A Example", "Flat 4", "27 High Street", "Exampleton", "EX1 2BB"]',
       (ARRAY['second', 'second', 'economy', 'first', 'second', 'europe'])[1 + n % 6],
       upper(left(md5(n::text), 16)), now() - interval '1 hour' + n * interval '1 ms', 'ready', 2, 1, 40000,
       :sha256, md5((n / 40)::text)::uuid, md5(n::text), ''
FROM generate_series(:first, :last) AS n
"""


@dataclass
class Outcome:
    """How a run went."""

    rows: int
    seconds: float
    per_second: float
    tenths: list[int]
    """Letters a second in each tenth of the run, by the times at which batches were recorded. Up to the first
    batch, which takes a second, no time is counted."""
    peaks: dict[str, float]
    processor: dict[str, float]
    """Microseconds of processor time a letter, by process: what a busy machine does not change."""
    processor_tenths: dict[str, list[int]]
    """The same in each tenth of the run."""
    kills: int


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, help="letters of the large run")
    parser.add_argument("--small", type=int, default=10_000, help="letters of the small run; 0 for none")
    parser.add_argument("--processes", type=int, default=2, help="Celery processes that submit")
    parser.add_argument("--kill", action="store_true", help="kill processes at random meanwhile")
    parser.add_argument("--no-comparison", action="store_true", help="leave out fetching all rows at once")
    parser.add_argument("--fetch-all", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fetch_all:
        _fetch_all(json.loads(arguments.fetch_all))
        return
    result: dict[str, Any] = {"bench": "print-run", "rows": arguments.rows, "small": arguments.small}
    small: dict[str, float] = {}
    # what is killed starts small again, so there is nothing to compare
    if arguments.small and not arguments.kill:
        with _house(arguments.processes, kill=False) as stack:
            small = _run(stack, arguments.small, kill=False).peaks
            _verify(stack, arguments.small)
    with _house(arguments.processes, arguments.kill) as stack:
        large = _run(stack, arguments.rows, arguments.kill)
        _verify(stack, arguments.rows)
        if not arguments.no_comparison:
            result |= _compare(stack)
    growth = {name: large.peaks[name] / small[name] - 1 for name in large.peaks if small.get(name)}
    result |= {
        "letters_per_second": round(large.per_second),
        "seconds": round(large.seconds, 1),
        "letters_per_second_by_tenths": large.tenths,
        **({} if large.kills else _processor(large)),
        "kills": large.kills,
        "peak_mib_small": {name: round(mib) for name, mib in small.items()},
        "peak_mib": {name: round(mib) for name, mib in large.peaks.items()},
        "growth_percent": {name: round(100 * part, 1) for name, part in growth.items()},
        "machine": _machine(),
    }
    for name, value in result.items():
        print(f"{name:32} {value}")
    broken = _bounds(large, growth)
    print(json.dumps(result))
    if broken:
        sys.exit("bounds broken: " + "; ".join(broken))


def _processor(large: Outcome) -> dict[str, Any]:
    return {
        "processor_us_a_letter": {name: round(used) for name, used in large.processor.items()},
        "processor_us_a_letter_in_all": round(sum(large.processor.values())),
        "processor_us_a_letter_by_tenths": large.processor_tenths,
    }


def _bounds(large: Outcome, growth: dict[str, float]) -> list[str]:
    """Print the bounds beside what was measured; return those broken that no machine excuses."""
    ours = [name for name in large.peaks if not name.startswith("postgres")]
    most = max(ours, key=lambda name: large.peaks[name])
    megabytes = large.peaks[most] * 2**20 / 1e6
    firm = [(megabytes <= MEMORY_BOUND_MB, f"no process above 150 MB: {most} had {megabytes:.0f} MB")]
    told = []
    if not large.kills:
        grown = max(ours, key=lambda name: growth.get(name, 0.0))
        part = growth.get(grown, 0.0)
        firm.append((part <= GROWTH_BOUND, f"memory grows by less than 10 %: {grown} by {part:.1%}"))
        told.append((large.per_second >= RATE_BOUND, f"10,000 letters a second: {large.per_second:,.0f}"))
        if len(large.tenths) == 10:
            first, last = large.tenths[0], large.tenths[-1]
            even = last >= FLAT_BOUND * first
            told.append((even, f"as fast at the end as at the start: {first:,} and {last:,} a second"))
    for held, text in (*firm, *told):
        print(f"{'holds ' if held else 'BROKEN'} {text}")
    return [text for held, text in firm if not held]


@contextmanager
def _house(processes: int, kill: bool) -> Iterator[Stack]:
    """A house of which only the processes that take part are left running."""
    quick = {"NOTIFY_LETTERS_LEASE_SECONDS": "10", "NOTIFY_LETTERS_RESEND_SECONDS": "10"} if kill else {}
    with ExitStack() as closing:
        folder = closing.enter_context(passable_folder("notify-bench-"))
        extra = {name: dict(quick) for name in ("letters", "letters-work", "letters-celery")}
        extra["letters-celery"]["NOTIFY_LETTERS_WORKER_PROCESSES"] = str(processes)
        options = Options(
            folder,
            console=False,
            extra_environment=extra,
            postgres_settings={
                # less than a quarter of the memory of a small server, as PostgreSQL's manual advises
                "shared_buffers": "1GB",
                "max_wal_size": "4GB",
                "checkpoint_timeout": "15min",
            },
        )
        stack = Stack(options)
        _progress("starting a house")
        stack.start()
        closing.callback(stack.stop)
        for name, process in stack.processes.items():
            if name not in KEPT_RUNNING:
                process.stop()
        yield stack


def _run(stack: Stack, rows: int, kill: bool) -> Outcome:
    letters = _database(stack.app_urls["letters"])
    _progress(f"making {rows} letters")
    for first in range(1, rows + 1, ROWS_A_STATEMENT):
        with letters.begin() as tx:
            values = {
                "services": SERVICES,
                "first": first,
                "last": min(first + ROWS_A_STATEMENT - 1, rows),
                "sha256": ONE_PDF_SHA256,
            }
            tx.execute(sa.text(_MAKE), values)
    assert stack.postgres is not None
    owner = _database(stack.postgres.url.replace("/postgres?", "/notify_letters?"))
    with owner.autocommit() as tx:
        tx.exec_driver_sql("VACUUM ANALYZE letters")
        tx.exec_driver_sql("CHECKPOINT")
    owner.engine.dispose()
    stop = threading.Event()
    watch = Watch(stack)
    watching = threading.Thread(target=watch.keep_looking, args=(stop,), daemon=True)
    kills: list[str] = []
    with stack.operator_channel(stack.grpc_targets["letters"]) as channel:
        runs: Any = PrintRunsServiceStub(channel)
        run_id = ids.new_id()
        watch.look()
        watching.start()
        runs.StartPrintRun(pb.StartPrintRunRequest(request_id=run_id), timeout=10)
        if kill:
            killing = threading.Thread(target=_kill, args=(stack, kills, stop), daemon=True)
            killing.start()
        last_said = time.monotonic()

        def complete() -> bool:
            nonlocal last_said
            run = runs.GetPrintRun(pb.GetPrintRunRequest(print_run_id=run_id), timeout=10).print_run
            if time.monotonic() - last_said > 5:
                last_said = time.monotonic()
                _progress(f"{run.letter_count} collected, {run.submitted_letter_count} recorded")
            if run.state == PrintRun.STATE_UNRECONCILED:
                sys.exit("the counts of the run disagree")
            return bool(run.state == PrintRun.STATE_SUBMITTED)

        if not wait_until(complete, DRAIN_SECONDS, interval=0.5):
            sys.exit("the run did not complete")
        if kill:
            stop.set()
            killing.join()
        run = runs.GetPrintRun(pb.GetPrintRunRequest(print_run_id=run_id), timeout=10).print_run
    stop.set()
    watching.join()
    watch.look()
    with letters.autocommit() as tx:
        times = tx.execute(
            sa.text("""
                SELECT extract(epoch FROM b.submit_time - r.create_time)::float8, b.letter_count,
                       extract(epoch FROM r.create_time)::float8
                FROM print_batches b JOIN print_runs r ON r.id = b.print_run_id
                WHERE r.id = :id ORDER BY 1
            """),
            {"id": run_id},
        ).all()
    letters.engine.dispose()
    if run.letter_count != rows or sum(count for _, count, _ in times) != rows:
        sys.exit(f"{run.letter_count} of {rows} letters are in the run")
    seconds, _, begun = times[-1]
    tenths = _tenths([(moment, count) for moment, count, _ in times])
    return Outcome(
        rows,
        seconds,
        rows / seconds,
        [round(tenth.letters / (tenth.end - tenth.begin)) for tenth in tenths],
        watch.peak_mib,
        {name: 1e6 * used / rows for name, used in watch.used(-math.inf, math.inf).items()},
        _processor_by_tenths(watch, tenths, begun),
        len(kills),
    )


@dataclass(frozen=True)
class Tenth:
    """A tenth of a run: seconds since its start, and the letters recorded in between."""

    begin: float
    end: float
    letters: int


def _tenths(times: list[tuple[float, int]]) -> list[Tenth]:
    rows = sum(count for _, count in times)
    tenths: list[Tenth] = []
    began, done = times[0]
    counted = 0
    for moment, count in times[1:]:
        done += count
        counted += count
        if done * 10 >= rows * (len(tenths) + 1) and moment > began:
            tenths.append(Tenth(began, moment, counted))
            began, counted = moment, 0
    return tenths


def _processor_by_tenths(watch: "Watch", tenths: list[Tenth], begun: float) -> dict[str, list[int]]:
    """Return microseconds a letter of each process in each tenth, of those that worked."""
    used = [(watch.used(begun + tenth.begin, begun + tenth.end), tenth.letters) for tenth in tenths]
    names = {name: None for tenth, _ in used for name in tenth}
    found = {name: [round(1e6 * tenth.get(name, 0.0) / letters) for tenth, letters in used] for name in names}
    return {name: each for name, each in found.items() if any(each)}


def _verify(stack: Stack, rows: int) -> None:
    """Every letter is in exactly one manifest and once in providers; every hash and signature matches."""
    _progress("reading the manifests")
    key = Signer.of_secret(stack.processes["letters"].environment[_SIGNING_SECRET]).public_key
    objects = next(server for server in stack.backing if isinstance(server, ObjectStore))
    blobs = BlobStore(
        objects.url, "notify-letters", objects.access_key, objects.secret_key, region=objects.region
    )
    letters = _database(stack.app_urls["letters"])
    with letters.autocommit() as tx:
        (run_id,) = tx.execute(sa.text("SELECT id FROM print_runs WHERE letter_count > 0")).one()
    manifest = blobs.get(f"letters/manifests/{run_id}/run.jsonl")
    if not is_signed_by(manifest, key):
        sys.exit("the signature of the run's manifest does not match")
    seen: set[bytes] = set()
    for line in list(map(json.loads, manifest.splitlines()))[1:-1]:
        written = blobs.get(line["manifest"])
        if hashlib.sha256(written).hexdigest() != line["sha256"]:
            sys.exit(f"the hash of {line['manifest']} does not match")
        if not is_signed_by(written, key):
            sys.exit(f"the signature of {line['manifest']} does not match")
        for printed in list(map(json.loads, written.splitlines()))[1:-1]:
            letter_id = bytes.fromhex(printed["id"].replace("-", ""))
            if letter_id in seen:
                sys.exit("a letter is in two manifests")
            if printed["sha256"] != ONE_PDF_SHA256:
                sys.exit("a manifest has another hash of a PDF than its letter")
            seen.add(letter_id)
    providers = _database(stack.app_urls["providers"])
    with providers.autocommit() as tx:
        recorded = tx.execute(sa.text("SELECT count(*) FROM dispatches")).scalar_one()
    letters.engine.dispose()
    providers.engine.dispose()
    if not len(seen) == recorded == rows:
        sys.exit(f"{rows} letters, {len(seen)} in manifests, {recorded} with providers")


def _compare(stack: Stack) -> dict[str, Any]:
    """Fetch all rows at once, in a process of its own."""
    _progress("the same by fetching all rows at once")
    assert stack.postgres is not None
    providers = _database(stack.postgres.url.replace("/postgres?", "/notify_providers?"))
    with providers.begin() as tx:
        tx.exec_driver_sql("TRUNCATE dispatches")
    providers.engine.dispose()
    certificate = stack.certificates["letters"]
    told = {
        "url": stack.app_urls["letters"],
        "target": stack.grpc_targets["providers"],
        "tls": {
            "tls_ca_file": str(certificate.ca),
            "tls_cert_file": str(certificate.cert),
            "tls_key_file": str(certificate.key),
        },
    }
    command = [sys.executable, __file__, "--fetch-all", json.dumps(told)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {f"fetch_all_{name}": value for name, value in json.loads(done.stdout).items()}


def _fetch_all(told: dict[str, Any]) -> None:
    """The comparison: everything into memory, then batch by batch to providers, then one mark for all."""
    from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
    from notify_common.enums import KeyType, Postage
    from notify_common.rpc.channel import Channels
    from notify_common.settings import ServiceSettings
    from notify_letters.clients.providers import ProvidersClient
    from notify_letters.domain.letter import LetterToPrint

    uow = UnitOfWork(create_engine(told["url"], 1, statement_timeout_ms=STATEMENT_MS))
    channels = Channels(ServiceSettings(**told["tls"]))
    client = ProvidersClient(DispatchServiceStub(channels.get("providers", told["target"])), 60)
    started = time.perf_counter()
    with uow.begin() as tx:
        rows = tx.execute(
            sa.text("""
                SELECT id::text, service_id::text, key_type, address_lines, postage, reference, page_count,
                       sheet_count, pdf_sha256, request_id, traceparent
                FROM letters WHERE print_batch_id IS NOT NULL ORDER BY postage, service_id, create_time, id
            """)
        ).all()
    for start in range(0, len(rows), 500):
        letters = [
            LetterToPrint(
                **{**row._mapping, "key_type": KeyType(row.key_type), "postage": Postage(row.postage)}
            )
            for row in rows[start : start + 500]
        ]
        client.submit_print_batch(ids.new_id(), letters, {})
    with uow.begin() as tx:
        tx.execute(sa.text("UPDATE letters SET state = 'submitted' WHERE print_batch_id IS NOT NULL"))
    seconds = time.perf_counter() - started
    channels.close()
    peak = _high_water(os.getpid())
    print(json.dumps({"letters_per_second": round(len(rows) / seconds), "peak_mib": round(peak / 2**20)}))


def _kill(stack: Stack, kills: list[str], stop: threading.Event) -> None:
    while not stop.wait(random.uniform(2, 6)):
        name = random.choice(KILLED)
        stack.kill(name)
        kills.append(name)
        stop.wait(random.uniform(0, 1))
        stack.restart(name)


class Watch:
    """Looks once a second at the processes that take part and those that they made.

    Only so often, and at all of them in one pass: looking takes processor time from those looked at.

    Attributes:
        peak_mib: the most memory that each process had so far: our own resident, the database's unshared.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.peak_mib: dict[str, float] = {}
        self._seconds: dict[tuple[int, str], float] = {}
        """Processor time of each process, those that have ended too."""
        self._moments: list[tuple[float, dict[str, float]]] = []

    def keep_looking(self, stop: threading.Event) -> None:
        """Look until `stop` is set."""
        while not stop.wait(1):
            self.look()

    def look(self) -> None:
        """Note the memory and the processor time of each process."""
        seen = _processes()
        postgres = self._stack.postgres
        assert postgres is not None
        for name in TAKING_PART:
            pid = self._stack.processes[name].pid
            for number, one in enumerate(_family(seen, pid)):
                self._note(one, name, name if number == 0 else f"{name} pool", _high_water)
        for server in self._stack.backing:
            for number, one in enumerate(_family(seen, server.pid)):
                if server is not postgres:
                    self._note(one, server.name, server.name, _high_water if number == 0 else None)
                elif number == 0:
                    self._note(one, "postgres", "", None)
                else:
                    self._note(one, _backend(one), "postgres, unshared", _unshared)
        total: dict[str, float] = {}
        for (_, name), seconds in self._seconds.items():
            total[name] = total.get(name, 0.0) + seconds
        self._moments.append((time.time(), total))

    def used(self, begin: float, end: float) -> dict[str, float]:
        """Return seconds of processor time by process between two readings of the clock."""
        first, last = self._at(begin), self._at(end)
        return {name: seconds - first.get(name, 0.0) for name, seconds in last.items()}

    def _at(self, moment: float) -> dict[str, float]:
        """Return what was used up to a moment, between two looks in proportion."""
        place = bisect.bisect([at for at, _ in self._moments], moment)
        if place in (0, len(self._moments)):
            return self._moments[min(place, len(self._moments) - 1)][1]
        (before, less), (after, more) = self._moments[place - 1 : place + 1]
        part = (moment - before) / (after - before)
        return {name: less.get(name, 0.0) * (1 - part) + seconds * part for name, seconds in more.items()}

    def _note(self, one: "Seen", name: str, memory_of: str, measure: Callable[[int], int] | None) -> None:
        key = one.pid, name
        self._seconds[key] = max(one.seconds, self._seconds.get(key, 0.0))
        if measure is not None:
            with suppress(psutil.Error, OSError):
                mib = measure(one.pid) / 2**20
                self.peak_mib[memory_of] = max(self.peak_mib.get(memory_of, 0.0), mib)


@dataclass(frozen=True)
class Seen:
    """A process, its parent, and its seconds of processor time."""

    pid: int
    parent: int
    seconds: float


_TICKS = os.sysconf("SC_CLK_TCK")


def _processes() -> dict[int, Seen]:
    """Return all processes of the machine by pid, in one pass."""
    seen: dict[int, Seen] = {}
    for folder in os.listdir("/proc"):
        if folder.isdigit():
            with suppress(OSError):
                fields = Path(f"/proc/{folder}/stat").read_text().rpartition(")")[2].split()
                pid, parent, ticks = int(folder), int(fields[1]), int(fields[11]) + int(fields[12])
                seen[pid] = Seen(pid, parent, ticks / _TICKS)
    return seen


def _family(seen: dict[int, Seen], pid: int | None) -> Iterator[Seen]:
    """Yield a process, then those that it made and those that they made."""
    if pid in seen:
        yield seen[pid]
        for one in seen.values():
            if one.parent == pid:
                yield from _family(seen, one.pid)


def _backend(one: Seen) -> str:
    """Return what a process of the database works for."""
    title = ""
    with suppress(OSError):
        title = Path(f"/proc/{one.pid}/cmdline").read_text()
    databases = (name for name in ("letters", "providers") if f" notify_{name} " in title)
    return f"postgres, {next(databases, 'itself')}"


def _high_water(pid: int) -> int:
    """Bytes that were resident at most (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _unshared(pid: int) -> int:
    """Bytes of its own: without the buffers that all backends share."""
    return int(psutil.Process(pid).memory_full_info().uss)


def _database(url: str) -> UnitOfWork:
    return UnitOfWork(create_engine(url, 1, statement_timeout_ms=STATEMENT_MS))


def _machine() -> str:
    return (
        f"{os.cpu_count()} x {platform.processor() or platform.machine()}, Python {platform.python_version()}"
    )


def _progress(text: str) -> None:
    print(f"  {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

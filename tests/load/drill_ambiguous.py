"""What becomes of texts whose provider takes them and answers late, resets, or answers nonsense.

A stand-in for MMG on 127.0.0.1 takes every text and counts it, but gives no proper answer: a quarter of the
calls each end in an answer that comes too late, a reset, a page of HTML with status 200, and status 500. The
worker is the deployed process, with the rule `hold`. Receipts come for half of the texts; then the wait for
the others' ends. Last, texts are handed over while nobody listens, and somebody listens again.

Prints what happened, and ends with status 1 if a text was doubled or is unaccounted for.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa
from notify_common import clock
from notify_common.db.engine import create_engine
from notify_common.db.migrations import migrate
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import KeyType
from notify_common.ids import new_id
from notify_local.backing import ChildProcess, Postgres, wait_until
from notify_providers.clients.base import Callback
from notify_providers.clients.callbacks import CallbackReader
from notify_providers.clients.registry import load_provider_settings
from notify_providers.domain.message import NewDispatch, SmsContent
from notify_providers.usecases.batch_dispatch import batch_dispatch
from notify_providers.usecases.record_receipt import record_callback
from notify_testing.certs import ensure_certificates
from notify_testing.folders import passable_folder
from notify_testing.provisioning import app_role, provision

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.harness.mmg import CallFault, Mmg

FAULTS = (CallFault.LATE, CallFault.RESET, CallFault.HTML, CallFault.STATUS_500)
TIMEOUT_SECONDS = 1.0
WAIT_SECONDS = 30
DEADLINE_SECONDS = 180.0


def main() -> None:
    """Run the drill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=400, help="texts that get no proper answer")
    count = parser.parse_args().texts
    with ExitStack() as stack:
        folder = stack.enter_context(passable_folder("notify-drill-"))
        url = stack.enter_context(_database(folder))
        uow = UnitOfWork(create_engine(url, 2))
        stack.callback(uow.engine.dispose)
        mmg = Mmg(late_seconds=2 * TIMEOUT_SECONDS)
        mmg.listen()
        _run(uow, "UPDATE provider_settings SET unknown_outcome_wait_seconds = :wait", wait=WAIT_SECONDS)
        worker = _worker(folder, url, mmg.url)
        worker.start()
        stack.callback(worker.stop)
        sys.exit(_drill(uow, mmg, count))


def _drill(uow: UnitOfWork, mmg: Mmg, count: int) -> int:
    ids = _take_over(uow, count)
    faults = {id: FAULTS[number % len(FAULTS)] for number, id in enumerate(ids)}
    mmg.fault_of = lambda id: faults.get(id, CallFault.NONE)
    begun = clock.monotonic()

    def say(text: str) -> None:
        print(f"{clock.monotonic() - begun:6.1f} s  {text}", flush=True)

    say(f"{count} texts are handed to a provider that takes each and gives no proper answer")
    unknown = "SELECT count(*) FROM attempts WHERE outcome = 'unknown'"
    _wait(lambda: _value(uow, unknown) == count)
    reasons = _rows(uow, "SELECT reason, count(*) FROM attempts GROUP BY 1 ORDER BY 1")
    say(f"all calls have ended: {', '.join(f'{number} {reason}' for reason, number in reasons)}")
    reader = CallbackReader(load_provider_settings(), a_second=100_000)
    for id in ids[: count // 2]:
        body = json.dumps({"CID": id, "status": "3"}).encode()
        assert record_callback(uow, reader, "mmg", Callback(body))[0]
    say(f"receipts have come for {count // 2} of them")
    held = "SELECT count(*) FROM dispatches WHERE state = 'in-doubt'"
    _wait(lambda: _value(uow, held) == count - count // 2)
    say(f"the wait of {WAIT_SECONDS} s is over: {_value(uow, held)} are held for a person to decide")

    mmg.leave()
    away = _take_over(uow, count // 4)
    refused = "SELECT count(*) FROM attempts WHERE outcome = 'retryable' AND reason = 'unreachable'"
    _wait(lambda: _value(uow, refused) >= 2 * len(away))
    say(f"{len(away)} texts were tried twice while nobody listened")
    mmg.listen()
    _run(uow, "UPDATE dispatches SET due_at = now() WHERE state = 'queued'")
    sent = "SELECT count(*) FROM dispatches WHERE state = 'sent'"
    _wait(lambda: _value(uow, sent) == count // 2 + len(away))
    say("somebody listens again: they are sent")

    everything = [*ids, *away]
    result = {
        "drill": "ambiguous",
        "texts": count,
        "doubled": sum(1 for id in everything if mmg.taken[id] > 1),
        "never_taken": sum(1 for id in everything if not mmg.taken[id]),
        "states": dict(_rows(uow, "SELECT state, count(*) FROM dispatches GROUP BY 1 ORDER BY 1")),
    }
    print(f"{result['doubled']} of {count} texts doubled (bound: 0)")
    print(json.dumps(result))
    return int(bool(result["doubled"] or result["never_taken"]))


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    server = Postgres(folder / "postgres")
    server.start()
    try:
        urls = provision(server.url, "providers")
        migrate("notify_providers", urls.owner_url, app_role("providers"))
        yield urls.app_url
    finally:
        server.stop()


def _worker(folder: Path, database_url: str, mmg_url: str) -> ChildProcess:
    files = ensure_certificates(folder / "certificates", ["providers"])["providers"]
    variables = {
        "DATABASE_URL": database_url,
        "PAGE_TOKEN_SECRET": "x" * 32,
        "TLS_CA_FILE": str(files.ca),
        "TLS_CERT_FILE": str(files.cert),
        "TLS_KEY_FILE": str(files.key),
        "MMG_URL": mmg_url,
        "MMG_API_KEY": "drill",
        "PROVIDER_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
        "DRAIN_SECONDS": "0",
        # all calls fail here, and a provider that does is left alone
        "HEALTH_LEAST_CALLS": "1000000",
    }
    environment = {f"NOTIFY_PROVIDERS_{name}": value for name, value in variables.items()}
    command = [sys.executable, "-m", "notify_providers", "work", "--queues", "dispatch"]
    return ChildProcess("worker", command, folder / "worker.log", {**os.environ, **environment})


def _take_over(uow: UnitOfWork, count: int) -> list[str]:
    content = SmsContent(phone_number="447700900123", sender="DRILL", body="Your code is 123456")
    new = [
        NewDispatch(
            id=new_id(),
            service_id=new_id(),
            key_type=KeyType.NORMAL,
            content=content,
            request_id="drill",
            traceparent="",
        )
        for _ in range(count)
    ]
    for start in range(0, count, 500):
        batch_dispatch(uow, new[start : start + 500])
    return [dispatch.id for dispatch in new]


def _rows(uow: UnitOfWork, sql: str) -> list[tuple[str, int]]:
    with uow.begin() as conn:
        return [(row[0], row[1]) for row in conn.execute(sa.text(sql))]


def _value(uow: UnitOfWork, sql: str) -> int:
    with uow.begin() as conn:
        return int(conn.execute(sa.text(sql)).scalar_one())


def _run(uow: UnitOfWork, sql: str, **values: object) -> None:
    with uow.begin() as conn:
        conn.execute(sa.text(sql), values)


def _wait(condition: Callable[[], bool]) -> None:
    if not wait_until(condition, DEADLINE_SECONDS, interval=0.2):
        raise SystemExit("drill: what should have happened did not, within 3 minutes")


if __name__ == "__main__":
    main()

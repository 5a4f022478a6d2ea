"""The providers service that drills of dispatching are done to: its database, its workers, texts for it."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from notify_common.db.migrations import migrate
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import KeyType
from notify_common.ids import new_id
from notify_local.backing import ChildProcess, Postgres, wait_until
from notify_providers.domain.message import NewDispatch, SmsContent
from notify_providers.usecases.batch_dispatch import batch_dispatch
from notify_testing.certs import ensure_certificates
from notify_testing.provisioning import app_role, provision

DEADLINE_SECONDS = 180.0


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Provide a database with the schema; gives its URL for the service."""
    server = Postgres(folder / "postgres")
    server.start()
    try:
        urls = provision(server.url, "providers")
        migrate("notify_providers", urls.owner_url, app_role("providers"))
        yield urls.app_url
    finally:
        server.stop()


def worker(folder: Path, database_url: str, queues: str, settings: Mapping[str, str]) -> ChildProcess:
    """Return a worker process, not started yet; `settings` by the names of their variables."""
    files = ensure_certificates(folder / "certificates", ["providers"])["providers"]
    variables = {
        "DATABASE_URL": database_url,
        "PAGE_TOKEN_SECRET": "x" * 32,
        "TLS_CA_FILE": str(files.ca),
        "TLS_CERT_FILE": str(files.cert),
        "TLS_KEY_FILE": str(files.key),
        "DRAIN_SECONDS": "0",
        **settings,
    }
    environment = {f"NOTIFY_PROVIDERS_{name}": value for name, value in variables.items()}
    command = [sys.executable, "-m", "notify_providers", "work", "--queues", queues]
    return ChildProcess("worker", command, folder / "worker.log", {**os.environ, **environment})


def take_over(uow: UnitOfWork, count: int) -> list[str]:
    """Take texts over, each of a service of its own; return their ids."""
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


def rows(uow: UnitOfWork, sql: str, **values: object) -> list[tuple[str, int]]:
    """Return pairs that a query finds."""
    with uow.begin() as conn:
        return [(row[0], row[1]) for row in conn.execute(sa.text(sql), values)]


def value(uow: UnitOfWork, sql: str) -> int:
    """Return the number that a query finds."""
    with uow.begin() as conn:
        return int(conn.execute(sa.text(sql)).scalar_one())


def run(uow: UnitOfWork, sql: str, **values: object) -> None:
    """Change the database."""
    with uow.begin() as conn:
        conn.execute(sa.text(sql), values)


def wait(condition: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for a condition; the drill ends with status 1 where it does not come about in time."""
    if not wait_until(condition, seconds, interval=0.2):
        raise SystemExit(f"drill: what should have happened did not, within {seconds:.0f} s")

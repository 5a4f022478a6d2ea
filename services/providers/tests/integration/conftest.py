"""Fixtures: a database of each test's own, and the services over it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_local.backing import wait_until
from notify_providers import bootstrap
from notify_providers.domain.message import NewDispatch
from notify_providers.settings import Settings
from notify_providers.usecases.batch_dispatch import batch_dispatch
from notify_testing.database import FreshDatabase
from notify_testing.rpc import InProcessServer, certificates
from notify_testing.waiting import WAIT_SECONDS
from pydantic import SecretStr

from .configured import provider_settings
from .fake_aws import FakeSes
from .fake_mmg import FakeMmg
from .fake_sns import FakeSns

PAGE_SECRET = "a-page-token-secret-for-tests-only"


@dataclass
class World:
    """The database of one test with the parts that work on it."""

    url: str
    uow: UnitOfWork
    made: list[bootstrap.Parts] = field(default_factory=list)

    def settings(self, **values: object) -> Settings:
        """Return settings with the receipts at once and retries soon, unless `values` say otherwise."""
        files = certificates()["providers"]
        defaults: dict[str, object] = {
            "database_url": SecretStr(self.url),
            "page_token_secret": SecretStr(PAGE_SECRET),
            "tls_ca_file": files.ca,
            "tls_cert_file": files.cert,
            "tls_key_file": files.key,
            "sandbox_receipt_delay_seconds": 0,
            "retry_interval_seconds": 0,
            "providers": provider_settings(),
        }
        return Settings.model_validate({**defaults, **values})

    def parts(self, **values: object) -> bootstrap.Parts:
        """Return the parts of a worker process."""
        made = bootstrap.parts_for_workers(self.settings(**values))
        self.made.append(made)
        return made

    def workers(self, parts: bootstrap.Parts, *queues: str) -> "Workers":
        """Return the workers of some queues, to be stepped by hand."""
        return Workers(parts, queues or ("dispatch", "sandbox"))

    def take_over(self, *new: NewDispatch) -> None:
        """Take messages over as the relay hands them over."""
        assert batch_dispatch(self.uow, new) == (len(new), 0)

    def rows(self, sql: str, **values: object) -> list[Any]:
        """Return what a query finds."""
        with self.uow.begin() as conn:
            return list(conn.execute(sa.text(sql), values))

    def value(self, sql: str, **values: object) -> Any:
        """Return the one value that a query finds."""
        return self.rows(sql, **values)[0][0]

    def run(self, sql: str, **values: object) -> None:
        """Change the database the way that only time or an accident could."""
        with self.uow.begin() as conn:
            conn.execute(sa.text(sql), values)

    def states(self) -> dict[str, int]:
        """Return how many dispatches there are by state."""
        return {
            str(s): int(str(n)) for s, n in self.rows("SELECT state, count(*) FROM dispatches GROUP BY 1")
        }

    def kinds(self, dispatch_id: str) -> list[str]:
        """Return the delivery events of a dispatch, in the feed's order."""
        rows = self.rows(
            "SELECT kind FROM delivery_events WHERE dispatch_id = :id ORDER BY tx, seq", id=dispatch_id
        )
        return [kind for (kind,) in rows]

    def attempts(self, dispatch_id: str) -> list[tuple[str | None, str]]:
        """Return outcome and reason of the attempts of a dispatch, first one first."""
        rows = self.rows(
            "SELECT outcome, reason FROM attempts WHERE dispatch_id = :id ORDER BY number", id=dispatch_id
        )
        return [(outcome, reason) for outcome, reason in rows]

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Keep everybody from writing to a table in the block."""
        with self.uow.begin() as conn:
            conn.execute(sa.text(f"LOCK TABLE {table} IN EXCLUSIVE MODE"))
            yield

    def send_again_at_once(self, provider: str) -> None:
        """Act as an operator whom a second copy harms less than waiting."""
        self.run(
            "UPDATE provider_settings SET unknown_outcome_rule = 'retry', unknown_outcome_wait_seconds = 0"
            " WHERE name = :name",
            name=provider,
        )

    def hold_at_once(self, provider: str) -> None:
        """Act as an operator who waits for no receipt."""
        self.run(
            "UPDATE provider_settings SET unknown_outcome_wait_seconds = 0 WHERE name = :name", name=provider
        )

    def expire_leases(self) -> None:
        """Do what a minute does to the rows of a worker that died."""
        self.run("UPDATE dispatches SET due_at = now(), leased_until = now() WHERE leased_until IS NOT NULL")


class Workers:
    """The steps of some workers, without their threads."""

    def __init__(self, parts: bootstrap.Parts, queues: tuple[str, ...]) -> None:
        self._uow = parts.uow
        self._workers = [worker for queue in queues for worker in bootstrap.workers(parts, queue)]

    def step(self) -> int:
        """Run one step of each worker."""
        return sum(worker._claim_and_do(self._uow) for worker in self._workers)

    def settle(self) -> None:
        """Step until there is nothing to do."""
        assert wait_until(lambda: self.step() == 0, WAIT_SECONDS, interval=0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the workers' threads in the block."""
        stop = threading.Event()
        threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in self._workers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(WAIT_SECONDS)


def eventually(condition: Any) -> None:
    """Wait until a condition holds."""
    assert wait_until(condition, WAIT_SECONDS, interval=0.01)


@pytest.fixture
def world(fresh_database: FreshDatabase) -> Iterator[World]:
    """Provide an empty world."""
    url = fresh_database("notify_providers")
    uow = UnitOfWork(create_engine(url, 4))
    world = World(url, uow)
    yield world
    for parts in world.made:
        parts.close()
    uow.engine.dispose()


@pytest.fixture
def server(world: World) -> Iterator[InProcessServer]:
    """Provide all gRPC services of the context on a unix socket, with TLS and every interceptor."""
    parts = bootstrap.Parts(world.settings(), connections=4)
    with InProcessServer("providers", bootstrap.registrations(parts)) as running:
        yield running
    parts.close()


@pytest.fixture
def mmg() -> Iterator[FakeMmg]:
    """Provide a stand-in for MMG over HTTP."""
    fake = FakeMmg()
    yield fake
    fake.close()


@pytest.fixture
def ses() -> Iterator[FakeSes]:
    """Provide a stand-in for SES over HTTP."""
    fake = FakeSes()
    yield fake
    fake.close()


@pytest.fixture
def sns() -> Iterator[FakeSns]:
    """Provide a stand-in for SNS over HTTPS."""
    fake = FakeSns()
    yield fake
    fake.close()

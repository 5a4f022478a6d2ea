"""Fixtures: a database of each test's own, and the services over it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from notify_common.db.engine import create_engine
from notify_common.db.testing import FreshDatabase
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.ids import uuid7
from notify_common.rpc.testing import InProcessServer, certificates
from notify_local.backing import wait_until
from notify_providers import bootstrap
from notify_providers.domain.message import EmailContent, NewDispatch, PrintContent, SmsContent
from notify_providers.settings import Settings
from pydantic import SecretStr

SERVICE_ID = UUID("5d3c1a2e-0f4b-4c6d-8e7f-9a0b1c2d3e4f")
PAGE_SECRET = "a-page-token-secret-for-tests-only"
WAIT_SECONDS = 20.0


@dataclass
class House:
    """The database of one test with the parts that work on it."""

    url: str
    uow: UnitOfWork
    made: list[bootstrap.Parts] = field(default_factory=list)

    def settings(self, **values: object) -> Settings:
        """Settings with the receipts at once and retries soon, unless `values` say otherwise."""
        files = certificates()["providers"]
        defaults: dict[str, object] = {
            "database_url": SecretStr(self.url),
            "page_token_secret": SecretStr(PAGE_SECRET),
            "tls_ca_file": files.ca,
            "tls_cert_file": files.cert,
            "tls_key_file": files.key,
            "sandbox_receipt_delay_seconds": 0,
            "retry_interval_seconds": 0,
        }
        return Settings.model_validate({**defaults, **values})

    def parts(self, **values: object) -> bootstrap.Parts:
        """Parts of a worker process."""
        made = bootstrap.parts_for_workers(self.settings(**values))
        self.made.append(made)
        return made

    def workers(self, parts: bootstrap.Parts, *queues: str) -> "Workers":
        """The workers of some queues, to be stepped by hand."""
        return Workers(parts, queues or ("dispatch", "sandbox"))

    def rows(self, sql: str, **values: object) -> list[sa.Row[tuple[object, ...]]]:
        """What a query finds."""
        with self.uow.begin() as conn:
            return list(conn.execute(sa.text(sql), values).all())

    def value(self, sql: str, **values: object) -> object:
        """The one value that a query finds."""
        return self.rows(sql, **values)[0][0]

    def run(self, sql: str, **values: object) -> None:
        """Changes the database the way that only time or an accident could."""
        with self.uow.begin() as conn:
            conn.execute(sa.text(sql), values)

    def states(self) -> dict[str, int]:
        """How many dispatches there are by state."""
        return {
            str(s): int(str(n)) for s, n in self.rows("SELECT state, count(*) FROM dispatches GROUP BY 1")
        }

    def kinds(self, dispatch_id: UUID) -> list[str]:
        """The delivery events of a dispatch, in the feed's order."""
        rows = self.rows(
            "SELECT kind FROM delivery_events WHERE dispatch_id = :id ORDER BY tx, seq", id=dispatch_id
        )
        return [str(kind) for (kind,) in rows]

    def expire_leases(self) -> None:
        """What a minute does to the rows of a worker that died."""
        self.run(
            "UPDATE dispatches SET leased_until = now() - interval '1 second' WHERE leased_until IS NOT NULL"
        )


class Workers:
    """The steps of some workers, without their threads."""

    def __init__(self, parts: bootstrap.Parts, queues: tuple[str, ...]) -> None:
        self._uow = parts.uow
        self._workers = [worker for queue in queues for worker in bootstrap.workers(parts, queue)]

    def step(self) -> int:
        """One step of each."""
        return sum(worker._claim_and_do(self._uow) for worker in self._workers)

    def settle(self) -> None:
        """Steps until there is nothing to do."""
        assert wait_until(lambda: self.step() == 0, WAIT_SECONDS, interval=0)


@pytest.fixture
def house(fresh_database: FreshDatabase) -> Iterator[House]:
    """An empty house."""
    url = fresh_database("notify_providers")
    uow = UnitOfWork(create_engine(url, 4))
    house = House(url, uow)
    yield house
    for parts in house.made:
        parts.close()
    uow.engine.dispose()


@pytest.fixture
def server(house: House) -> Iterator[InProcessServer]:
    """All gRPC services of the context on a unix socket, with TLS and every interceptor."""
    parts = bootstrap.Parts(house.settings(), connections=4)
    with InProcessServer("providers", bootstrap.registrations(parts)) as running:
        yield running
    parts.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for logs of child processes."""
    return tmp_path


def sms(number: str = "447700900123", key_type: str = "normal", **values: object) -> NewDispatch:
    """A text to take over."""
    content = SmsContent(phone_number=number, sender="GOVUK", body="Hello", phone_number_as_typed=number)
    return _new(content, key_type, **values)


def email(address: str = "someone@example.com", key_type: str = "normal", **values: object) -> NewDispatch:
    """An email to take over."""
    content = EmailContent(
        to_address=address,
        from_name="Service",
        from_address="service@example.com",
        subject="Subject",
        plain_body="Hello",
        html_body="<p>Hello</p>",
    )
    return _new(content, key_type, **values)


def letter(first_line: str = "A Person", key_type: str = "normal", **values: object) -> NewDispatch:
    """A letter to take over."""
    content = PrintContent(
        pdf_key="letters/1.pdf",
        address_lines=(first_line, "1 Street", "SW1A 1AA"),
        postage="second",
        reference="0123456789ABCDEF",
        sheet_count=1,
    )
    return _new(content, key_type, **values)


def _new(content: SmsContent | EmailContent | PrintContent, key_type: str, **values: object) -> NewDispatch:
    return NewDispatch(
        id=values.get("id") or uuid7(),  # type: ignore[arg-type]
        service_id=SERVICE_ID,
        key_type=key_type,
        content=content,
        request_id="request-1",
        traceparent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
    )


Make = Callable[..., NewDispatch]

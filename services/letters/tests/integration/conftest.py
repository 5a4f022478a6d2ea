"""A real database, Redis and object store; the real admin; providers that record; Celery as a process."""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
import sqlalchemy as sa
from kombu import Connection
from notify.common.v1.common_pb2 import KEY_TYPE_NORMAL, POSTAGE_SECOND, PersonalisationField
from notify.letters.v1.letter_pb2 import Letter
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceStub
from notify.letters.v1.previews_service_pb2_grpc import PreviewsServiceStub
from notify.letters.v1.print_runs_service_pb2_grpc import PrintRunsServiceStub
from notify.providers.v1 import dispatch_service_pb2 as providers_pb
from notify.providers.v1.dispatch_pb2 import Dispatch
from notify.providers.v1.dispatch_service_pb2_grpc import (
    DispatchServiceServicer,
    add_DispatchServiceServicer_to_server,
)
from notify_common import ids
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.rpc.server import Registration
from notify_letters import bootstrap
from notify_letters.settings import Settings
from notify_letters.usecases.collect_print_run import collect_slice
from notify_local.backing import ChildProcess, ObjectStore, Redis, free_ports, wait_until
from notify_testing.admin import AdminService
from notify_testing.database import FreshDatabase
from notify_testing.rpc import InProcessServer, certificates
from notify_testing.waiting import WAIT_SECONDS

from .fake_sqs import FakeSqs

SERVICE_ID = "11111111-1111-7111-8111-111111111111"
TEMPLATE_ID = "22222222-2222-7222-8222-222222222222"


class RecordingProviders(DispatchServiceServicer):
    """providers that keep what they are given, once per id, and can fail as real ones do."""

    def __init__(self) -> None:
        self.dispatches: dict[str, Dispatch] = {}
        self.headers: list[providers_pb.PrintBatchHeader] = []
        self.copies = 0
        self.lose_answers = 0
        """So many next answers are lost after the batch was taken."""
        self.take_short = 0
        """So many next answers count one letter too few."""
        self.hold: threading.Event | None = None
        """Answers wait for it after the batch was taken."""
        self.taken = threading.Event()
        self._lock = threading.Lock()

    def SubmitPrintBatch(
        self, request_iterator: Iterator[providers_pb.SubmitPrintBatchRequest], context: grpc.ServicerContext
    ) -> providers_pb.SubmitPrintBatchResponse:
        """Take a batch over."""
        parts = list(request_iterator)
        assert parts[0].WhichOneof("part") == "header"
        letters = [one for part in parts[1:] for one in part.chunk.dispatches]
        with self._lock:
            self.headers.append(parts[0].header)
            new = [letter for letter in letters if letter.id not in self.dispatches]
            self.dispatches |= {letter.id: letter for letter in new}
            self.copies += len(letters)
            lost, short = self.lose_answers > 0, self.take_short > 0
            self.lose_answers -= lost
            self.take_short -= short
        self.taken.set()
        if self.hold is not None:
            self.hold.wait(WAIT_SECONDS)
        if lost:
            context.abort(grpc.StatusCode.INTERNAL, "the answer is lost")
        return providers_pb.SubmitPrintBatchResponse(
            accepted_count=len(new) - short, duplicate_count=len(letters) - len(new)
        )


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """Provide an S3-compatible store."""
    yield from _started(ObjectStore)


RABBITMQ = shutil.which("rabbitmq-server", path=f"/usr/lib/rabbitmq/bin:{os.environ.get('PATH', '')}")
"""The server itself where a distribution has a script before it that changes users; None: not installed."""


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Provide the URL of a RabbitMQ of the tests' own; ask for it only where it is installed."""
    folder = tmp_path_factory.mktemp("rabbitmq")
    port, other_port, names_port = free_ports(3)
    environment = {
        **os.environ,
        "ERL_EPMD_PORT": str(names_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"notify-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(other_port),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "HOME": str(folder),
    }
    # a name server of its own, as the one that Erlang starts otherwise outlives the tests
    names = ChildProcess("epmd", ["epmd"], folder / "epmd-log", environment)
    server = ChildProcess("rabbitmq", [str(RABBITMQ)], folder / "log", environment)
    names.start()
    server.start()
    url = f"amqp://guest:guest@127.0.0.1:{port}//"

    def answers() -> bool:
        try:
            with Connection(url, connect_timeout=1) as connection:
                connection.connect()
        except OSError:
            return False
        return True

    try:
        server.wait_ready(answers, 120)
        yield url
    finally:
        server.stop()
        names.stop()


@pytest.fixture
def sqs() -> Iterator[FakeSqs]:
    """Provide an SQS without queues."""
    fake = FakeSqs()
    yield fake
    fake.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """Provide a Redis, emptied before each test."""
    yield from _started(Redis)


def _started(kind: Callable[[Path], Any]) -> Iterator[Any]:
    folder = Path(tempfile.mkdtemp(prefix="notify-letters-"))
    server = kind(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class World:
    """The letters context of one test and its neighbours."""

    url: str
    uow: UnitOfWork
    admin: AdminService
    providers: RecordingProviders
    environment: dict[str, str]
    settings: Settings
    folder: Path
    letters: LettersServiceStub
    gateway_letters: LettersServiceStub
    """The same, called by the gateway."""
    print_runs: PrintRunsServiceStub
    previews: PreviewsServiceStub
    made: list[Any] = field(default_factory=list)

    def template(self, content: str, **fields: Any) -> int:
        """Make a version of the template and return it."""
        self.admin.change_template(SERVICE_ID, TEMPLATE_ID, content=content, **fields)
        return self.admin.get_template(SERVICE_ID, TEMPLATE_ID).version

    def parts(self, **values: Any) -> bootstrap.Parts:
        """Return the parts of a process that runs tasks."""
        parts = bootstrap.parts_for_tasks(self.settings.model_copy(update=values))
        self.made.append(parts)
        return parts

    def rows(self, sql: str, **values: Any) -> list[Any]:
        """Return what a query finds."""
        with self.uow.begin() as conn:
            return list(conn.execute(sa.text(sql), values))

    def value(self, sql: str, **values: Any) -> Any:
        """Return the one value that a query finds."""
        return self.rows(sql, **values)[0][0]

    def run(self, sql: str, **values: Any) -> None:
        """Change the database the way that only time or an accident could."""
        with self.uow.begin() as conn:
            conn.execute(sa.text(sql), values)

    def states(self) -> dict[str, int]:
        """Return how many letters there are by state."""
        counted = self.rows("""
            SELECT CASE WHEN l.state = 'submitting' AND b.submit_time IS NOT NULL THEN 'submitted'
                        ELSE l.state END, count(*)
            FROM letters l LEFT JOIN print_batches b ON b.id = l.print_batch_id GROUP BY 1
        """)
        return {str(s): int(n) for s, n in counted}

    def events(self) -> list[tuple[str, str]]:
        """Return the feed: id and kind of each event, as the columns say."""
        rows = self.rows("SELECT letter_id, kind FROM letter_events ORDER BY tx, seq")
        return [(str(letter_id), kind) for letter_id, kind in rows]

    def batch_ids(self, table: str) -> list[str]:
        """Return the ids of the batches in a table that wait for work."""
        rows = self.rows(f"SELECT id FROM {table} WHERE due_at IS NOT NULL ORDER BY due_at, id")
        return [str(batch_id) for (batch_id,) in rows]

    def expire_leases(self) -> None:
        """Do what half a minute does to the batches of a task that died."""
        for table in ("render_batches", "print_batches"):
            self.run(
                f"UPDATE {table} SET due_at = now(), leased_until = now() WHERE leased_until IS NOT NULL"
            )

    def collect(self) -> int:
        """Collect the letters of all runs that wait for it; return how many slices it took."""
        slices = 0
        while self.value("SELECT count(*) FROM print_runs WHERE state = 'collecting' AND pause_time IS NULL"):
            collect_slice(self.uow)
            slices += 1
        return slices

    def due_again(self) -> None:
        """Do what the time until the next try does."""
        for table in ("render_batches", "print_batches"):
            self.run(f"UPDATE {table} SET due_at = now() WHERE due_at IS NOT NULL")

    @contextmanager
    def process(self, name: str, *arguments: str, **settings: object) -> Iterator[ChildProcess]:
        """Provide a process of this context, ended at the block's end."""
        environment = self.environment | {
            f"NOTIFY_LETTERS_{key.upper()}": str(value) for key, value in settings.items()
        }
        log = self.folder / f"{name}-{ids.new_id()}.log"
        process = ChildProcess(name, [sys.executable, "-m", *arguments], log, {**os.environ, **environment})
        process.start()
        try:
            yield process
        finally:
            process.stop()

    @contextmanager
    def celery(self, name: str = "celery", **settings: object) -> Iterator[ChildProcess]:
        """Provide a Celery worker of both queues that takes tasks."""
        heartbeat = self.folder / f"{name}.heartbeat"
        arguments = (
            "celery",
            "-A",
            "notify_letters.celery_app",
            "worker",
            "-Q",
            "render,submit",
            "-n",
            f"{name}@%h",
        )
        with self.process(name, *arguments, worker_heartbeat_file=heartbeat, **settings) as process:
            process.wait_ready(heartbeat.exists, WAIT_SECONDS)
            yield process

    @contextmanager
    def beat(self, name: str) -> Iterator[ChildProcess]:
        """Provide a beat, which fires as soon as it starts."""
        heartbeat = self.folder / f"{name}.heartbeat"
        arguments = ("celery", "-A", "notify_letters.celery_app", "beat")
        with self.process(name, *arguments, worker_heartbeat_file=heartbeat) as process:
            process.wait_ready(heartbeat.exists, WAIT_SECONDS)
            yield process

    @contextmanager
    def relay(self, **settings: object) -> Iterator[ChildProcess]:
        """Provide the relay, and what collects and completes print runs."""
        with self.process(
            "relay", "notify_letters", "work", "--queues", "relay,print-runs", **settings
        ) as process:
            yield process


def letter(**values: Any) -> Letter:
    """Return a letter as notifications hands it over."""
    fields: dict[str, Any] = {
        "id": ids.new_id(),
        "service_id": SERVICE_ID,
        "key_type": KEY_TYPE_NORMAL,
        "template_id": TEMPLATE_ID,
        "template_version": 1,
        "personalisation": [PersonalisationField(key="name", text="Ms Example")],
        "address_lines": ["Ms Example", "1 High Street", "EX1 1EX"],
        "postage": POSTAGE_SECOND,
        "reference": "ABCDEFGHIJKLMNOP",
        "origin_request_id": "the-request",
        "traceparent": "",
        **values,
    }
    made = Letter(**fields)
    if not made.HasField("create_time"):
        made.create_time.FromDatetime(datetime(2026, 3, 5, 12, 0, tzinfo=UTC))
    return made


def until(condition: Callable[[], bool], process: Sequence[ChildProcess] = ()) -> None:
    """Wait for a condition, failing with the processes' last lines."""
    if not wait_until(condition, WAIT_SECONDS):
        pytest.fail("\n".join(["the condition never came true", *(one.last_lines(40) for one in process)]))


@pytest.fixture
def world(
    fresh_database: FreshDatabase, object_store: ObjectStore, redis_server: Redis, tmp_path: Path
) -> Iterator[World]:
    """Provide the letters service in this process, its neighbours on unix sockets, and real servers."""
    url = fresh_database("notify_letters")
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    providers = RecordingProviders()
    with (
        AdminService(fresh_database("notify_admin")) as admin,
        InProcessServer(
            "providers",
            [
                Registration(
                    add_DispatchServiceServicer_to_server, providers, "notify.providers.v1.DispatchService"
                )
            ],
        ) as providers_server,
    ):
        files = certificates()["letters"]
        values = {
            "database_url": url,
            "page_token_secret": "a secret of thirty-two characters or more",
            "tls_ca_file": files.ca,
            "tls_cert_file": files.cert,
            "tls_key_file": files.key,
            "admin_target": admin.target,
            "providers_target": providers_server.target,
            "broker_url": redis_server.url,
            "clamd_address": "off",
            "blob_endpoint": object_store.url,
            "blob_region": object_store.region,
            "blob_bucket": f"letters-{ids.new_id()}",
            "attachment_bucket": f"attachments-{ids.new_id()}",
            "logo_bucket": f"logos-{ids.new_id()}",
            "transient_upload_bucket": f"uploads-{ids.new_id()}",
            "blob_access_key": object_store.access_key,
            "blob_secret_key": object_store.secret_key,
        }
        settings = Settings.model_validate(values)
        uow = UnitOfWork(create_engine(url, 4))
        server_parts = bootstrap.parts_for_server(settings)
        server_parts.blobs.ensure_bucket()
        with InProcessServer("letters", bootstrap.registrations(server_parts)) as server:
            made = World(
                url=url,
                uow=uow,
                admin=admin,
                providers=providers,
                environment={f"NOTIFY_LETTERS_{key.upper()}": str(value) for key, value in values.items()},
                settings=settings,
                folder=tmp_path,
                letters=LettersServiceStub(server.channel("notifications")),
                gateway_letters=LettersServiceStub(server.channel("gateway-internal")),
                print_runs=PrintRunsServiceStub(server.channel("operator")),
                previews=PreviewsServiceStub(server.channel("gateway-internal")),
            )
            admin.add_service(id=SERVICE_ID)
            admin.add_template(SERVICE_ID, Channel.LETTER, "Dear ((name))", "Your letter", id=TEMPLATE_ID)
            yield made
        for parts in (*made.made, server_parts):
            parts.close()
        uow.engine.dispose()

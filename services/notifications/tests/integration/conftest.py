"""The service as it is, on unix sockets, with its real database and Redis and the real admin service."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
import sqlalchemy as sa
from notify.letters.v1.letters_service_pb2_grpc import add_LettersServiceServicer_to_server
from notify.letters.v1.previews_service_pb2_grpc import add_PreviewsServiceServicer_to_server
from notify.notifications.v1 import notification_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify.notifications.v1.notifications_service_pb2_grpc import NotificationsServiceStub
from notify.providers.v1.dispatch_service_pb2_grpc import add_DispatchServiceServicer_to_server
from notify.providers.v1.receipts_service_pb2_grpc import add_ReceiptsServiceServicer_to_server
from notify_common.db.engine import postgres_url
from notify_common.errors import NotifyError
from notify_common.leases.worker import Worker
from notify_common.rpc.server import Registration
from notify_local.backing import Redis, wait_until
from notify_notifications import bootstrap
from notify_notifications.bootstrap import Parts
from notify_notifications.settings import Settings
from notify_testing.database import FreshDatabase
from notify_testing.rpc import InProcessServer, certificates
from notify_testing.waiting import WAIT_SECONDS
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from .neighbours import Admin, FakeLetters, FakePreviews, FakeProviders
from .requests import sms


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="notify-redis-") as folder:
        server = Redis(Path(folder), durable=False)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@dataclass
class World:
    """The service under test and what is around it."""

    admin: Admin
    providers: FakeProviders
    letters: FakeLetters
    previews: FakePreviews
    parts: Parts
    stub: Any
    channel: grpc.Channel
    """Of the gateway, to the service under test."""
    redis: "redis.Redis"
    superuser: sa.Engine
    relays: dict[str, Worker]
    feeds: dict[str, Worker]

    def relay(self) -> int:
        """Hand over what is due; return how many outbox rows were claimed."""
        return sum(self.step(worker) for worker in self.relays.values())

    def apply_events(self) -> int:
        """Apply what neighbours report; return how many events were new."""
        return sum(self.step(worker) for worker in self.feeds.values())

    def step(self, worker: Worker) -> int:
        return worker._claim_and_do(self.parts.uow)

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        with self.parts.uow.begin() as conn:
            return list(conn.execute(sa.text(statement), parameters).all())

    def execute(self, statement: str, **parameters: Any) -> None:
        with self.parts.uow.begin() as conn:
            conn.execute(sa.text(statement), parameters)

    @contextmanager
    def failing_updates(self) -> Iterator[None]:
        """Make the database refuse every change to a notification inside the block."""
        with self.superuser.begin() as conn:
            conn.exec_driver_sql(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no change now'; END $$"
            )
            conn.exec_driver_sql(
                "CREATE TRIGGER refuse BEFORE UPDATE ON notifications FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        try:
            yield
        finally:
            with self.superuser.begin() as conn:
                conn.exec_driver_sql("DROP FUNCTION refuse CASCADE")

    def counts(self) -> tuple[int, int, int]:
        """Return the rows of notifications, of the outbox, and messages counted today."""
        (counts,) = self.rows(
            "SELECT (SELECT count(*) FROM notifications), (SELECT count(*) FROM outbox), "
            "(SELECT coalesce(sum(count), 0) FROM service_day_counters)"
        )
        return counts[0], counts[1], counts[2]

    def empty(self) -> None:
        """Forget every message."""
        for table in (
            "notifications",
            "outbox",
            "service_day_counters",
            "message_counts",
            "usage_facts",
            "platform_days",
            "processing_times",
            "processing_days",
            "deleted_message_counts",
            "posted_letters",
            "idempotency_keys",
            "batches",
            "batch_counts",
            "feed_cursors",
            "callbacks",
            "inbound_sms",
            "unsubscribe_requests",
            "unsubscribe_reports",
        ):
            self.execute(f"DELETE FROM {table}")
        self.redis.flushdb()

    def get(self, service_id: str, notification_id: str) -> notification_pb2.Notification:
        request = pb.GetNotificationRequest(service_id=service_id, notification_id=notification_id)
        response: pb.GetNotificationResponse = self.stub.GetNotification(request)
        return response.notification

    def state(self, service_id: str, notification_id: str) -> str:
        state = self.get(service_id, notification_id).state
        return notification_pb2.Notification.State.Name(state).removeprefix("STATE_").lower()


@pytest.fixture(scope="module")
def town(database_server: str, module_database: FreshDatabase, redis_server: Redis) -> Iterator[World]:
    with ExitStack() as stack:
        admin = stack.enter_context(Admin(module_database("notify_admin")))
        providers, letters, previews = FakeProviders(), FakeLetters(), FakePreviews()
        neighbours = {
            "providers": [
                Registration(
                    add_DispatchServiceServicer_to_server, providers, "notify.providers.v1.DispatchService"
                ),
                Registration(
                    add_ReceiptsServiceServicer_to_server, providers, "notify.providers.v1.ReceiptsService"
                ),
            ],
            "letters": [
                Registration(
                    add_LettersServiceServicer_to_server, letters, "notify.letters.v1.LettersService"
                ),
                Registration(
                    add_PreviewsServiceServicer_to_server, previews, "notify.letters.v1.PreviewsService"
                ),
            ],
        }
        targets: dict[str, Any] = {
            f"{name}_target": stack.enter_context(InProcessServer(name, registrations)).target
            for name, registrations in neighbours.items()
        }
        targets["admin_target"] = admin.target
        url = module_database("notify_notifications")
        files = certificates()["notifications"]
        settings = Settings(
            tls_ca_file=files.ca,
            tls_cert_file=files.cert,
            tls_key_file=files.key,
            database_url=SecretStr(url),
            page_token_secret=SecretStr("x" * 32),
            redis_url=SecretStr(redis_server.url),
            redis_timeout_seconds=1,
            **targets,
        )
        parts = bootstrap.parts_for_server(settings)
        stack.callback(parts.close)
        server = stack.enter_context(
            InProcessServer("notifications", bootstrap.registrations(parts), grpc_threads=8)
        )
        channel = server.channel("gateway-internal")
        superuser = sa.create_engine(
            postgres_url(database_server).set(database=make_url(url).database), poolclass=sa.NullPool
        )
        relays, feeds = bootstrap.relay_workers(parts), bootstrap.feed_workers(parts)
        world = World(
            admin=admin,
            providers=providers,
            letters=letters,
            previews=previews,
            parts=parts,
            stub=NotificationsServiceStub(channel),
            channel=channel,
            redis=redis.Redis.from_url(redis_server.url, decode_responses=True),
            superuser=superuser,
            relays={worker.name: worker for worker in relays},
            feeds={worker.name: worker for worker in feeds},
        )
        # connections are made here, so that on a busy machine no test pays for them out of its deadline
        assert wait_until(lambda: is_answering(world), WAIT_SECONDS)
        yield world


def is_answering(world: World) -> bool:
    service = world.admin.add_service()
    try:
        world.stub.SendSms(sms(service, world.admin.add_template(service, "sms", "x")))
    except NotifyError:
        return False
    world.empty()
    return True


@pytest.fixture
def world(town: World) -> Iterator[World]:
    """Provide the town, emptied of what the test before left."""
    yield town
    town.empty()
    town.admin.away = town.providers.away = False
    town.admin.before_snapshots = lambda: None
    town.providers.fails_with = ""
    town.providers.refuse = lambda dispatch: False
    town.providers.after_commit = lambda: None
    providers = town.providers
    for kept in (providers.dispatches, providers.calls, providers.events, providers.texts):
        kept.clear()
    town.providers.duplicates = 0
    town.previews.pages, town.previews.fails_with = 1, ""
    town.previews.asked.clear()
    town.letters.letters.clear()
    town.letters.events.clear()
    town.letters.cancelled.clear()
    town.letters.cancellation, town.letters.cancelling_fails_with = "CANCELLED", ""
    town.feeds.update({worker.name: worker for worker in bootstrap.feed_workers(town.parts)})

"""Fixtures: a database of each test's own, and the services over it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from notify.admin.v1 import config_feed_service_pb2
from notify.admin.v1.api_keys_service_pb2 import CreateApiKeyResponse
from notify.admin.v1.platform_mail_service_pb2 import PlatformMail
from notify.admin.v1.service_pb2 import Service
from notify.admin.v1.template_pb2 import Template
from notify.common.v1 import common_pb2
from notify_admin import bootstrap
from notify_admin.settings import Settings
from notify_common.db.unit_of_work import UnitOfWork
from notify_testing.admin import AdminService
from notify_testing.calls import Caller
from notify_testing.database import FreshDatabase
from notify_testing.rpc import InProcessServer, tls_files
from notify_testing.waiting import until
from pydantic import SecretStr

PAGE_SECRET = "a-page-token-secret-for-tests-only"
PACKAGE = "notify.admin.v1"
Mails = Callable[[int], list[PlatformMail]]


@pytest.fixture
def settings(fresh_database: FreshDatabase) -> Settings:
    """Provide settings over an empty database, as the app role."""
    tls: dict[str, Any] = {**tls_files("admin")}
    return Settings(
        database_url=SecretStr(fresh_database("notify_admin")),
        page_token_secret=SecretStr(PAGE_SECRET),
        api_key_encryption_keys=SecretStr(Fernet.generate_key().decode()),
        **tls,
    )


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Provide what a process of the context reads, with keys in a file and no database."""
    keys = tmp_path / "keys"
    keys.write_text(f"{Fernet.generate_key().decode()}\n{Fernet.generate_key().decode()}\n")
    tls = {f"NOTIFY_ADMIN_{name.upper()}": str(file) for name, file in tls_files("admin").items()}
    return {
        "NOTIFY_ADMIN_DATABASE_URL": "postgresql://nobody@/nowhere",
        "NOTIFY_ADMIN_PAGE_TOKEN_SECRET": PAGE_SECRET,
        "NOTIFY_ADMIN_API_KEY_ENCRYPTION_KEYS_FILE": str(keys),
        **tls,
    }


@pytest.fixture
def uow(settings: Settings) -> Iterator[UnitOfWork]:
    """Provide the database of the test."""
    made = bootstrap.parts(settings).uow
    yield made
    made.engine.dispose()


@pytest.fixture
def server(settings: Settings, uow: UnitOfWork) -> Iterator[InProcessServer]:
    """Provide all gRPC services of the context on a unix socket, with TLS, every interceptor and the
    allow-lists.
    """
    allowed = settings.allowed_callers
    with InProcessServer("admin", bootstrap.registrations(settings, uow), allowed_callers=allowed) as running:
        yield running


class Admin(Caller):
    """The methods that one caller calls, and short ways to make things.

    Args:
        public: the channel of the gateway's public face, where the caller is the other one.
    """

    def __init__(self, channel: grpc.Channel, uow: UnitOfWork, public: grpc.Channel | None = None) -> None:
        super().__init__(channel, PACKAGE)
        self._uow = uow
        self.public = Caller(public or channel, PACKAGE)

    def make_user(self, name: str = "Ann", address: str = "ann@example.gov.uk", mobile: str = "") -> str:
        """Create a user; return the id."""
        user = {"name": name, "email_address": address, "mobile_number": mobile}
        return str(self.CreateUser(user=user).id)

    def make_service(self, name: str = "Fishing licences", **fields: Any) -> Service:
        """Return a service."""
        made: Service = self.CreateService(service={"name": name, **fields})
        return made

    def get_service(self, service_id: str) -> Service:
        """Return a service as it is now."""
        found: Service = self.GetService(service_id=service_id)
        return found

    def update_service(self, service: Service, *paths: str) -> Service:
        """Send some fields of a service."""
        updated: Service = self.UpdateService(service=service, update_mask={"paths": paths})
        return updated

    def make_template(self, service_id: str, user_id: str, /, **fields: Any) -> Template:
        """Return a template; a text unless the fields say otherwise, with a subject where there are some."""
        fields = {"name": "Reminder", "channel": common_pb2.CHANNEL_SMS, "content": "Hello ((name))"} | fields
        if fields["channel"] in (common_pb2.CHANNEL_EMAIL, common_pb2.CHANNEL_LETTER):
            fields = {"subject": "S"} | fields
        given = {"service_id": service_id, "created_by_id": user_id} | fields
        made: Template = self.CreateTemplate(template=given)
        return made

    def get_template(self, template: Template, version: int = 0) -> Template:
        """Return a template as it is at a version."""
        ids = {"service_id": template.service_id, "template_id": template.id}
        found: Template = self.GetTemplate(**ids, version=version)
        return found

    def update_template(self, template: Template, user_id: str, *paths: str, **more: Any) -> Template:
        """Send some fields of a template."""
        mask = {"paths": paths}
        updated: Template = self.UpdateTemplate(
            template=template, updated_by_id=user_id, update_mask=mask, **more
        )
        return updated

    def archive_template(self, template: Template, user_id: str) -> Template:
        """Archive a template."""
        ids = {"service_id": template.service_id, "template_id": template.id}
        archived: Template = self.ArchiveTemplate(**ids, archived_by_id=user_id)
        return archived

    def make_key(
        self, service_id: str, user_id: str, name: str = "live", request_id: str = "", **fields: Any
    ) -> CreateApiKeyResponse:
        """Return a key with its secret, a normal one unless the fields say otherwise."""
        given = {"service_id": service_id, "name": name, "created_by_id": user_id}
        more = {"request_id": request_id} if request_id else {}
        made: CreateApiKeyResponse = self.CreateApiKey(
            api_key={**given, "key_type": common_pb2.KEY_TYPE_NORMAL} | fields, **more
        )
        return made

    def verification_keys(self, service_id: str, **paging: Any) -> list[Any]:
        """Return what verifies a service's signatures."""
        return self.public.every("ListVerificationKeys", service_id=service_id, **paging)

    def cursor(self) -> str:
        """Return the end of the feed, once all that was committed can be read."""
        until(self._settled)
        return str(self.public.ListConfigChanges(cursor="latest").next_cursor)

    def wait_for_changes(self, cursor: str, count: int) -> list[tuple[str, str, str]]:
        """Return kind, service and template of the first `count` changes after a cursor, once they can be
        read.
        """
        kinds = config_feed_service_pb2.ConfigChange.Kind
        found: list[tuple[str, str, str]] = []

        def read() -> bool:
            nonlocal cursor
            response = self.public.ListConfigChanges(cursor=cursor)
            cursor = response.next_cursor
            found.extend((kinds.Name(c.kind), c.service_id, c.template_id) for c in response.changes)
            return len(found) >= count

        until(read)
        return found

    def changes(self, cursor: str) -> list[tuple[str, str, str]]:
        """Return all changes after a cursor, in their order."""
        marker = self.make_service("Marker").id
        found: list[tuple[str, str, str]] = []
        while ("KIND_SERVICE", marker, "") not in found:
            found = self.wait_for_changes(cursor, len(found) + 1)
        return found[:-1]

    def _settled(self) -> bool:
        # transactions of other tests, on the same server, hold the feed back
        unsettled = "SELECT count(*) FROM config_changes WHERE tx >= pg_snapshot_xmin(pg_current_snapshot())"
        with self._uow.begin() as conn:
            answer: bool = conn.execute(sa.text(unsettled)).scalar_one() == 0
            return answer


@pytest.fixture
def admin(server: InProcessServer, uow: UnitOfWork) -> Admin:
    """Provide what both faces of the gateway call."""
    return Admin(server.channel("gateway-internal"), uow, server.channel("gateway-public"))


@pytest.fixture
def operator(server: InProcessServer, uow: UnitOfWork) -> Admin:
    """Provide what an operator calls."""
    return Admin(server.channel("operator"), uow)


@pytest.fixture
def service(admin: Admin) -> Service:
    """Provide a service."""
    return admin.make_service()


@pytest.fixture
def user_id(admin: Admin) -> str:
    """Provide a user."""
    return admin.make_user()


@pytest.fixture
def unknown() -> str:
    """Provide an id that nothing has."""
    return str(UUID(int=1))


@pytest.fixture
def mails(server: InProcessServer, uow: UnitOfWork) -> Mails:
    """Provide what reads all mail, once there are so many; there must not be more."""
    feed = Caller(server.channel("notifications"), PACKAGE)

    def read(count: int) -> list[PlatformMail]:
        until(lambda: len(feed.ListPlatformMailEvents().mails) >= count)
        with uow.begin() as tx:
            assert tx.execute(sa.text("SELECT count(*) FROM platform_mail")).scalar_one() == count
        return list(feed.ListPlatformMailEvents().mails)

    return read


@pytest.fixture(scope="module")
def neighbour(module_database: FreshDatabase) -> Iterator[AdminService]:
    """Provide admin for a whole module, as its neighbours call it."""
    with AdminService(module_database("notify_admin")) as running:
        yield running

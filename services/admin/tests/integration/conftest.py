"""Fixtures: a database of each test's own, and the services over it."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import grpc
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from notify.admin.v1 import (
    api_key_pb2,
    api_keys_service_pb2,
    api_keys_service_pb2_grpc,
    config_feed_service_pb2,
    config_feed_service_pb2_grpc,
    service_pb2,
    services_service_pb2,
    services_service_pb2_grpc,
    template_pb2,
    templates_service_pb2,
    templates_service_pb2_grpc,
    user_pb2,
    users_service_pb2,
    users_service_pb2_grpc,
)
from notify.common.v1 import common_pb2
from notify_admin import bootstrap
from notify_admin.settings import Settings
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.ids import new_id
from notify_testing.database import FreshDatabase
from notify_testing.rpc import InProcessServer, certificates
from notify_testing.waiting import until
from pydantic import SecretStr

PAGE_SECRET = "a-page-token-secret-for-tests-only"


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    until(condition)


@pytest.fixture
def settings(fresh_database: FreshDatabase) -> Settings:
    """Provide settings over an empty database, as the app role."""
    files = certificates()["admin"]
    return Settings(
        database_url=SecretStr(fresh_database("notify_admin")),
        page_token_secret=SecretStr(PAGE_SECRET),
        api_key_encryption_keys=SecretStr(Fernet.generate_key().decode()),
        tls_ca_file=files.ca,
        tls_cert_file=files.cert,
        tls_key_file=files.key,
    )


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


class Admin:
    """The stubs of one caller, and short ways to make things.

    Args:
        public: the channel of the gateway's public face, where the caller is the other one.
    """

    def __init__(self, channel: grpc.Channel, uow: UnitOfWork, public: grpc.Channel | None = None) -> None:
        self._uow = uow
        public = public or channel
        self.services = services_service_pb2_grpc.ServicesServiceStub(channel)
        self.templates = templates_service_pb2_grpc.TemplatesServiceStub(channel)
        self.keys = api_keys_service_pb2_grpc.ApiKeysServiceStub(channel)
        self.verification = api_keys_service_pb2_grpc.ApiKeyVerificationServiceStub(public)
        self.users = users_service_pb2_grpc.UsersServiceStub(channel)
        self.channel = channel
        self.feed = config_feed_service_pb2_grpc.ConfigFeedServiceStub(public)

    def make_user(
        self, name: str = "Ann", email_address: str = "ann@example.gov.uk", mobile: str = ""
    ) -> str:
        """Create a user; return the id."""
        user = user_pb2.User(name=name, email_address=email_address, mobile_number=mobile)
        request = users_service_pb2.CreateUserRequest(request_id=new_id(), user=user)
        answer: str = self.users.CreateUser(request).user.id
        return answer

    def make_service(self, name: str = "Fishing licences", **fields: Any) -> service_pb2.Service:
        """Return a service."""
        service = service_pb2.Service(name=name, **fields)
        request = services_service_pb2.CreateServiceRequest(request_id=new_id(), service=service)
        answer: service_pb2.Service = self.services.CreateService(request).service
        return answer

    def get_service(self, service_id: str) -> service_pb2.Service:
        """Return a service as it is now."""
        answer: service_pb2.Service = self.services.GetService(
            services_service_pb2.GetServiceRequest(service_id=service_id)
        ).service
        return answer

    def update_service(self, service: service_pb2.Service, *paths: str) -> service_pb2.Service:
        """Send some fields of a service."""
        request = services_service_pb2.UpdateServiceRequest(service=service)
        request.update_mask.paths.extend(paths)
        answer: service_pb2.Service = self.services.UpdateService(request).service
        return answer

    def make_template(self, service: str, user_id: str, /, **fields: Any) -> template_pb2.Template:
        """Return a template; a text unless the fields say otherwise."""
        values: dict[str, Any] = {
            "name": "Reminder",
            "channel": common_pb2.CHANNEL_SMS,
            "content": "Hello ((name))",
            "service_id": service,
            "created_by_id": user_id,
        }
        template = template_pb2.Template(**(values | fields))
        request = templates_service_pb2.CreateTemplateRequest(request_id=new_id(), template=template)
        answer: template_pb2.Template = self.templates.CreateTemplate(request).template
        return answer

    def get_template(self, template: template_pb2.Template, version: int = 0) -> template_pb2.Template:
        """Return a template as it is at a version."""
        answer: template_pb2.Template = self.templates.GetTemplate(
            templates_service_pb2.GetTemplateRequest(
                service_id=template.service_id, template_id=template.id, version=version
            )
        ).template
        return answer

    def update_template(
        self, template: template_pb2.Template, user_id: str, *paths: str
    ) -> template_pb2.Template:
        """Send some fields of a template."""
        request = templates_service_pb2.UpdateTemplateRequest(template=template, updated_by_id=user_id)
        request.update_mask.paths.extend(paths)
        answer: template_pb2.Template = self.templates.UpdateTemplate(request).template
        return answer

    def make_key(
        self, service_id: str, user_id: str, name: str = "live", key_type: Any = common_pb2.KEY_TYPE_NORMAL
    ) -> api_keys_service_pb2.CreateApiKeyResponse:
        """Return a key with its secret."""
        api_key = api_key_pb2.ApiKey(
            service_id=service_id, name=name, key_type=key_type, created_by_id=user_id
        )
        request = api_keys_service_pb2.CreateApiKeyRequest(request_id=new_id(), api_key=api_key)
        answer: api_keys_service_pb2.CreateApiKeyResponse = self.keys.CreateApiKey(request)
        return answer

    def verification_keys(self, service_id: str) -> list[api_key_pb2.VerificationKey]:
        """Return what verifies a service's signatures."""
        request = api_keys_service_pb2.ListVerificationKeysRequest(service_id=service_id)
        return list(self.verification.ListVerificationKeys(request).verification_keys)

    def cursor(self) -> str:
        """Return the end of the feed, once all that was committed can be read."""
        eventually(self._settled)
        request = config_feed_service_pb2.ListConfigChangesRequest(cursor="latest")
        answer: str = self.feed.ListConfigChanges(request).next_cursor
        return answer

    def wait_for_changes(self, cursor: str, count: int) -> list[tuple[str, str, str]]:
        """Return kind, service and template of the first `count` changes after a cursor, once they can be
        read.
        """
        kinds = config_feed_service_pb2.ConfigChange.Kind
        found: list[tuple[str, str, str]] = []

        def read() -> bool:
            nonlocal cursor
            response = self.feed.ListConfigChanges(
                config_feed_service_pb2.ListConfigChangesRequest(cursor=cursor)
            )
            cursor = response.next_cursor
            found.extend((kinds.Name(c.kind), c.service_id, c.template_id) for c in response.changes)
            return len(found) >= count

        eventually(read)
        return found

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
def user_id(admin: Admin) -> str:
    """Provide a user."""
    return admin.make_user()


@pytest.fixture
def unknown() -> str:
    """Provide an id that nothing has."""
    return str(UUID(int=1))

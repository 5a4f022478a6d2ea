"""Builds the parts of a process from its settings; nothing here runs at import."""

from notify.admin.v1.api_keys_service_pb2_grpc import (
    add_ApiKeysServiceServicer_to_server,
    add_ApiKeyVerificationServiceServicer_to_server,
)
from notify.admin.v1.config_feed_service_pb2_grpc import add_ConfigFeedServiceServicer_to_server
from notify.admin.v1.services_service_pb2_grpc import add_ServicesServiceServicer_to_server
from notify.admin.v1.templates_service_pb2_grpc import add_TemplatesServiceServicer_to_server
from notify.admin.v1.users_service_pb2_grpc import add_UsersServiceServicer_to_server
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration

from notify_admin.servicers import api_keys, config_feed, services, templates, users
from notify_admin.settings import Settings


def unit_of_work(settings: Settings) -> UnitOfWork:
    """The database: a connection for each thread that serves calls, and one for the health check."""
    url = settings.database_url.get_secret_value()
    return UnitOfWork(create_engine(url, settings.grpc_threads + 1, application_name="notify-admin"))


def registrations(settings: Settings, uow: UnitOfWork) -> list[Registration]:
    """The gRPC services of this context."""
    pager = Pager(settings.page_token_secret.get_secret_value().encode())
    box = settings.secret_box()
    return [
        Registration(
            add_ServicesServiceServicer_to_server,
            services.ServicesServicer(uow, pager, settings.default_sms_sender),
            services.SERVICE,
        ),
        Registration(
            add_TemplatesServiceServicer_to_server, templates.TemplatesServicer(uow, pager), templates.SERVICE
        ),
        Registration(
            add_ApiKeysServiceServicer_to_server, api_keys.ApiKeysServicer(uow, pager, box), api_keys.SERVICE
        ),
        Registration(
            add_ApiKeyVerificationServiceServicer_to_server,
            api_keys.ApiKeyVerificationServicer(uow, pager, box),
            api_keys.VERIFICATION_SERVICE,
        ),
        Registration(add_UsersServiceServicer_to_server, users.UsersServicer(uow, pager), users.SERVICE),
        Registration(
            add_ConfigFeedServiceServicer_to_server, config_feed.ConfigFeedServicer(uow), config_feed.SERVICE
        ),
    ]

"""Builds the parts of a process from its settings; nothing here runs at import."""

from functools import partial

from notify.admin.v1 import (
    api_keys_service_pb2,
    config_feed_service_pb2,
    services_service_pb2,
    templates_service_pb2,
    users_service_pb2,
)
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration

from notify_admin.servicers.methods import Gets, Lists, UseCase, registration
from notify_admin.settings import Settings
from notify_admin.store.api_keys import SHOWN
from notify_admin.store.resources import API_KEYS, MEMBERS, SERVICES, TEMPLATES, USERS
from notify_admin.store.templates import LISTED
from notify_admin.usecases import api_keys, config_feed, senders, services, templates, users

_SERVICES = services_service_pb2.DESCRIPTOR.services_by_name["ServicesService"]
_TEMPLATES = templates_service_pb2.DESCRIPTOR.services_by_name["TemplatesService"]
_API_KEYS = api_keys_service_pb2.DESCRIPTOR.services_by_name["ApiKeysService"]
_VERIFICATION = api_keys_service_pb2.DESCRIPTOR.services_by_name["ApiKeyVerificationService"]
_USERS = users_service_pb2.DESCRIPTOR.services_by_name["UsersService"]
_CONFIG_FEED = config_feed_service_pb2.DESCRIPTOR.services_by_name["ConfigFeedService"]


def unit_of_work(settings: Settings) -> UnitOfWork:
    """The database: a connection for each thread that serves calls, and one for the health check."""
    url = settings.database_url.get_secret_value()
    return UnitOfWork(create_engine(url, settings.grpc_threads + 1, application_name="notify-admin"))


def registrations(settings: Settings, uow: UnitOfWork) -> list[Registration]:
    """The gRPC services of this context, each method a use case or a declaration."""
    pager = Pager(settings.page_token_secret.get_secret_value().encode())
    box = settings.secret_box()
    made = partial(registration, uow, pager)
    return [
        made(
            _SERVICES,
            partial(services.create_service, settings.default_sms_sender),
            services.update_service,
            services.archive_service,
            GetService=Gets(SERVICES),
            ListServices=Lists(SERVICES),
            **_sender_methods(),
        ),
        made(
            _TEMPLATES,
            templates.create_template,
            templates.get_template,
            templates.update_template,
            templates.archive_template,
            partial(templates.list_template_versions, pager),
            ListTemplates=Lists(TEMPLATES, LISTED, parent=SERVICES),
        ),
        made(
            _API_KEYS,
            partial(api_keys.create_api_key, box),
            api_keys.revoke_api_key,
            ListApiKeys=Lists(API_KEYS, SHOWN, parent=SERVICES),
        ),
        made(_VERIFICATION, partial(api_keys.list_verification_keys, box, pager)),
        made(
            _USERS,
            users.create_user,
            users.add_member,
            users.remove_member,
            GetUser=Gets(USERS),
            ListMembers=Lists(MEMBERS, parent=SERVICES),
        ),
        made(_CONFIG_FEED, config_feed.get_snapshots, config_feed.list_config_changes),
    ]


def _sender_methods() -> dict[str, UseCase | Gets | Lists]:
    live = {"archived": False}
    methods: dict[str, UseCase | Gets | Lists] = {}
    for name, kind in senders.KINDS.items():
        plural = f"{name}es" if name.endswith("s") else f"{name}s"
        methods[f"Create{name}"] = partial(senders.create_sender, kind)
        methods[f"Get{name}"] = Gets(kind.resource, live)
        methods[f"List{plural}"] = Lists(kind.resource, live, parent=SERVICES)
        methods[f"Set{name}"] = partial(senders.set_sender, kind)
        methods[f"Archive{name}"] = partial(senders.archive_sender, kind)
    return methods

"""Stubs of the services behind the gateway, made on first use in each process (design.md §4.3)."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, Generic, TypeVar, cast

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from notify.admin.v1.api_keys_service_pb2_grpc import ApiKeysServiceStub, ApiKeyVerificationServiceStub
from notify.admin.v1.audit_service_pb2_grpc import AuditServiceStub
from notify.admin.v1.branding_service_pb2_grpc import BrandingServiceStub
from notify.admin.v1.config_feed_service_pb2_grpc import ConfigFeedServiceStub
from notify.admin.v1.inbound_numbers_service_pb2_grpc import InboundNumbersServiceStub
from notify.admin.v1.invitations_service_pb2_grpc import InvitationsServiceStub
from notify.admin.v1.organisations_service_pb2_grpc import OrganisationsServiceStub
from notify.admin.v1.platform_service_pb2_grpc import PlatformServiceStub
from notify.admin.v1.service_settings_service_pb2_grpc import ServiceSettingsServiceStub
from notify.admin.v1.services_service_pb2_grpc import ServicesServiceStub
from notify.admin.v1.sign_in_service_pb2_grpc import SignInServiceStub
from notify.admin.v1.template_files_service_pb2_grpc import TemplateFilesServiceStub
from notify.admin.v1.template_folders_service_pb2_grpc import TemplateFoldersServiceStub
from notify.admin.v1.templates_service_pb2_grpc import TemplatesServiceStub
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceStub
from notify.letters.v1.previews_service_pb2_grpc import PreviewsServiceStub
from notify.letters.v1.print_runs_service_pb2_grpc import PrintRunsServiceStub
from notify.notifications.v1.batches_service_pb2_grpc import BatchesServiceStub
from notify.notifications.v1.callbacks_service_pb2_grpc import CallbacksServiceStub
from notify.notifications.v1.files_service_pb2_grpc import FilesServiceStub
from notify.notifications.v1.inbound_sms_service_pb2_grpc import InboundSmsServiceStub
from notify.notifications.v1.jobs_service_pb2_grpc import JobsServiceStub
from notify.notifications.v1.notifications_service_pb2_grpc import NotificationsServiceStub
from notify.notifications.v1.statistics_service_pb2_grpc import StatisticsServiceStub
from notify.notifications.v1.unsubscribe_service_pb2_grpc import UnsubscribeServiceStub
from notify.notifications.v1.usage_service_pb2_grpc import UsageServiceStub
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify.providers.v1.receipts_service_pb2_grpc import ReceiptsServiceStub
from notify.providers.v1.sandbox_service_pb2_grpc import SandboxServiceStub
from notify_common.rpc.channel import Channels

from notify_gateway.settings import GatewaySettings

_PAGE_SIZE: Final = 250

S = TypeVar("S")


class _Stub(Generic[S]):
    """A stub of the clients that it is an attribute of, made when it is first used."""

    def __init__(self, make: Callable[[grpc.Channel], S]) -> None:
        self.make = make
        package, _, _ = make.__module__.rpartition(".")
        self.service = f"{package}.{make.__name__.removesuffix('Stub')}"

    def __get__(self, clients: "Clients", owner: type) -> S:
        return clients.stub(self.make)


@cache
def method_of(request: str) -> Any:
    """Return the method that takes requests of this full name, as its descriptor. Raises LookupError."""
    wanted = descriptor_pool.Default().FindMessageTypeByName(request)
    for service in wanted.file.services_by_name.values():
        for method in service.methods:
            if method.input_type is wanted:
                return method
    raise LookupError(request)


class Clients:
    """What both faces call: one stub a gRPC service and process. Every call of a stub fails with NotifyError
    alone.
    """

    notifications = _Stub(NotificationsServiceStub)
    """Accepts messages and tells where they stand."""
    inbound_sms = _Stub(InboundSmsServiceStub)
    """Texts that people sent to services."""
    unsubscribes = _Stub(UnsubscribeServiceStub)
    """Requests to get no more emails."""
    config_feed = _Stub(ConfigFeedServiceStub)
    """Snapshots of services and the news of their changes."""
    templates = _Stub(TemplatesServiceStub)
    """Templates and their versions."""
    letters = _Stub(LettersServiceStub)
    """PDFs and page images of letters."""
    callbacks = _Stub(CallbacksServiceStub)
    """What services were told of over HTTP."""
    dispatches = _Stub(DispatchServiceStub)
    """Attempts and receipts of a message."""
    statistics = _Stub(StatisticsServiceStub)
    """How many messages there are."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._channels = Channels(settings)
        self._targets = {
            "admin": settings.admin_target,
            "notifications": settings.notifications_target,
            "letters": settings.letters_target,
            "providers": settings.providers_target,
        }
        classes = [vars(base).values() for base in type(self).__mro__]
        kept = [one for names in classes for one in names if isinstance(one, _Stub)]
        self._makers: dict[str, Callable[[grpc.Channel], Any]] = {one.service: one.make for one in kept}
        self._stubs: dict[tuple[int, Callable[[grpc.Channel], Any]], Any] = {}

    def stub(self, make: Callable[[grpc.Channel], S]) -> S:
        """Return the stub that `make` makes, the same one for all of this process."""
        key = (os.getpid(), make)
        stub = self._stubs.get(key)
        if stub is None:
            service = make.__module__.split(".")[1]
            stub = self._stubs[key] = make(self._channels.get(service, self._targets[service]))
        return cast(S, stub)

    def ask(self, request: Message) -> Any:
        """Call the method that takes `request`; return its response, or an iterator of responses.

        Raises NotifyError; LookupError for a request of a gRPC service that these clients don't call.
        """
        method = method_of(request.DESCRIPTOR.full_name)
        stub = self.stub(self._makers[method.containing_service.full_name])
        return getattr(stub, method.name)(request)

    def all(self, request: Any) -> Iterator[Any]:
        """Yield all of a list that is bounded, page by page, by the method that takes `request`."""
        request.page_size = _PAGE_SIZE
        while True:
            page = self.ask(request)
            for field, value in page.ListFields():
                if field.is_repeated:
                    yield from value
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def close(self) -> None:
        """Close this process's channels; calls under way end with CANCELLED."""
        self._stubs.clear()
        self._channels.close()


class PublicClients(Clients):
    """What the public face calls besides."""

    batches = _Stub(BatchesServiceStub)
    """Accepts many messages that came in one request."""
    files = _Stub(FilesServiceStub)
    """Files that emails link to."""
    key_verification = _Stub(ApiKeyVerificationServiceStub)
    """Secrets of API keys."""
    receipts = _Stub(ReceiptsServiceStub)
    """Takes what providers report."""


class InternalClients(Clients):
    """What the internal face calls besides."""

    jobs = _Stub(JobsServiceStub)
    """Spreadsheets whose rows become messages."""
    usage = _Stub(UsageServiceStub)
    """Rates and allowances."""
    settings = _Stub(ServiceSettingsServiceStub)
    """Settings of services."""
    template_files = _Stub(TemplateFilesServiceStub)
    """Files of templates."""
    folders = _Stub(TemplateFoldersServiceStub)
    """Folders of templates."""
    inbound_numbers = _Stub(InboundNumbersServiceStub)
    """Numbers that services receive texts at."""
    audit = _Stub(AuditServiceStub)
    """What was changed, by whom."""
    invitations = _Stub(InvitationsServiceStub)
    """Invitations to services and organisations."""
    platform = _Stub(PlatformServiceStub)
    """What concerns no service alone."""
    sign_in = _Stub(SignInServiceStub)
    """Proofs of who a user is."""
    organisations = _Stub(OrganisationsServiceStub)
    """Organisations."""
    branding = _Stub(BrandingServiceStub)
    """Brandings."""
    users = _Stub(UsersServiceStub)
    """Users and memberships."""
    api_keys = _Stub(ApiKeysServiceStub)
    """API keys."""
    services = _Stub(ServicesServiceStub)
    """Services and what they send from."""
    previews = _Stub(PreviewsServiceStub)
    """Looks of letters that are not sent."""
    print_runs = _Stub(PrintRunsServiceStub)
    """How far print runs are."""
    sandbox = _Stub(SandboxServiceStub)
    """Messages that the sandbox providers keep."""

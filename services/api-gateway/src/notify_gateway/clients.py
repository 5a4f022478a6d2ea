"""Stubs of the services behind the gateway, made on first use in each process (design.md §4.3)."""

import os
from collections.abc import Callable
from typing import Any, cast

import grpc
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


class Clients:
    """What both faces call: one stub a gRPC service and process. Every call of a stub fails with NotifyError
    alone.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._channels = Channels(settings)
        self._targets = {
            "admin": settings.admin_target,
            "notifications": settings.notifications_target,
            "letters": settings.letters_target,
            "providers": settings.providers_target,
        }
        self._stubs: dict[tuple[int, Callable[[grpc.Channel], Any]], Any] = {}

    def _stub(self, make: Callable[[grpc.Channel], Any], service: str) -> Any:
        key = (os.getpid(), make)
        stub = self._stubs.get(key)
        if stub is None:
            stub = self._stubs[key] = make(self._channels.get(service, self._targets[service]))
        return stub

    @property
    def notifications(self) -> NotificationsServiceStub:
        """Accepts messages and tells where they stand."""
        return cast(NotificationsServiceStub, self._stub(NotificationsServiceStub, "notifications"))

    @property
    def inbound_sms(self) -> InboundSmsServiceStub:
        """Texts that people sent to services."""
        return cast(InboundSmsServiceStub, self._stub(InboundSmsServiceStub, "notifications"))

    @property
    def unsubscribes(self) -> UnsubscribeServiceStub:
        """Requests to get no more emails."""
        return cast(UnsubscribeServiceStub, self._stub(UnsubscribeServiceStub, "notifications"))

    @property
    def config_feed(self) -> ConfigFeedServiceStub:
        """Snapshots of services and the news of their changes."""
        return cast(ConfigFeedServiceStub, self._stub(ConfigFeedServiceStub, "admin"))

    @property
    def templates(self) -> TemplatesServiceStub:
        """Templates and their versions."""
        return cast(TemplatesServiceStub, self._stub(TemplatesServiceStub, "admin"))

    @property
    def letters(self) -> LettersServiceStub:
        """PDFs and page images of letters."""
        return cast(LettersServiceStub, self._stub(LettersServiceStub, "letters"))

    @property
    def callbacks(self) -> CallbacksServiceStub:
        """What services were told of over HTTP."""
        return cast(CallbacksServiceStub, self._stub(CallbacksServiceStub, "notifications"))

    @property
    def dispatches(self) -> DispatchServiceStub:
        """Attempts and receipts of a message."""
        return cast(DispatchServiceStub, self._stub(DispatchServiceStub, "providers"))

    @property
    def statistics(self) -> StatisticsServiceStub:
        """How many messages there are."""
        return cast(StatisticsServiceStub, self._stub(StatisticsServiceStub, "notifications"))

    def close(self) -> None:
        """Close this process's channels; calls under way end with CANCELLED."""
        self._stubs.clear()
        self._channels.close()


class PublicClients(Clients):
    """What the public face calls besides."""

    @property
    def batches(self) -> BatchesServiceStub:
        """Accepts many messages that came in one request."""
        return cast(BatchesServiceStub, self._stub(BatchesServiceStub, "notifications"))

    @property
    def files(self) -> FilesServiceStub:
        """Files that emails link to."""
        return cast(FilesServiceStub, self._stub(FilesServiceStub, "notifications"))

    @property
    def key_verification(self) -> ApiKeyVerificationServiceStub:
        """Secrets of API keys."""
        return cast(ApiKeyVerificationServiceStub, self._stub(ApiKeyVerificationServiceStub, "admin"))

    @property
    def receipts(self) -> ReceiptsServiceStub:
        """Takes what providers report."""
        return cast(ReceiptsServiceStub, self._stub(ReceiptsServiceStub, "providers"))


class InternalClients(Clients):
    """What the internal face calls besides."""

    @property
    def jobs(self) -> JobsServiceStub:
        """Spreadsheets whose rows become messages."""
        return cast(JobsServiceStub, self._stub(JobsServiceStub, "notifications"))

    @property
    def usage(self) -> UsageServiceStub:
        """Rates and allowances."""
        return cast(UsageServiceStub, self._stub(UsageServiceStub, "notifications"))

    @property
    def settings(self) -> ServiceSettingsServiceStub:
        """Settings of services."""
        return cast(ServiceSettingsServiceStub, self._stub(ServiceSettingsServiceStub, "admin"))

    @property
    def template_files(self) -> TemplateFilesServiceStub:
        """Files of templates."""
        return cast(TemplateFilesServiceStub, self._stub(TemplateFilesServiceStub, "admin"))

    @property
    def folders(self) -> TemplateFoldersServiceStub:
        """Folders of templates."""
        return cast(TemplateFoldersServiceStub, self._stub(TemplateFoldersServiceStub, "admin"))

    @property
    def inbound_numbers(self) -> InboundNumbersServiceStub:
        """Numbers that services receive texts at."""
        return cast(InboundNumbersServiceStub, self._stub(InboundNumbersServiceStub, "admin"))

    @property
    def audit(self) -> AuditServiceStub:
        """What was changed, by whom."""
        return cast(AuditServiceStub, self._stub(AuditServiceStub, "admin"))

    @property
    def invitations(self) -> InvitationsServiceStub:
        """Invitations to services and organisations."""
        return cast(InvitationsServiceStub, self._stub(InvitationsServiceStub, "admin"))

    @property
    def platform(self) -> PlatformServiceStub:
        """What concerns no service alone."""
        return cast(PlatformServiceStub, self._stub(PlatformServiceStub, "admin"))

    @property
    def sign_in(self) -> SignInServiceStub:
        """Proofs of who a user is."""
        return cast(SignInServiceStub, self._stub(SignInServiceStub, "admin"))

    @property
    def organisations(self) -> OrganisationsServiceStub:
        """Organisations."""
        return cast(OrganisationsServiceStub, self._stub(OrganisationsServiceStub, "admin"))

    @property
    def branding(self) -> BrandingServiceStub:
        """Brandings."""
        return cast(BrandingServiceStub, self._stub(BrandingServiceStub, "admin"))

    @property
    def users(self) -> UsersServiceStub:
        """Users and memberships."""
        return cast(UsersServiceStub, self._stub(UsersServiceStub, "admin"))

    @property
    def api_keys(self) -> ApiKeysServiceStub:
        """API keys."""
        return cast(ApiKeysServiceStub, self._stub(ApiKeysServiceStub, "admin"))

    @property
    def services(self) -> ServicesServiceStub:
        """Services and what they send from."""
        return cast(ServicesServiceStub, self._stub(ServicesServiceStub, "admin"))

    @property
    def previews(self) -> PreviewsServiceStub:
        """Looks of letters that are not sent."""
        return cast(PreviewsServiceStub, self._stub(PreviewsServiceStub, "letters"))

    @property
    def print_runs(self) -> PrintRunsServiceStub:
        """How far print runs are."""
        return cast(PrintRunsServiceStub, self._stub(PrintRunsServiceStub, "letters"))

    @property
    def sandbox(self) -> SandboxServiceStub:
        """Messages that the sandbox providers keep."""
        return cast(SandboxServiceStub, self._stub(SandboxServiceStub, "providers"))

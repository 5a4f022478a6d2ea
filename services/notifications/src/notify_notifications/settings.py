"""What a process of this service is told by its environment."""

import base64
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from notify_common.callers import INTERNAL_GATEWAY, OPS_CALLERS, PUBLIC_GATEWAY
from notify_common.clamd import ClamdAddress
from notify_common.settings import DatabaseSettings, ServiceAddress, url_of
from notify_content.email_page import EmailBranding
from pydantic import AfterValidator, Field, IPvAnyNetwork, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from notify_notifications.domain.calls import RETRY_SECONDS
from notify_notifications.domain.files import FileLinks
from notify_notifications.domain.unsubscribe import UnsubscribeLinks

_DEVELOPMENT_TOKEN_KEY: Final = base64.urlsafe_b64encode(bytes(32)).decode()

BaseUrl = Annotated[str, Field(pattern=r"^https?://[^\s\"<>()\[\]]+$")]
"""An address that others are appended to; it stands in emails, in the markup of their text too."""

_V1: Final = "notify.notifications.v1"
_INTERNAL: Final = [INTERNAL_GATEWAY, "operator"]
_PUBLIC: Final = [PUBLIC_GATEWAY, "operator"]
_BOTH: Final = [PUBLIC_GATEWAY, INTERNAL_GATEWAY, "operator"]
_ALLOWED_CALLERS: Final = {
    f"{_V1}.NotificationsService": _INTERNAL,
    f"{_V1}.NotificationsService/BatchSend": _PUBLIC,
    f"{_V1}.NotificationsService/CancelNotification": _PUBLIC,
    f"{_V1}.NotificationsService/CountRefusedRequest": _PUBLIC,
    f"{_V1}.NotificationsService/GetNotification": _BOTH,
    f"{_V1}.NotificationsService/GetQuota": _PUBLIC,
    f"{_V1}.NotificationsService/ListNotifications": _BOTH,
    f"{_V1}.NotificationsService/PreviewTemplate": _BOTH,
    f"{_V1}.NotificationsService/RescheduleNotification": _PUBLIC,
    f"{_V1}.BatchesService": _PUBLIC,
    f"{_V1}.JobsService": _INTERNAL,
    f"{_V1}.StatisticsService": _INTERNAL,
    f"{_V1}.StatisticsService/GetPerformance": _BOTH,
    f"{_V1}.StatisticsService/GetProcessingTimes": _PUBLIC,
    f"{_V1}.UsageService": _INTERNAL,
    f"{_V1}.InboundSmsService": _INTERNAL,
    f"{_V1}.InboundSmsService/ListInboundSms": _BOTH,
    f"{_V1}.UnsubscribeService": _INTERNAL,
    f"{_V1}.UnsubscribeService/RecordUnsubscribeRequest": _PUBLIC,
    f"{_V1}.CallbacksService": _INTERNAL,
    f"{_V1}.CallbacksService/ListCallbacks": _BOTH,
    f"{_V1}.CallbacksService/GetCallback": _BOTH,
    f"{_V1}.FilesService": _PUBLIC,
    **OPS_CALLERS,
}


def _fernet_keys(value: SecretStr) -> SecretStr:
    UnsubscribeLinks(value.get_secret_value().split(), "", "")
    return value


class Settings(DatabaseSettings):
    """Settings of the notifications service, from `NOTIFY_NOTIFICATIONS_*`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_NOTIFICATIONS_")

    allowed_callers: dict[str, list[str]] = Field(default=_ALLOWED_CALLERS)
    grpc_threads: Annotated[int, Field(ge=1, le=64)] = 4
    """Threads that serve calls: enough to keep a processor busy during commits (docs/adr/0010). More are
    worth it where calls wait for a thread (`grpc_server_pool_wait_seconds`).
    """
    app_role: str | None = None
    """`migrate`: the role that the service runs as, which gets its rights."""
    admin_target: ServiceAddress = "dns:///127.0.0.1:6101"
    """gRPC target of the admin service."""
    providers_target: ServiceAddress = "dns:///127.0.0.1:6104"
    """gRPC target of the providers service."""
    letters_target: ServiceAddress = "dns:///127.0.0.1:6103"
    """gRPC target of the letters service."""
    redis_url: Annotated[SecretStr, url_of("redis", "rediss", "unix")] = SecretStr("redis://127.0.0.1:6379/0")
    """Where rate limits and daily counters are kept; without it messages are accepted unchecked."""
    redis_timeout_seconds: Annotated[float, Field(gt=0, le=2)] = 0.1
    """How long one limit check may take before it is skipped."""
    email_domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")] = "notifications.example.gov.uk"
    """Right of the @ in the address that emails come from."""
    api_base_url: BaseUrl = "http://localhost:6011"
    """Where the public API is reached: mail programs post there to unsubscribe."""
    unsubscribe_page_url: BaseUrl = "http://localhost:6011/unsubscribe/page"
    """Where people are led who follow the link at the end of an email: the gateway's own page, or
    `https://<admin web app>/unsubscribe`."""
    token_secret_key: Annotated[SecretStr, AfterValidator(_fernet_keys)] = SecretStr(_DEVELOPMENT_TOKEN_KEY)
    """Fernet keys of the tokens in links, one a line (or parted by spaces): the first makes tokens, all read
    them, for a year."""
    email_look: Literal["govuk", "plain"] = "govuk"
    """How emails of services without a branding are dressed: with the banner of GOV.UK, as the contract has
    it, or plainly, with what the four settings below say and nothing where they say nothing."""
    email_brand_name: Annotated[str, Field(max_length=255)] = ""
    """Name at the top of plain emails, beside the logo or in a bar."""
    email_brand_logo_url: Annotated[str, Field(pattern=r"^(https://[^\s\"<>]+)?$")] = ""
    """Address of the logo at the top of plain emails, which mail programs fetch."""
    email_brand_colour: Annotated[str, Field(pattern=r"^(#[0-9A-Fa-f]{6})?$")] = ""
    """Colour of that bar, or of the line beside the logo, such as `#1d70b8`."""
    email_brand_link: Annotated[str, Field(pattern=r"^(https://[^\s\"<>]+)?$")] = ""
    """Address that name and logo of plain emails lead to."""
    default_sms_sender: Annotated[str, Field(min_length=1, max_length=11)] = "GOVUK"
    """Sender of texts of services without one of their own."""

    callback_window: Annotated[int, Field(ge=4, le=2000)] = 256
    """Most calls of services of one kind that one process has under way."""
    callback_timeout_seconds: Annotated[float, Field(gt=0, le=20)] = 5.0
    """How long one call of a service may take, from its beginning to the end of the answer."""
    callback_retry_seconds: Annotated[float, Field(ge=0, le=86_400)] = RETRY_SECONDS
    """How long after a call that failed the next one is made; there are six in all."""
    callback_pause_seconds: Annotated[float, Field(ge=0, le=300)] = 5.0
    """For how long an endpoint is left alone after five failures in a row; doubles with each further one."""
    callback_networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks that are not public in which services may be called all the same: `["10.2.0.0/16"]`."""
    callback_ca_file: Path | None = None
    """Authorities that vouch for services' servers (PEM), in place of those that the public knows."""

    file_page_url: BaseUrl = "http://localhost:6011"
    """Where the pages of files are that emails link to, below `/d/`: the gateway."""
    file_bucket: str | None = None
    """The bucket of files that emails link to; without one none are taken."""
    template_file_bucket: str | None = None
    """The bucket of the same store into which the admin web app puts files of email templates; without one,
    emails of templates with files are refused."""
    job_bucket: str | None = None
    """The bucket of the same store into which the admin web app puts the spreadsheets of jobs; without one
    none are taken."""
    contact_list_bucket: str | None = None
    """The bucket of the same store into which the admin web app puts contact lists; without one none are
    kept."""
    blob_endpoint: str | None = None
    """URL of the S3-compatible store that has it; without one it is Amazon's."""
    blob_region: str = "eu-west-2"
    """Its region."""
    blob_access_key: str = ""
    """Id of the credentials."""
    blob_secret_key: SecretStr = SecretStr("")
    """Secret of the credentials."""
    clamd_address: ClamdAddress | None = None
    """Where clamd scans files for viruses, tcp://host:port or unix:///path; `off` takes them unscanned."""

    @model_validator(mode="after")
    def _files_are_scanned(self) -> Self:
        if self.file_bucket and self.clamd_address is None:
            raise ValueError("clamd_address is required with file_bucket; `off` takes files unscanned")
        return self

    @model_validator(mode="after")
    def _secrets_are_set(self) -> Self:
        if self.environment != "local" and self.token_secret_key.get_secret_value() == _DEVELOPMENT_TOKEN_KEY:
            raise ValueError("token_secret_key is required in every environment but local")
        return self

    def unsubscribe_links(self) -> UnsubscribeLinks:
        """Return what makes and reads the links of emails."""
        keys = self.token_secret_key.get_secret_value().split()
        return UnsubscribeLinks(keys, self.api_base_url, self.unsubscribe_page_url)

    def file_links(self) -> FileLinks:
        """Return what makes the links to files."""
        return FileLinks(self.file_page_url, self.api_base_url)

    def email_branding(self) -> EmailBranding:
        """Return the look of emails of services without a branding."""
        if self.email_look == "govuk":
            return EmailBranding()
        return EmailBranding(
            govuk_banner=False,
            # A name alone stands in a bar; a logo has room for it beside itself.
            banner=not self.email_brand_logo_url and bool(self.email_brand_name),
            logo_url=self.email_brand_logo_url or None,
            text=self.email_brand_name or None,
            colour=self.email_brand_colour or None,
            alt_text=self.email_brand_name or None,
            link=self.email_brand_link or None,
        )

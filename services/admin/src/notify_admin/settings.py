"""Settings of the admin service; the variables begin with NOTIFY_ADMIN_."""

import base64
from typing import Annotated, Self

from notify_common.callers import INTERNAL_GATEWAY, PUBLIC_GATEWAY
from notify_common.settings import DatabaseSettings
from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from notify_admin.domain.senders import reply_to_address, text_sender
from notify_admin.usecases.passwords import PasswordHasher
from notify_admin.usecases.secrets import SecretBox

_GATEWAY = [INTERNAL_GATEWAY, "operator"]
_GATEWAY_ALONE = [INTERNAL_GATEWAY]
_BOTH_GATEWAYS = [PUBLIC_GATEWAY, *_GATEWAY]
_FOLLOWERS = [PUBLIC_GATEWAY, "notifications", "callbacks-worker", "operator"]
_CALLERS = {
    "ServicesService": _GATEWAY,
    "ServiceSettingsService": _GATEWAY,
    "ServiceSettingsService/GetDataRetention": ["operator"],
    "ServiceSettingsService/VerifyReplyTo": _GATEWAY_ALONE,
    "CallbackTargetsService": ["callbacks-worker"],
    "PeopleService": ["notifications", "callbacks-worker"],
    "TemplatesService": _GATEWAY,
    "TemplatesService/GetTemplate": _BOTH_GATEWAYS,
    "TemplatesService/ListTemplates": _BOTH_GATEWAYS,
    "TemplatesService/EnsurePrecompiledTemplate": _BOTH_GATEWAYS,
    "TemplateFoldersService": _GATEWAY,
    "TemplateFilesService": _GATEWAY,
    "ApiKeysService": _GATEWAY,
    "ApiKeyVerificationService": [PUBLIC_GATEWAY],
    "UsersService": _GATEWAY,
    "SignInService": _GATEWAY_ALONE,
    "AuditService": _GATEWAY,
    "PlatformMailService": ["notifications"],
    "InvitationsService": _GATEWAY_ALONE,
    "InboundNumbersService": _GATEWAY,
    "InboundNumbersService/ListInboundNumbers": [*_GATEWAY, "notifications"],
    "PlatformService": _GATEWAY,
    "OrganisationsService": _GATEWAY,
    "OrganisationsService/SendGoLiveRequest": _GATEWAY_ALONE,
    "OrganisationsService/SendGoLiveNextSteps": _GATEWAY_ALONE,
    "OrganisationsService/SendGoLiveRefusal": _GATEWAY_ALONE,
    "BrandingService": _GATEWAY,
    "ConfigFeedService/GetSnapshots": [*_FOLLOWERS, INTERNAL_GATEWAY, "letters"],
    "ConfigFeedService/ListConfigChanges": _FOLLOWERS,
}
"""Who may call a gRPC service, or a method: each face of the gateway what it calls, and nothing else."""
_ALLOWED_CALLERS = {f"notify.admin.v1.{name}": callers for name, callers in _CALLERS.items()}

_DEVELOPMENT_TOKEN_KEY = base64.urlsafe_b64encode(bytes(32)).decode()


def _fernet_keys(value: SecretStr) -> SecretStr:
    SecretBox(value.get_secret_value().split())
    return value


class Settings(DatabaseSettings):
    """What the admin service is told."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_ADMIN_")

    allowed_callers: dict[str, list[str]] = _ALLOWED_CALLERS
    app_role: str | None = None
    """Role that the service runs as; `migrate` grants it what it needs."""

    api_key_encryption_keys: Annotated[SecretStr, AfterValidator(_fernet_keys)]
    """Fernet keys, one a line (or parted by spaces): the first encrypts API key secrets, all decrypt them."""
    password_pepper: SecretStr = SecretStr("")
    """Mixed into the hashes of passwords: a copy of the database is no use alone. It never changes."""
    token_secret_key: Annotated[SecretStr, AfterValidator(_fernet_keys)] = SecretStr(_DEVELOPMENT_TOKEN_KEY)
    """Fernet key of the tokens in links; the admin web app has the same (`TOKEN_SECRET_KEY`)."""
    admin_base_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] = "http://localhost:6012"
    """Address of the admin web app, which links in mail lead to."""
    default_sms_sender: Annotated[str, AfterValidator(text_sender)] = "GOVUK"
    """What texts of a new service come from, unless its creator says otherwise."""
    platform_email_address: Annotated[str, AfterValidator(reply_to_address)] = "notify@example.gov.uk"
    """Where answers to the platform's own emails go; used by `seed`."""

    @model_validator(mode="after")
    def _secrets_are_set(self) -> Self:
        if self.environment != "local" and not self.password_pepper.get_secret_value():
            raise ValueError("password_pepper is required in every environment but local")
        if self.environment != "local" and self.token_secret_key.get_secret_value() == _DEVELOPMENT_TOKEN_KEY:
            raise ValueError("token_secret_key is required in every environment but local")
        return self

    @property
    def archive_domain(self) -> str:
        """What addresses of archived users end with."""
        return self.platform_email_address.rpartition("@")[2]

    def password_hasher(self) -> PasswordHasher:
        """Return what hashes passwords."""
        return PasswordHasher(self.password_pepper.get_secret_value().encode())

    def secret_box(self) -> SecretBox:
        """Return what encrypts the secrets of API keys."""
        return SecretBox(self.api_key_encryption_keys.get_secret_value().split())

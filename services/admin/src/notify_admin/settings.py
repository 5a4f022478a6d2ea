"""Settings of the admin service; the variables begin with NOTIFY_ADMIN_."""

from typing import Annotated, Self

from notify_common.settings import DatabaseSettings
from pydantic import AfterValidator, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from notify_admin.domain.senders import reply_to_address, text_sender
from notify_admin.usecases.secrets import SecretBox

_SERVICE = "notify.admin.v1"
_ALLOWED_CALLERS = {
    f"{_SERVICE}.ServicesService": ["api-gateway", "operator"],
    f"{_SERVICE}.TemplatesService": ["api-gateway", "operator"],
    f"{_SERVICE}.ApiKeysService": ["api-gateway", "operator"],
    f"{_SERVICE}.ApiKeyVerificationService": ["api-gateway"],
    f"{_SERVICE}.UsersService": ["api-gateway", "operator"],
    f"{_SERVICE}.ServiceSettingsService": ["api-gateway", "operator"],
    f"{_SERVICE}.TemplateFoldersService": ["api-gateway", "operator"],
    f"{_SERVICE}.SignInService": ["api-gateway"],
    f"{_SERVICE}.InboundNumbersService": ["api-gateway", "operator"],
    f"{_SERVICE}.OrganisationsService": ["api-gateway", "operator"],
    f"{_SERVICE}.BrandingService": ["api-gateway", "operator"],
    f"{_SERVICE}.ConfigFeedService": ["api-gateway", "notifications", "letters", "operator"],
}


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
    default_sms_sender: Annotated[str, AfterValidator(text_sender)] = "GOVUK"
    """What texts of a new service come from, unless its creator says otherwise."""
    platform_email_address: Annotated[str, AfterValidator(reply_to_address)] = "notify@example.gov.uk"
    """Where answers to the platform's own emails go; used by `seed`."""

    @model_validator(mode="after")
    def _passwords_are_peppered(self) -> Self:
        if self.environment != "local" and not self.password_pepper.get_secret_value():
            raise ValueError("password_pepper is required in every environment but local")
        return self

    def secret_box(self) -> SecretBox:
        """What encrypts the secrets of API keys."""
        return SecretBox(self.api_key_encryption_keys.get_secret_value().split())

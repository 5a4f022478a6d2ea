"""Settings of the providers service; the variables begin with NOTIFY_PROVIDERS_.

Those of one provider stand in its module of `notify_providers.clients`.
"""

from typing import Annotated, Self

from notify_common.callers import INTERNAL_GATEWAY, OPS_CALLERS, PUBLIC_GATEWAY
from notify_common.settings import DatabaseSettings
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from notify_providers.clients.base import ProviderSettings
from notify_providers.clients.registry import load_provider_settings

_SERVICE = "notify.providers.v1"
_SANDBOX_ENVIRONMENTS = ("local", "staging")
_ALLOWED_CALLERS = {
    f"{_SERVICE}.DispatchService/BatchDispatch": ["notifications", "operator"],
    f"{_SERVICE}.DispatchService/SubmitPrintBatch": ["letters", "operator"],
    f"{_SERVICE}.DispatchService/GetDispatch": [PUBLIC_GATEWAY, INTERNAL_GATEWAY, "operator"],
    f"{_SERVICE}.DispatchService/ListDispatches": ["operator"],
    f"{_SERVICE}.DispatchService/ResolveDispatch": ["operator"],
    f"{_SERVICE}.ReceiptsService/RecordReceipt": [PUBLIC_GATEWAY, "operator"],
    f"{_SERVICE}.ReceiptsService/RecordInboundSms": [PUBLIC_GATEWAY, "operator"],
    f"{_SERVICE}.ReceiptsService/ListDeliveryEvents": ["notifications", "operator"],
    f"{_SERVICE}.ReceiptsService/ListInboundSmsEvents": ["notifications", "operator"],
    f"{_SERVICE}.ProviderSettingsService": [INTERNAL_GATEWAY, "operator"],
    f"{_SERVICE}.SuppressionsService": [INTERNAL_GATEWAY, "operator"],
    f"{_SERVICE}.SandboxService": [INTERNAL_GATEWAY, "operator"],
    **OPS_CALLERS,
}


class Settings(DatabaseSettings):
    """What the providers service is told."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_")

    allowed_callers: dict[str, list[str]] = _ALLOWED_CALLERS
    app_role: str | None = None
    """Role that the service runs as; `migrate` grants it what it needs."""

    dispatch_window: Annotated[int, Field(ge=1, le=500)] = 256
    """Provider calls of one channel that a worker keeps under way at once."""
    provider_timeout_seconds: Annotated[float, Field(ge=0.1, le=30)] = 10.0
    """Longest time for one provider call."""
    retry_interval_seconds: Annotated[float, Field(ge=0, le=3600)] = 300.0
    """Time between two tries to hand a message over."""

    suppression_secret: Annotated[SecretStr, Field(min_length=32)] | None = None
    """Key of the hashes by which suppressed addresses are known; whoever changes it empties the list. Only in
    the environment `local` it may be absent, where the key is made of `page_token_secret`: elsewhere a new
    secret of tokens would empty the list without a word."""

    secrets_key: SecretStr | None = None
    """Fernet key of the providers' secrets that are changed here; without it none is."""

    health_least_calls: Annotated[int, Field(ge=3, le=1_000_000_000)] = 20
    """Calls of a provider within 30 seconds below which nothing is said of how it does."""

    providers: dict[str, ProviderSettings] = Field(default_factory=load_provider_settings)
    """Settings of each provider by name; each provider's module declares its own variables."""

    callbacks_per_second: Annotated[float, Field(ge=1, le=100_000)] = 1000.0
    """Calls of one provider that each process reads in the long run; five times as many at once."""

    sandbox_live_messages: bool | None = None
    """Whether the sandbox takes messages of live and team keys, which then reach nobody. By default it does
    in the environments `local` and `staging`; elsewhere it can't. Those of test keys it takes anywhere."""
    sandbox_receipt_delay_seconds: Annotated[float, Field(ge=0, le=3600)] = 1.0
    """Time from taking a message to its receipt."""
    sandbox_keep_count: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """The newest messages that the sandbox keeps."""
    sandbox_keep_days: Annotated[float, Field(gt=0, le=365)] = 7.0
    """How long it keeps them."""
    event_keep_days: Annotated[float, Field(ge=1, le=365)] = 30.0
    """How long delivery events are kept; a consumer that was away for longer has missed some."""
    unmatched_keep_days: Annotated[float, Field(gt=0, le=365)] = 7.0
    """How long receipts are kept whose dispatch can't be told."""
    unmatched_keep_count: Annotated[int, Field(ge=1_000, le=100_000_000)] = 200_000
    """The newest of them that are kept: they may be anybody's inventions."""
    inbound_keep_days: Annotated[float, Field(ge=1, le=365)] = 7.0
    """How long texts are kept that people send; a consumer that was away for longer has missed some."""
    retention_days: Annotated[int, Field(ge=1, le=365)] = 7
    """How long a dispatch is kept whose hand-over names no time, with its attempts and receipts: longer than
    what hands over may go on repeating it."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.sandbox_live_messages and self.environment not in _SANDBOX_ENVIRONMENTS:
            raise ValueError(
                f"sandbox_live_messages should only be on in {' and '.join(_SANDBOX_ENVIRONMENTS)}"
            )
        if self.environment != "local" and self.suppression_secret is None:
            raise ValueError("suppression_secret is required in every environment but local")
        return self

    @property
    def sandbox_is_live(self) -> bool:
        """Whether the sandbox takes messages of live and team keys."""
        if self.sandbox_live_messages is None:
            return self.environment in _SANDBOX_ENVIRONMENTS
        return self.sandbox_live_messages

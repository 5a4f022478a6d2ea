"""What a process of this service is told by its environment."""

from typing import Annotated

from notify_common.settings import DatabaseSettings, ServiceAddress
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(DatabaseSettings):
    """Settings of the notifications service, from `NOTIFY_NOTIFICATIONS_*`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_NOTIFICATIONS_")

    allowed_callers: dict[str, list[str]] = Field(
        default={"notify.notifications.v1.NotificationsService": ["api-gateway", "operator"]}
    )
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
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """Where rate limits and daily counters are kept; without it messages are accepted unchecked."""
    redis_timeout_seconds: Annotated[float, Field(gt=0, le=2)] = 0.1
    """How long one limit check may take before it is skipped."""
    email_domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")] = "notifications.example.gov.uk"
    """Right of the @ in the address that emails come from."""
    default_sms_sender: Annotated[str, Field(min_length=1, max_length=11)] = "GOVUK"
    """Sender of texts of services without one of their own."""

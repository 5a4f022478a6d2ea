"""What the gateway is told, read from `NOTIFY_GATEWAY_…` variables (design.md §2.9)."""

from enum import StrEnum
from typing import Annotated, Self

from notify_common.callers import INTERNAL_GATEWAY, PUBLIC_GATEWAY
from notify_common.settings import ListenAddress, ServiceAddress, ServiceSettings
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

CONSOLE_ENVIRONMENTS = frozenset({"local", "staging"})
"""Where the inbox may be switched on: it shows every message to whoever can reach it."""


class Face(StrEnum):
    """What a process serves, and to whom (ADR 0027)."""

    PUBLIC = "public"
    """The REST API of services, providers' callbacks, links in emails: what faces the internet."""
    INTERNAL = "internal"
    """The admin web app's routes, template previews, the inbox: what the internet never reaches."""

    @property
    def service(self) -> str:
        """The service's name: in its certificate, its logs and its traces."""
        return PUBLIC_GATEWAY if self is Face.PUBLIC else INTERNAL_GATEWAY


class GatewaySettings(ServiceSettings):
    """Settings of the gateway; every target is a gRPC target such as `dns:///admin:6013` or `unix:/path`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_GATEWAY_")

    face: Face = Face.PUBLIC
    """Which routes are served, `public` or `internal`; the certificate is that of `gateway-public` or
    `gateway-internal`, and the services behind let each call what its routes need."""
    http_listen: ListenAddress = "127.0.0.1:6011"
    """Where the REST API is served."""
    http_processes: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that serve it: one a processor. One that dies is replaced."""
    http_threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Requests that each of them serves at once; the next wait."""
    admin_target: ServiceAddress
    """Where the admin service is."""
    notifications_target: ServiceAddress
    """Where the notifications service is."""
    letters_target: ServiceAddress
    """Where the letters service is."""
    providers_target: ServiceAddress
    """Where the providers service is."""
    console_enabled: bool = False
    """Whether the internal face serves the inbox at /console/; only in the environments `local` and
    `staging`."""
    console_hosts: Annotated[tuple[str, ...], Field(min_length=1)] = ("localhost", "127.0.0.1")
    """Names that the inbox is opened by, without port, `.example.gov.uk` for all below it. Under others
    it shows nothing, so that no web page that somebody has open can read it by a name of its own."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 10 * 1024 * 1024
    """Largest request body that is read; a longer one is refused with 413."""
    trusted_proxy_count: Annotated[int, Field(ge=0, le=5)] = 0
    """Proxies in front whose X-Forwarded-Proto and X-Forwarded-Host are believed when URLs are made."""
    admin_base_url: str = "http://localhost:6012"
    """Where people administer their services; appears in one error message, without a slash at the end."""
    auth_stale_seconds: Annotated[float, Field(ge=0, le=3600)] = 300.0
    """How old keys may be that are used on while the admin service does not answer."""
    admin_client_secrets: SecretStr | None = None
    """Secrets with which the admin web app signs its tokens, one a line (or parted by spaces), several while
    one is changed. The internal face serves its routes where there are any."""
    template_preview_tokens: SecretStr | None = None
    """What the admin web app shows as its key of the template preview service, one a line (or parted by
    spaces), several while one is changed. The internal face serves that service's routes where there are
    any."""
    metrics_token: SecretStr | None = None
    """Bearer token that GET /metrics asks for; without it the route is open."""
    git_commit: str = "unknown"
    """Commit that this process was built from, as GET /_status shows it."""
    build_time: str = "unknown"
    """When it was built, as GET /_status shows it."""

    @model_validator(mode="after")
    def _console_stays_inside(self) -> Self:
        if self.console_enabled and self.environment not in CONSOLE_ENVIRONMENTS:
            raise ValueError("the console may be switched on in the environments local and staging only")
        return self

    @model_validator(mode="after")
    def _public_face_has_nothing_internal(self) -> Self:
        if self.face is Face.PUBLIC:
            for name in ("console_enabled", "admin_client_secrets", "template_preview_tokens"):
                if getattr(self, name):
                    raise ValueError(f"{name} is a setting of the internal face alone (face is public)")
        elif not (self.admin_client_secrets or self.template_preview_tokens or self.console_enabled):
            raise ValueError("the internal face serves nothing without admin_client_secrets")
        return self

"""Settings: declared, typed, ranged, read once from the environment (design.md §2.9).

A service subclasses `ServiceSettings` (or `DatabaseSettings`) and sets its prefix:

    class Settings(DatabaseSettings):
        model_config = SettingsConfigDict(env_prefix="NOTIFY_ADMIN_")

Every `SecretStr` field can be given by value (`NOTIFY_ADMIN_DATABASE_URL`) or by file
(`NOTIFY_ADMIN_DATABASE_URL_FILE`, whose content is the value). On Cloud Foundry what is not given comes from
bound services (`notify_common.cloud_foundry`).
"""

import os
import re
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from notify_common.cloud_foundry import CloudFoundry


def _listen_address(text: str) -> str:
    if text.startswith("unix:") and len(text) > len("unix:"):
        return text
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("should be host:port, such as 127.0.0.1:0, or unix:/path")
    return text


def _service_address(text: str) -> str:
    if not text or any(character.isspace() for character in text):
        raise ValueError("should be a gRPC target, such as dns:///admin:6012 or unix:/path")
    return text


def _readable_file(path: Path) -> Path:
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError("should name a file that this process can read")
    return path


ListenAddress = Annotated[str, AfterValidator(_listen_address)]
"""`host:port` (port 0 takes a free one) or `unix:/path`."""

ServiceAddress = Annotated[str, AfterValidator(_service_address)]
"""Where a neighbour listens: a gRPC target such as `dns:///admin:6012`, `host:port` or `unix:/path`."""

ReadableFile = Annotated[Path, AfterValidator(_readable_file)]
"""A file that exists and can be read."""


def is_secret(annotation: object) -> bool:
    """Tell whether a field of this type is a secret, optional or constrained ones included."""
    return annotation is SecretStr or any(is_secret(part) for part in get_args(annotation))


def _postgres_url(url: SecretStr) -> SecretStr:
    if not re.match(r"postgres(ql)?(\+psycopg2)?://[^\s?]*/[^\s/?]+(\?\S*)?$", url.get_secret_value()):
        raise ValueError("should be postgresql://user:password@host/database")
    return url


def url_of(*schemes: str) -> AfterValidator:
    """Return what checks that a secret is a URL of one of these schemes, such as `redis`."""

    def check(url: SecretStr) -> SecretStr:
        scheme, separator, rest = url.get_secret_value().partition("://")
        if scheme not in schemes or not separator or re.search(r"\s", rest):
            raise ValueError(f"should be a URL that begins with {', '.join(f'{one}://' for one in schemes)}")
        return url

    return AfterValidator(check)


_found: ContextVar[dict[str, str] | None] = ContextVar("settings_problems", default=None)
"""Field -> sentence, for what sources find while `load_settings` runs: it tells all of it at once."""


def _tell(field_name: str, sentence: str) -> None:
    found = _found.get()
    if found is None:
        raise SettingsError(sentence)
    found[field_name] = sentence


class EnvironmentVariables(EnvSettingsSource):
    """Reads variables; says by its name which one should be JSON and is not."""

    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        """See EnvSettingsSource. Raises SettingsError."""
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError:
            _tell(field_name, f"{self.env_prefix}{field_name}".upper() + " should be JSON")
            return None


class SecretFiles(PydanticBaseSettingsSource):
    """Reads `<PREFIX><FIELD>_FILE` for every secret field; the file's content without its last line break."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the content of the field's file, if its variable is set and it can be read."""
        variable = f"{self.config.get('env_prefix', '')}{field_name}".upper()
        path = os.environ.get(f"{variable}_FILE")
        if path is None or not is_secret(field.annotation):
            return None, field_name, False
        if variable in os.environ:
            _tell(field_name, f"{variable} and {variable}_FILE are both set; set one")
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            _tell(field_name, f"{variable}_FILE should name a readable text file ({type(error).__name__})")
            return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of all fields that come from files."""
        values: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, _, _ = self.get_field_value(field, name)
            if value is not None:
                values[name] = value
        return values


class EnvironmentSettings(BaseSettings):
    """Settings from environment variables, whose prefix a subclass gives; secrets also from files."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let values in code win over the environment, that over secret files, those over Cloud Foundry."""
        variables = EnvironmentVariables(settings_cls)
        return init_settings, variables, SecretFiles(settings_cls), CloudFoundry(settings_cls)


class ServiceSettings(EnvironmentSettings):
    """What every process of the platform is told."""

    environment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")] = "local"
    """Where it runs, such as `local`, `staging`, `production`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged."""
    grpc_listen: ListenAddress = "127.0.0.1:0"
    """Where the gRPC services are served."""
    ops_listen: ListenAddress = "127.0.0.1:0"
    """Where health (and reflection, if switched on) is served, apart from the calls."""
    health_listen: ListenAddress | None = None
    """Where health alone is served besides, in plain text, to who has no certificate, such as Kubernetes."""
    metrics_listen: ListenAddress = "127.0.0.1:0"
    """Where Prometheus reads metrics over HTTP."""
    tls_ca_file: ReadableFile
    """The authority (PEM) that signed every certificate of the platform."""
    tls_cert_file: ReadableFile
    """This service's certificate chain (PEM); its first DNS name is the service's name."""
    tls_key_file: ReadableFile
    """The private key (PEM) of that certificate."""
    sidecar: bool = False
    """Whether an Envoy beside this process speaks TLS for it to the services that it calls, with the same
    certificate (deploy/envoy/sidecar.yaml). Their targets are then unix sockets, which see no network."""
    allowed_callers: dict[str, list[str]] = {}
    """Who may call: full name of a gRPC service, or `service/Method` where a method has a list of its own, ->
    names in the callers' certificates. Nobody else may.
    """
    reflection_enabled: bool = False
    """Whether the operator may ask the server for its protos."""
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")] | None = None
    """Where spans go, such as http://collector:4317; none are recorded without it."""
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 5.0
    """How long to go on as usual, marked as not serving, after being told to stop."""
    stop_grace_seconds: Annotated[float, Field(ge=0, le=900)] = 20.0
    """How long calls under way may take to end after that."""
    grpc_threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Threads that serve calls."""
    grpc_max_concurrent: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Calls that are served or wait for a thread at once; one more is refused."""
    stream_idle_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    """How long a client that streams to this server may send nothing."""
    streams_per_caller: Annotated[int, Field(ge=1, le=64)] = 4
    """Streams to this server that the callers with one name may have open at once; each holds a thread."""
    access_log_sample: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Of reads that go well and quickly, every n-th is logged; all are counted."""

    @model_validator(mode="after")
    def _what_is_said_without_tls_stays_here(self) -> Self:
        if self.sidecar:
            for name in type(self).model_fields:
                if name.endswith("_target") and not getattr(self, name).startswith("unix:"):
                    raise ValueError(f"with a sidecar, {name} should be a unix socket of it: unix:/path")
        return self


class DatabaseSettings(ServiceSettings):
    """What a process with a database is told besides."""

    database_url: Annotated[SecretStr, AfterValidator(_postgres_url)]
    """postgresql://user:password@host/database; for `migrate` the owner's, otherwise the app role's."""
    page_token_secret: Annotated[SecretStr, Field(min_length=32)]
    """Signs page tokens; the same in all processes of a service."""


S = TypeVar("S", bound=BaseSettings)


def load_settings(cls: type[S], **values: Any) -> S:
    """Return the settings of `cls` from the environment; `values` win over it.

    Bad settings end the process with status 2 and one sentence a setting on standard error, all at once. What
    contradicts each other is told where each by itself is right. No sentence repeats a value.
    """
    enclosing = _found.get()
    found: dict[str, str] = {}
    token = _found.set(found)
    lines: list[str] = []
    loaded: S | None = None
    try:
        loaded = cls(**values)
    except ValidationError as error:
        prefix = str(cls.model_config.get("env_prefix", ""))
        lines = [
            _sentence(prefix, problem["loc"], problem["type"], problem["msg"])
            for problem in error.errors()
            if not problem["loc"] or problem["loc"][0] not in found
        ]
    except SettingsError as error:
        lines = [str(error)]
    finally:
        _found.reset(token)
    lines += found.values()
    if loaded is not None and not lines:
        return loaded
    if enclosing is not None:
        enclosing |= {f"{cls.__name__} {number}": line for number, line in enumerate(lines)}
        return cls.model_construct()
    for line in lines:
        sys.stderr.write(f"settings: {line}\n")
    raise SystemExit(2)


def _sentence(prefix: str, location: tuple[int | str, ...], kind: str, message: str) -> str:
    name, *inner = [str(part) for part in location] or ["settings"]
    variable = f"{prefix}{name}".upper() + "".join(f"[{part}]" for part in inner)
    if kind == "missing":
        return f"{variable} is required but not set"
    return f"{variable}: {message.removeprefix('Value error, ')}"

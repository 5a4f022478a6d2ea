"""Settings from what Cloud Foundry tells a process: `PORT`, and bound services in `VCAP_SERVICES`.

Nothing here counts where a variable of the setting itself, or a file, says otherwise, and nothing outside of
Cloud Foundry, which is known by `VCAP_APPLICATION`:

- a service with the tag `postgresql` gives `database_url`, `redis` gives `redis_url` and `broker_url`,
  `rabbitmq` gives `broker_url` before Redis does, `s3` gives `blob_…` and `file_bucket`;
- a user-provided service gives whatever its credentials name by the variable of the setting
  (`{"NOTIFY_ADMIN_PAGE_TOKEN_SECRET": "…"}`); of a setting that names a file, the file's content.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

_APPLICATION: Final = "VCAP_APPLICATION"
_SERVICES: Final = "VCAP_SERVICES"

_TAGS: Final[Mapping[str, Sequence[frozenset[str]]]] = {
    "database_url": (frozenset({"postgresql", "postgres"}),),
    "redis_url": (frozenset({"redis"}),),
    "broker_url": (frozenset({"rabbitmq", "amqp"}), frozenset({"redis"})),
    "blob_endpoint": (frozenset({"s3"}),),
    "blob_region": (frozenset({"s3"}),),
    "blob_bucket": (frozenset({"s3"}),),
    "file_bucket": (frozenset({"s3"}),),
    "blob_access_key": (frozenset({"s3"}),),
    "blob_secret_key": (frozenset({"s3"}),),
}
"""Setting -> tags of services that give it, the first kind that is bound before the next."""

_KEYS: Final[Mapping[str, Sequence[str]]] = {
    "blob_endpoint": ("endpoint_url", "endpoint"),
    "blob_region": ("aws_region", "region"),
    "blob_bucket": ("bucket_name", "bucket"),
    "file_bucket": ("bucket_name", "bucket"),
    "blob_access_key": ("aws_access_key_id", "access_key_id"),
    "blob_secret_key": ("aws_secret_access_key", "secret_access_key"),
}
"""Setting -> names that brokers have for it among the credentials."""

_USERS: Final = ("username", "user")
_SCHEMES: Final = {"database_url": "postgresql", "redis_url": "redis", "broker_url": "redis"}


class _Binding(BaseModel):
    """A bound service, as far as it matters here."""

    name: str
    label: str = ""
    tags: list[str] = []
    credentials: Annotated[dict[str, Any], Field(default_factory=dict)]

    @property
    def kinds(self) -> set[str]:
        """What it is called: its tags, and its offering with and without `aws-…-bucket` around."""
        label = self.label.lower()
        return {
            *(tag.lower() for tag in self.tags),
            label,
            label.removeprefix("aws-").removesuffix("-bucket"),
        }


_BINDINGS: Final = TypeAdapter(dict[str, list[_Binding]])


class CloudFoundry(PydanticBaseSettingsSource):
    """Gives the settings of a process on Cloud Foundry that nothing else gave."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._bindings = _bindings() if _APPLICATION in os.environ else []

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return what is known of a setting; None if nothing is. Raises SettingsError."""
        if _APPLICATION not in os.environ:
            return None, field_name, False
        variable = f"{self.config.get('env_prefix', '')}{field_name}".upper()
        if variable in os.environ or f"{variable}_FILE" in os.environ:
            return None, field_name, False
        for binding in self._bindings:
            if binding.label == "user-provided" and variable in binding.credentials:
                return _told(variable, binding.credentials[variable]), field_name, False
        if field_name in ("grpc_listen", "http_listen") and "PORT" in os.environ:
            return f"0.0.0.0:{os.environ['PORT']}", field_name, False
        for kinds in _TAGS.get(field_name, ()):
            bound = [binding for binding in self._bindings if binding.kinds & kinds]
            if len(bound) > 1:
                names = ", ".join(sorted(binding.name for binding in bound))
                raise SettingsError(
                    f"{_SERVICES} has several services for {variable}: {names}; set {variable}"
                )
            if bound:
                return _value(field_name, bound[0]), field_name, False
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return all values that are known."""
        values = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in values.items() if value is not None}


def _bindings() -> list[_Binding]:
    """Return the bound services. Raises SettingsError, which repeats nothing of them."""
    try:
        return [
            binding
            for bindings in _BINDINGS.validate_python(json.loads(os.environ.get(_SERVICES) or "{}")).values()
            for binding in bindings
        ]
    except (json.JSONDecodeError, ValidationError):
        raise SettingsError(
            f"{_SERVICES} should be an object of lists of services with name, tags and credentials, as JSON"
        ) from None


def _told(variable: str, value: object) -> object:
    if isinstance(value, str) and variable.endswith("_FILE") and value.startswith("-----BEGIN "):
        return str(_file(variable.lower(), value))
    return value


@cache
def _file(name: str, content: str) -> Path:
    """Write a file that this user alone reads, into a folder of this process's own."""
    path = Path(tempfile.mkdtemp(prefix="notify-")) / name
    path.touch(mode=0o600)
    path.write_text(content)
    return path


def _value(setting: str, binding: _Binding) -> str | None:
    """Return a setting as the credentials of a service have it. Raises SettingsError where they lack it."""
    credentials = binding.credentials
    if setting in _KEYS:
        return _first(credentials, _KEYS[setting])
    written = _first(credentials, ("uri", "url"))
    if written is not None:
        return written
    host = _first(credentials, ("host", "hostname"))
    if host is None:
        raise SettingsError(f"the service {binding.name} in {_SERVICES} has neither uri nor host")
    scheme = _SCHEMES[setting]
    if scheme == "redis" and credentials.get("tls_enabled"):
        scheme = "rediss"
    user, password = (quote(_first(credentials, names) or "", safe="") for names in (_USERS, ("password",)))
    port, name = _first(credentials, ("port",)), _first(credentials, ("name", "dbname", "database"))
    who = f"{user}:{password}@" if user or password else ""
    return f"{scheme}://{who}{host}{f':{port}' if port else ''}/{quote(name or '', safe='')}"


def _first(credentials: Mapping[str, Any], names: Iterable[str]) -> str | None:
    return next((str(credentials[name]) for name in names if credentials.get(name)), None)

"""A real server in the test's process, with mTLS and every interceptor (design.md §2.10)."""

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from notify_common.callers import INTERNAL_GATEWAY, OBSERVER, OPERATOR, PUBLIC_GATEWAY
from notify_common.rpc.channel import Channels
from notify_common.rpc.health import Check
from notify_common.rpc.interceptors.client import ClientChannel
from notify_common.rpc.server import Bound, Registration, Server
from notify_common.settings import ServiceSettings

from notify_testing.certs import CertificateFiles, ensure_certificates

NAMES = (
    PUBLIC_GATEWAY,
    INTERNAL_GATEWAY,
    "notifications",
    "callbacks-worker",
    "letters",
    "providers",
    "admin",
    OPERATOR,
    OBSERVER,
)


class InProcessServer:
    """Serves `registrations` as the service `service` while the `with` block runs.

        with InProcessServer("admin", [Registration(add, servicer, full_name)]) as server:
            stub = UsersServiceStub(server.channel("gateway-internal"))

    Unless `allowed_callers` is given, every caller of `NAMES` may call every service. Further settings of
    ServiceSettings are keywords.
    """

    def __init__(
        self,
        service: str,
        registrations: Iterable[Registration],
        *,
        allowed_callers: Mapping[str, Iterable[str]] | None = None,
        checks: Mapping[str, Check] | None = None,
        check_interval: float = 5.0,
        **settings: Any,
    ) -> None:
        registrations = list(registrations)
        if allowed_callers is None:
            allowed_callers = {registration.full_name: NAMES for registration in registrations}
        # The path of a unix socket has at most 107 bytes, so not below pytest's long folders.
        self._folder = Path(tempfile.mkdtemp(prefix="notify-"))
        self._service = service
        self.bound = Bound(None, None)
        self._channels: list[Channels] = []
        self.settings = tls_settings(
            service,
            **{
                "grpc_listen": f"unix:{self._folder}/grpc",
                "ops_listen": f"unix:{self._folder}/ops",
                "allowed_callers": {service: list(names) for service, names in allowed_callers.items()},
                "drain_seconds": 0,
                **settings,
            },
        )
        self.server = Server(service, self.settings, registrations, checks or {}, check_interval)

    @property
    def target(self) -> str:
        """Where the services are."""
        return self.settings.grpc_listen

    @property
    def ops_target(self) -> str:
        """Where health and reflection are."""
        return self.settings.ops_listen

    def channel(self, caller: str = INTERNAL_GATEWAY, target: str | None = None) -> ClientChannel:
        """Return a channel of `caller` to the services, or to `target`."""
        channels = Channels(tls_settings(caller))
        self._channels.append(channels)
        return channels.get(self._service, target or self.target)

    def __enter__(self) -> "InProcessServer":
        self.bound = self.server.start()
        return self

    def __exit__(self, *exception: object) -> None:
        for channels in self._channels:
            channels.close()
        self.server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@cache
def certificates() -> dict[str, CertificateFiles]:
    """Return certificates of all NAMES, made once a process."""
    return ensure_certificates(Path(tempfile.mkdtemp(prefix="notify-certs-")), NAMES)


def tls_files(name: str) -> dict[str, Path]:
    """Return the files of the certificate of `name` as settings name them."""
    files = certificates()[name]
    return {"tls_ca_file": files.ca, "tls_cert_file": files.cert, "tls_key_file": files.key}


def tls_settings(name: str, **values: Any) -> ServiceSettings:
    """Return settings with the certificate of `name`; `values` are further settings."""
    return ServiceSettings.model_validate({**tls_files(name), **values})

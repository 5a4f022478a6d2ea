"""The gRPC server of a service, and the small one for health and reflection (design.md §2.8, §4.2)."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from notify_common.boot import BootError
from notify_common.callers import OBSERVER, OPERATOR
from notify_common.logging import get_logger
from notify_common.metrics import SERVER_POOL_WAIT
from notify_common.rpc.field_rules import FieldRulesInterceptor
from notify_common.rpc.health import Check, Health
from notify_common.rpc.interceptors.authz import AuthzInterceptor
from notify_common.rpc.interceptors.base import THREADS_OF_ITS_OWN
from notify_common.rpc.interceptors.current import CurrentInterceptor
from notify_common.rpc.interceptors.deadline import DeadlineInterceptor
from notify_common.rpc.interceptors.errors import ErrorsInterceptor
from notify_common.rpc.interceptors.streams import StreamsInterceptor
from notify_common.rpc.interceptors.telemetry import TelemetryInterceptor
from notify_common.rpc.options import server_options
from notify_common.rpc.tls import server_credentials
from notify_common.settings import ServiceSettings

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_OPS_THREADS = 2
_OPS_CONCURRENT = 16


@dataclass(frozen=True, slots=True)
class Registration:
    """A servicer and how it is added: `Registration(add_UsersServiceServicer_to_server, servicer,
    full_name)`.
    """

    add: Callable[[Any, grpc.Server], None]
    servicer: object
    full_name: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The ports that were taken; None for a unix socket."""

    grpc: int | None
    ops: int | None


class OpsServer:
    """Health on a port and threads of its own, so that it answers while the service is saturated.

    Any certificate of the authority may ask for health; reflection is for the operator and the observer, if
    it is switched on. Where `health_listen` is set, health can be asked for without a certificate there. A
    worker, which serves no calls, has this server alone.
    """

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        checks: Mapping[str, Check],
        grpc_services: Sequence[str] = (),
        check_interval: float = 5.0,
    ) -> None:
        """Take the name of the process in errors, and in `grpc_services` the full names that health speaks
        for.
        """
        self._settings = settings
        self.health = Health(checks, grpc_services, check_interval)
        self._server = _build(service, settings, {}, _OPS_THREADS, _OPS_CONCURRENT)
        _add_ops_services(self._server, settings, self.health, grpc_services)

    def start(self) -> int | None:
        """Run the checks and listen. Return the port. Raises BootError where the address is taken."""
        port = _bind(self._server, self._settings.ops_listen, self._settings, "ops_listen")
        if self._settings.health_listen is not None:
            _bind(self._server, self._settings.health_listen, None, "health_listen")
        self.health.start()
        self._server.start()
        return port

    def stop(self, grace: float = 0.0) -> None:
        """Say NOT_SERVING and end, after `grace` seconds at the latest."""
        self.health.enter_shutdown()
        self._server.stop(grace).wait()


class Server:
    """Serves gRPC services over mTLS to the callers on the allow-list."""

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        registrations: Iterable[Registration],
        checks: Mapping[str, Check],
        check_interval: float = 5.0,
    ) -> None:
        """Build everything but listens nowhere yet.

        `service` (`admin`, `letters`, …) names the service in errors. `checks` decide its health. Raises
        BootError when the allow-list names a gRPC service that is not among the registrations, or a method
        that none of them has.
        """
        registrations = list(registrations)
        names = [registration.full_name for registration in registrations]
        unknown = sorted(set(settings.allowed_callers) - _methods(names) - set(names))
        if unknown:
            raise BootError(f"allowed_callers names {', '.join(unknown)}, which this process does not serve")
        self._settings = settings
        self._ops = OpsServer(service, settings, checks, names, check_interval)
        self._server = _build(
            service,
            settings,
            settings.allowed_callers,
            settings.grpc_threads,
            settings.grpc_max_concurrent,
            names,
        )
        for registration in registrations:
            registration.add(registration.servicer, self._server)
        _add_ops_services(self._server, settings, self._ops.health, names)

    def start(self) -> Bound:
        """Listen and serve. Return the ports. Raises BootError where an address is taken."""
        port = _bind(self._server, self._settings.grpc_listen, self._settings, "grpc_listen")
        self._server.start()
        bound = Bound(grpc=port, ops=self._ops.start())
        get_logger().info("serving", listen=self._settings.grpc_listen, port=bound.grpc, ops_port=bound.ops)
        return bound

    def run_until(self, stop: threading.Event) -> None:
        """Serve until `stop` is set; then says NOT_SERVING, serve on for the drain time, and stop in
        grace.
        """
        stop.wait()
        get_logger().info("stopping")
        self._ops.health.enter_shutdown()
        time.sleep(self._settings.drain_seconds)
        self.stop(self._settings.stop_grace_seconds)

    def stop(self, grace: float = 0.0) -> None:
        """Take no new calls, wait up to `grace` seconds for those under way, and stop."""
        self._ops.health.enter_shutdown()
        self._server.stop(grace).wait()
        self._ops.stop()
        get_logger().info("stopped")


def _methods(grpc_services: Iterable[str]) -> set[str]:
    """Return the methods of gRPC services as `service/Method`."""
    pool = descriptor_pool.Default()
    return {
        f"{name}/{method.name}" for name in grpc_services for method in pool.FindServiceByName(name).methods
    }


def _add_ops_services(
    server: grpc.Server, settings: ServiceSettings, health: Health, grpc_services: Sequence[str]
) -> None:
    """Add health, and reflection of `grpc_services` if it is switched on, to a server."""
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if settings.reflection_enabled:
        reflection.enable_server_reflection((*grpc_services, _HEALTH, reflection.SERVICE_NAME), server)


def _build(
    service: str,
    settings: ServiceSettings,
    allowed: Mapping[str, Sequence[str]],
    threads: int,
    max_concurrent: int,
    grpc_services: Sequence[str] = (),
) -> grpc.Server:
    """Return a server with our interceptors, outermost first, and no services yet of `grpc_services`."""
    return grpc.server(
        _TimedThreadPool(max_workers=threads, thread_name_prefix="grpc"),
        interceptors=[
            ErrorsInterceptor(f"{service}.notify"),
            CurrentInterceptor(),
            TelemetryInterceptor(settings.access_log_sample),
            AuthzInterceptor({**allowed, reflection.SERVICE_NAME: (OPERATOR, OBSERVER)}, anyone=(_HEALTH,)),
            DeadlineInterceptor(),
            StreamsInterceptor(settings.stream_idle_seconds, settings.streams_per_caller),
            FieldRulesInterceptor(grpc_services),
        ],
        options=server_options(),
        maximum_concurrent_rpcs=max_concurrent,
    )


def _bind(server: grpc.Server, listen: str, settings: ServiceSettings | None, setting: str) -> int | None:
    """Take the address; in plain text without `settings`, where nobody has a name that would let them in."""
    try:
        if settings is None:
            port = server.add_insecure_port(listen)
        else:
            port = server.add_secure_port(listen, server_credentials(settings))
    except (RuntimeError, ValueError):
        raise BootError(
            f"{listen} can't be listened on: it is taken or not an address here; set {setting}"
        ) from None
    return None if listen.startswith("unix:") else port


def apart(behaviour: Callable[..., Any], threads: int, name: str) -> Callable[..., Any]:
    """Return a servicer's method that runs on threads of its own, so that it takes none from the others.

    Assign it to the servicer under the method's name, before it is added to a server. Further calls wait for
    a thread; `maximum_concurrent_rpcs` counts them too.
    """

    def run(request: Any, context: grpc.ServicerContext) -> Any:
        return behaviour(request, context)

    setattr(run, THREADS_OF_ITS_OWN, _TimedThreadPool(max_workers=threads, thread_name_prefix=name))
    return run


class _TimedThreadPool(futures.ThreadPoolExecutor):
    """A pool that measures how long each call waited for a thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        """See ThreadPoolExecutor."""
        queued = time.monotonic()

        def run() -> Any:
            SERVER_POOL_WAIT.observe(time.monotonic() - queued)
            return fn(*args, **kwargs)

        return super().submit(run)

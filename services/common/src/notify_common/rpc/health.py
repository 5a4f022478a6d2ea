"""Health of a process, recomputed from named checks and served as `grpc.health.v1` (design.md §2.8)."""

import threading
from collections.abc import Callable, Iterable, Mapping

import grpc
from grpc_health.v1 import health, health_pb2

from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.logging import describe_exception, get_logger

Check = Callable[[], bool]

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_STALE_INTERVALS = 3


class HealthServicer(health.HealthServicer):
    """`Check` alone: a watch would hold a thread for its whole life (design.md §4.3)."""

    def __init__(self, is_fresh: Callable[[], bool]) -> None:
        super().__init__(experimental_non_blocking=False)
        self._is_fresh = is_fresh

    def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """Returns the status of a gRPC service, or of the whole process for an empty name."""
        response: health_pb2.HealthCheckResponse = super().Check(request, context)
        if response.status == _SERVING and not self._is_fresh():
            return health_pb2.HealthCheckResponse(status=_NOT_SERVING)
        return response

    def Watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: object = None,
    ) -> None:
        """Raises NotifyError UNIMPLEMENTED."""
        raise NotifyError("UNIMPLEMENTED", "use Check")


class Health:
    """Runs the checks each `interval` seconds; all must pass for SERVING.

    A check that raises has failed. When a check hangs, so that three intervals pass without a result, the
    process counts as not serving.
    """

    def __init__(self, checks: Mapping[str, Check], services: Iterable[str], interval: float = 5.0) -> None:
        """`checks` is name -> function; `services` the full names of the gRPC services that it speaks for."""
        self._checks = dict(checks)
        self._names = ("", *services)
        self._interval = interval
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing: frozenset[str] | None = None
        self._finished = clock.monotonic()
        self.servicer = HealthServicer(self._is_fresh)
        for name in self._names:
            self.servicer.set(name, _NOT_SERVING)

    def start(self) -> None:
        """Runs the checks once, then again in a thread of its own."""
        self._run_checks()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def enter_shutdown(self) -> None:
        """Says NOT_SERVING from here on."""
        self._stop.set()
        self.servicer.enter_graceful_shutdown()

    def _is_fresh(self) -> bool:
        return clock.monotonic() - self._finished < _STALE_INTERVALS * self._interval

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._run_checks()

    def _run_checks(self) -> None:
        failing = frozenset(name for name, check in self._checks.items() if not _passes(name, check))
        self._finished = clock.monotonic()
        if failing == self._failing:
            return
        if failing:
            get_logger().warning("not healthy", check=sorted(failing))
        elif self._failing:
            get_logger().info("healthy again")
        self._failing = failing
        for name in self._names:
            self.servicer.set(name, _NOT_SERVING if failing else _SERVING)


def _passes(name: str, check: Check) -> bool:
    try:
        return check()
    except Exception as error:  # a check that can't be made has failed, whatever the reason
        get_logger().warning("check failed", check=name, **describe_exception(error))
        return False

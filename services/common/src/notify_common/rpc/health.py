"""Health of a process, recomputed from named checks and served as `grpc.health.v1` (design.md §2.8)."""

import threading
from collections.abc import Callable, Iterable, Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from notify_common import clock
from notify_common.logging import describe_exception, get_logger

Check = Callable[[], bool]

LIVENESS = "liveness"
"""Name to ask for whether the process answers at all; what its checks say, or that it stops, is no matter.
A process whose database is away is not ready, but nothing is won by starting it anew."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_STALE_INTERVALS = 3


class Health(health_pb2_grpc.HealthServicer):
    """Runs the checks each `interval` seconds; all must pass for SERVING.

    A check that raises has failed. When a check hangs, so that three intervals pass without a result, the
    process counts as not serving. `Watch` is unimplemented on purpose: it would hold a thread for its whole
    life (design.md §4.3).
    """

    def __init__(self, checks: Mapping[str, Check], services: Iterable[str], interval: float = 5.0) -> None:
        """Take `checks` by name, and in `services` the full names of the gRPC services that it speaks for."""
        self._checks = dict(checks)
        self._names = frozenset(("", LIVENESS, *services))
        self._interval = interval
        self._stop = threading.Event()
        self._failing: frozenset[str] | None = None
        self._finished = clock.monotonic()

    def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """Return the status of a gRPC service, of the whole process for an empty name, or SERVING for
        LIVENESS."""
        if request.service not in self._names:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return health_pb2.HealthCheckResponse()
        serving = request.service == LIVENESS or self.is_serving()
        return health_pb2.HealthCheckResponse(status=_SERVING if serving else _NOT_SERVING)

    def is_serving(self) -> bool:
        """Tell whether the last checks all passed, are fresh, and nobody asked the process to stop."""
        fresh = clock.monotonic() - self._finished < _STALE_INTERVALS * self._interval
        return fresh and self._failing == frozenset() and not self._stop.is_set()

    def start(self) -> None:
        """Run the checks once, then again in a thread of its own."""
        self._run_checks()
        threading.Thread(target=self._run, name="health", daemon=True).start()

    def enter_shutdown(self) -> None:
        """Say NOT_SERVING from here on and end the checks."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._run_checks()

    def _run_checks(self) -> None:
        failing = frozenset(name for name, check in self._checks.items() if not _passes(name, check))
        if failing and failing != self._failing:
            get_logger().warning("not healthy", check=sorted(failing))
        elif self._failing and not failing:
            get_logger().info("healthy again")
        self._failing = failing
        self._finished = clock.monotonic()


def _passes(name: str, check: Check) -> bool:
    try:
        return check()
    except Exception as error:  # a check that can't be made has failed, whatever the reason
        get_logger().warning("check failed", check=name, **describe_exception(error))
        return False

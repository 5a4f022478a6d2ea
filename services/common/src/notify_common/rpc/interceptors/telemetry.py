"""Third on a server: metrics of every call, and a log line of those that matter (design.md §2.8)."""

import itertools
from contextlib import AbstractContextManager
from types import TracebackType

import grpc

from notify_common import clock
from notify_common.logging import get_logger
from notify_common.metrics import SERVER_HANDLED, SERVER_IN_FLIGHT, SERVER_SECONDS
from notify_common.reasons import Code
from notify_common.rpc import tls
from notify_common.rpc.interceptors.base import Around, Method, ServerInterceptor
from notify_common.rpc.interceptors.errors import as_notify_error

_SLOW_SECONDS = 1.0
_READS = ("Get", "List", "Preview", "Check")


class TelemetryInterceptor(ServerInterceptor):
    """Counts and times each call, and logs it; of reads that go well within a second, only every n-th."""

    def __init__(self, sample: int) -> None:
        """Take `sample`, of how many calls that ended well one is logged."""
        super().__init__()
        self._sample = sample

    def around(self, method: Method) -> Around:
        """Watch every method."""
        meter = _Meter(method, self._sample)

        def watch(context: grpc.ServicerContext) -> AbstractContextManager[None]:
            return _Watch(meter, context)

        return watch


class _Meter:
    """What the calls of one method share."""

    def __init__(self, method: Method, sample: int) -> None:
        self.method = method
        self.sample = sample if method.name.startswith(_READS) else 1
        self.number = itertools.count()
        self.ok = SERVER_HANDLED.labels(method.service, method.name, Code.OK.name)
        self.seconds = SERVER_SECONDS.labels(method.service, method.name)

    def handled(self, code: Code) -> None:
        if code is Code.OK:
            self.ok.inc()
        else:
            SERVER_HANDLED.labels(self.method.service, self.method.name, code.name).inc()


class _Watch:
    __slots__ = ("_context", "_meter", "_started")

    def __init__(self, meter: _Meter, context: grpc.ServicerContext) -> None:
        self._meter = meter
        self._context = context

    def __enter__(self) -> None:
        SERVER_IN_FLIGHT.inc()
        self._started = clock.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = clock.monotonic() - self._started
        SERVER_IN_FLIGHT.dec()
        meter = self._meter
        code, reason = Code.OK, None
        if error is not None:
            shown = as_notify_error(error, self._context)
            if isinstance(error, GeneratorExit):
                code, reason = Code.CANCELLED, "CANCELLED"
            elif shown is None:
                code, reason = Code.INTERNAL, "INTERNAL"
            else:
                code, reason = shown.code, shown.reason
        meter.seconds.observe(seconds)
        meter.handled(code)
        if error is not None or seconds > _SLOW_SECONDS or next(meter.number) % meter.sample == 0:
            get_logger().info(
                "call served",
                method=meter.method.path,
                code=code.name,
                reason=reason,
                seconds=seconds,
                caller=tls.caller_name(self._context),
            )

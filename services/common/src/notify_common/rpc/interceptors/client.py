"""What stands around every call on a client: request id, deadline, errors, metrics (design.md §2.8).

A thin channel around grpc's own, not a chain of `grpc.*ClientInterceptor`: those put a second call object and
a details tuple around each call, on the path that every message takes.
"""

import contextvars
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
from opentelemetry.trace import SpanKind

from notify_common import clock, current, tracing
from notify_common.errors import NotifyError
from notify_common.logging import describe_exception, get_logger
from notify_common.metrics import CLIENT_HANDLED, CLIENT_IN_FLIGHT, CLIENT_SECONDS
from notify_common.reasons import Code
from notify_common.rpc import service_config, status
from notify_common.rpc.interceptors.current import ACTOR, ORIGIN, REQUEST_ID, TRACEPARENT

Metadata = tuple[tuple[str, str], ...]


class ClientChannel(grpc.Channel):
    """A channel whose calls carry what is `current`, always have a deadline, and fail with NotifyError alone.

    A call returns the response, or for a stream an iterator of responses, which cancels the call when it is
    closed or dropped. `timeout` may shorten the method's own; nothing makes it longer.

    gRPC reads a client's certificate once, so the channel inside is made anew when the certificate was
    renewed; calls under way end on the old one.
    """

    def __init__(
        self, make: Callable[[], grpc.Channel], stamps: Callable[[], object], look_seconds: float
    ) -> None:
        """Take `make`, which makes the channel inside, and `stamps`, whose answer changes when `make` would
        make another one; it is asked every `look_seconds` at most, and may raise OSError.
        """
        self._make = make
        self._stamps = stamps
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._used = self._seen = stamps()
        self._channel = make()
        self._callables: weakref.WeakSet[_Callable] = weakref.WeakSet()
        self._next_look = clock.monotonic() + look_seconds

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return the callable of a method with one request and one response."""
        return self._add(_Unary(self, method, lambda channel: channel.unary_unary(method, *args, **kwargs)))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return the callable of a method with a stream of requests and one response."""
        return self._add(
            _RequestStream(self, method, lambda channel: channel.stream_unary(method, *args, **kwargs))
        )

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return the callable of a method with one request and a stream of responses."""
        return self._add(
            _ResponseStream(self, method, lambda channel: channel.unary_stream(method, *args, **kwargs))
        )

    def follow_certificate(self) -> None:
        """Make the channel inside anew if it is time to look and the certificate was renewed.

        Files that differ from those at the last look are taken to be still in the making.
        """
        now = clock.monotonic()
        if now < self._next_look or not self._lock.acquire(blocking=False):
            return
        try:
            self._next_look = now + self._look_seconds
            stamps = self._stamps()
            if stamps != self._used and stamps == self._seen:
                self._channel = self._make()
                self._used = stamps
                for one in list(self._callables):
                    one.bind(self._channel)
                get_logger().info("certificate renewed")
            self._seen = stamps
        except OSError as error:
            get_logger().warning("certificate not read", **describe_exception(error))
        finally:
            self._lock.release()

    def _add(self, made: "_Callable") -> "_Callable":
        with self._lock:
            made.bind(self._channel)
            self._callables.add(made)
        return made

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Raise NotImplementedError: no service has streams both ways (design.md §2.7)."""
        raise NotImplementedError("streams both ways are not used between services")

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False
    ) -> None:
        """See grpc.Channel."""
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """See grpc.Channel."""
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        """End all calls with CANCELLED."""
        self._channel.close()

    def __enter__(self) -> "ClientChannel":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Callable:
    """What the kinds of methods share."""

    def __init__(
        self, channel: ClientChannel, method: str, make: Callable[[grpc.Channel], Callable[..., Any]]
    ) -> None:
        self._channel = channel
        self._make = make
        self._timeout = service_config.timeout(method)
        service, _, name = method.lstrip("/").rpartition("/")
        self._service, self._name = service, name
        self._seconds = CLIENT_SECONDS.labels(service, name)
        self._ok = CLIENT_HANDLED.labels(service, name, Code.OK.name)

    def bind(self, channel: grpc.Channel) -> None:
        """Make calls from here on go over `channel`."""
        self._inner = self._make(channel)

    def _budget(self, timeout: float | None) -> float:
        self._channel.follow_certificate()
        budget = self._timeout if timeout is None else min(timeout, self._timeout)
        left = current.time_left()
        if left is not None and left < budget:
            budget = left
        if budget <= 0:
            CLIENT_HANDLED.labels(self._service, self._name, Code.DEADLINE_EXCEEDED.name).inc()
            raise NotifyError("DEADLINE_EXCEEDED")
        return budget

    def _metadata(self, metadata: Metadata) -> Metadata:
        if origin := current.origin.get():
            metadata = ((ORIGIN, origin), *metadata)
        if actor := current.actor.get():
            metadata = ((ACTOR, actor), *metadata)
        if request_id := current.request_id.get():
            metadata = ((REQUEST_ID, request_id), *metadata)
        if traceparent := current.traceparent.get():
            metadata = ((TRACEPARENT, traceparent), *metadata)
        return metadata

    def _end(self, started: float, error: NotifyError | None) -> None:
        CLIENT_IN_FLIGHT.dec()
        self._seconds.observe(clock.monotonic() - started)
        if error is None:
            self._ok.inc()
        else:
            CLIENT_HANDLED.labels(self._service, self._name, error.code.name).inc()

    def _call(self, request: Any, timeout: float | None, metadata: Metadata) -> Any:
        budget = self._budget(timeout)
        if not tracing.is_recording():
            return self._measured(request, budget, metadata)
        with tracing.span(f"{self._service}/{self._name}", SpanKind.CLIENT):
            return self._measured(request, budget, metadata)

    def _measured(self, request: Any, budget: float, metadata: Metadata) -> Any:
        started = clock.monotonic()
        CLIENT_IN_FLIGHT.inc()
        error: NotifyError | None = None
        try:
            return self._inner(request, timeout=budget, metadata=self._metadata(metadata))
        except grpc.RpcError as failure:
            error = status.to_error(failure)
            raise error from None
        finally:
            self._end(started, error)


class _Unary(_Callable):
    def __call__(self, request: Any, timeout: float | None = None, metadata: Metadata = ()) -> Any:
        return self._call(request, timeout, metadata)


class _RequestStream(_Callable):
    def __call__(self, requests: Iterable[Any], timeout: float | None = None, metadata: Metadata = ()) -> Any:
        source = _Source(requests)
        try:
            return self._call(source, timeout, metadata)
        except NotifyError:
            # gRPC reports a failing source as UNKNOWN; the caller made the source and wants its own error.
            if source.failure is not None:
                raise source.failure from None
            raise


class _Source:
    """Requests, read on gRPC's thread with what is `current` for the caller."""

    def __init__(self, requests: Iterable[Any]) -> None:
        self._requests = iter(requests)
        self._context = contextvars.copy_context()
        self.failure: Exception | None = None

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> Any:
        try:
            return self._context.run(next, self._requests)
        except StopIteration:
            raise
        except Exception as error:
            self.failure = error
            raise


class _ResponseStream(_Callable):
    def __call__(self, request: Any, timeout: float | None = None, metadata: Metadata = ()) -> Iterator[Any]:
        budget = self._budget(timeout)
        if not tracing.is_recording():
            call = self._inner(request, timeout=budget, metadata=self._metadata(metadata))
        else:
            # The span covers the start alone: an iterator may be finished in another place, or never.
            with tracing.span(f"{self._service}/{self._name}", SpanKind.CLIENT):
                call = self._inner(request, timeout=budget, metadata=self._metadata(metadata))
        return self._responses(call)

    def _responses(self, call: Any) -> Iterator[Any]:
        started = clock.monotonic()
        CLIENT_IN_FLIGHT.inc()
        error: NotifyError | None = NotifyError("CANCELLED")
        try:
            yield from call
            error = None
        except grpc.RpcError as failure:
            error = status.to_error(failure)
            raise error from None
        finally:
            call.cancel()
            self._end(started, error)

"""Bounds of what clients stream to a server: silence, and how many at once (design.md §4.3)."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.logging import get_logger
from notify_common.rpc import tls
from notify_common.rpc.interceptors.base import Behaviour, Handler

_LOOKS_A_LIMIT = 4


class StreamsInterceptor(grpc.ServerInterceptor):
    """Ends a stream whose client sends nothing for too long, and refuses a caller more than its share.

    A stream holds a thread of the server for as long as it is open. Several copies of a service share the
    name in their certificates, and what that name may have.
    """

    def __init__(self, idle_seconds: float, most_per_caller: int) -> None:
        self._idle_seconds = idle_seconds
        self._most = most_per_caller
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()
        self._waiting: set[_Requests] = set()
        self._watcher: threading.Thread | None = None
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the handler of a call; gRPC asks for each call."""
        handler = continuation(handler_call_details)
        if handler is None or not handler.request_streaming or handler.response_streaming:
            return handler
        path = handler_call_details.method
        kept = self._wrapped.get(path)
        if kept is None or kept[0] is not handler:
            kept = self._wrapped[path] = (handler, self._wrap(handler, path))
        return kept[1]

    def _wrap(self, handler: "Handler", path: str) -> "Handler":
        behaviour: Behaviour = getattr(handler, "stream_unary")  # noqa: B009 - typed as None of other kinds

        def bounded(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            with self._place(context), self._watched(_Requests(requests, context, path)) as watched:
                return behaviour(watched, context)

        wrapped: Handler = grpc.stream_unary_rpc_method_handler(
            bounded, handler.request_deserializer, handler.response_serializer
        )
        return wrapped

    @contextmanager
    def _place(self, context: grpc.ServicerContext) -> Iterator[None]:
        caller = tls.caller_name(context)
        with self._lock:
            if self._open[caller] >= self._most:
                raise NotifyError("OVERLOADED", "the caller has as many streams open as it may")
            self._open[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[caller] -= 1

    @contextmanager
    def _watched(self, requests: "_Requests") -> Iterator["_Requests"]:
        with self._lock:
            self._waiting.add(requests)
            if self._watcher is None or not self._watcher.is_alive():
                self._watcher = threading.Thread(target=self._watch, name="streams", daemon=True)
                self._watcher.start()
        try:
            yield requests
        finally:
            with self._lock:
                self._waiting.discard(requests)

    def _watch(self) -> None:
        """End silent streams, for as long as there are streams."""
        pause = threading.Event()
        while True:
            pause.wait(self._idle_seconds / _LOOKS_A_LIMIT)
            with self._lock:
                if not self._waiting:
                    self._watcher = None
                    return
                silent = [one for one in self._waiting if one.silent_for() > self._idle_seconds]
            for one in silent:
                get_logger().warning("silent stream ended", method=one.path, seconds=self._idle_seconds)
                one.end()


class _Requests:
    """The requests of one stream, which know since when the next one is waited for."""

    def __init__(self, requests: Iterator[Any], context: grpc.ServicerContext, path: str) -> None:
        self.path = path
        self._requests = requests
        self._context = context
        self._since: float | None = None

    def __iter__(self) -> "_Requests":
        return self

    def __next__(self) -> Any:
        self._since = clock.monotonic()
        try:
            return next(self._requests)
        finally:
            self._since = None

    def silent_for(self) -> float:
        """Return seconds for which the client was waited for; 0 while a request is being worked on."""
        since = self._since
        return 0.0 if since is None else clock.monotonic() - since

    def end(self) -> None:
        """Cancel the call, which wakes whoever waits for its next request."""
        self._context.cancel()

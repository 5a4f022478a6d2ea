"""What stands around every request: request id, headers of all answers, metrics, log line."""

import itertools
import random
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, g, request
from notify_common import clock, current, tracing
from notify_common.logging import get_logger
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram

from notify_gateway.answers import UNKNOWN_ROUTE, route_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BUDGET_SECONDS: Final = 10.0
"""Time in which a request is answered, all calls to services included (design.md §2.7)."""
SEND_BUDGET_SECONDS: Final = 3.0
"""The same for a request that sends."""

ROUTE: Final = "notify.route"
"""In the environment of a request: the route that it met, as it was declared."""

_PAGES: Final = ("/console/", "/unsubscribe/page/", "/d/", "/docs", "/performance.json")
"""Where what is looked at by people begins."""
_PAGE: Final = "/performance"  # whole: others begin so
_SLOW_SECONDS: Final = 1.0
_READ_BYTES: Final = 64 * 1024
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_COMMON_HEADERS: Final = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-Permitted-Cross-Domain-Policies", "none"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload"),
]
_API_HEADERS: Final = [
    *_COMMON_HEADERS,
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Headers", "Content-Type,Authorization"),
    ("Access-Control-Allow-Methods", "GET,PUT,POST,DELETE"),
    ("Cache-Control", "no-store, no-cache, private, must-revalidate"),
]
_TRACE_HEADERS: Final = ("HTTP_X_B3_TRACEID", "HTTP_X_AMZ_CF_ID", "HTTP_X_AMZN_TRACE_ID")

_HANDLED = Counter("http_requests_total", "Requests answered.", ["method", "route", "status"])
_SECONDS = Histogram("http_request_seconds", "Time to answer a request.", ["method", "route"])


class Surroundings:
    """WSGI middleware that stands around every request: what is current, headers of all answers
    (public-api.md §0.3), metrics, log line.

    Pages for people get none of the headers that let other sites read an answer, and say themselves how
    they may be cached.
    """

    def __init__(self, app: "WSGIApplication", log_sample: int) -> None:
        """Log slow requests, and every `log_sample`-th other one."""
        self._app = app
        self._log_sample = log_sample
        self._number = itertools.count()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        started = clock.monotonic()
        asked = environ.get
        current.enter(asked("HTTP_X_REQUEST_ID"), asked("HTTP_TRACEPARENT"), "api", started + BUDGET_SECONDS)
        path = environ["PATH_INFO"]
        added = _COMMON_HEADERS if path.startswith(_PAGES) or path == _PAGE else _API_HEADERS
        trace = next((environ[name] for name in _TRACE_HEADERS if asked(name)), None)
        ids = [
            ("X-B3-TraceId", trace or current.new_request_id()),
            ("X-B3-SpanId", asked("HTTP_X_B3_SPANID") or f"self-{random.getrandbits(64):016x}"),
        ]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            self._note(environ, int(status[:3]), clock.monotonic() - started)
            return start_response(status, [*headers, *added, *ids], exc_info)

        try:
            return self._app(environ, start)
        finally:
            current.leave()

    def _note(self, environ: "WSGIEnvironment", status: int, seconds: float) -> None:
        method, route = environ["REQUEST_METHOD"], environ.get(ROUTE, UNKNOWN_ROUTE)
        handled, timed = _meters(method, route, status)
        handled.inc()
        timed.observe(seconds)
        if seconds >= _SLOW_SECONDS or next(self._number) % self._log_sample == 0:
            get_logger().info(
                "request answered", http_method=method, route=route, status=status, seconds=seconds
            )


def read_rest(environ: "WSGIEnvironment", limit: int) -> None:
    """Read what is left of a request's body, up to `limit` bytes; whoever sends more is cut off.

    A refusal such as that of a wrong token needs no body. But a server cuts the connection of a client that
    is still sending when the answer is out, and the edge takes that for a fault: it answers 503 instead.
    """
    # Servers that do not say where a body ends would wait here for a client that waits for them.
    if environ.get("wsgi.input_terminated"):
        left = limit
        while left > 0 and (part := environ["wsgi.input"].read(min(left, _READ_BYTES))):
            left -= len(part)


class RestOfBody:
    """WSGI middleware that reads what the application left of a request's body."""

    def __init__(self, app: "WSGIApplication", limit: int) -> None:
        """Take `limit` as `read_rest` does."""
        self._app = app
        self._limit = limit

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        answer = self._app(environ, start_response)
        read_rest(environ, self._limit)
        return answer


@lru_cache(maxsize=1024)
def _meters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    shown = method if method in _METHODS else "other"
    return _HANDLED.labels(shown, route, status), _SECONDS.labels(shown, route)


def limit(seconds: float) -> None:
    """Give the current request `seconds` from its start instead of BUDGET_SECONDS."""
    until = current.deadline.get()
    assert until is not None  # noqa: S101 - set for every request
    current.deadline.set(until - BUDGET_SECONDS + seconds)


def install(app: Flask) -> None:
    """Tell `Surroundings` the route of each request that `app` answers, and record it as a span."""

    @app.before_request
    def begin() -> None:
        route = request.environ[ROUTE] = route_of(request)
        if tracing.is_recording():
            g.span = tracing.span(f"{request.method} {route}", SpanKind.SERVER)
            g.span.__enter__()

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        span = g.pop("span", None)
        if span is not None:
            span.__exit__(None, None, None)

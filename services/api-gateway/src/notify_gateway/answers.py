"""Errors as HTTP answers: the two body shapes, and who answers what (public-api.md §1.6)."""

import json
import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Flask, Request, Response, request
from notify_common.errors import NotifyError
from notify_common.logging import describe_exception, get_logger
from werkzeug.exceptions import HTTPException

from notify_gateway.errors import INTERNAL, TABLE, Row, Rows, entries_of, row_of
from notify_gateway.quotas import quota_headers

Shape = Callable[[int, list[dict[str, Any]]], Response]
"""Makes an answer of an HTTP status and the entries of an error."""

UNKNOWN_ROUTE: Final = "unknown"
"""Stands for the route of a request that met none."""

_RETRY_AFTER_SECONDS: Final = 1
_KEPT_HEADERS: Final = frozenset({"Allow", "WWW-Authenticate", "Retry-After"})


class InvalidRequest(Exception):
    """A request that its schema refuses, with a sentence for each thing wrong (public-api.md §1.7)."""

    def __init__(self, *messages: str) -> None:
        """Take `messages`, which are answered in this order, duplicates left out."""
        super().__init__(len(messages))
        self.messages = list(dict.fromkeys(messages))
        self.facts: Mapping[str, str] = {}
        """What is left of the limits that the request counted for, as `notify_gateway.quotas` has it."""


_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def json_text(body: object) -> str:
    """Return `body` as the contract writes JSON: sorted keys, compact, ASCII, a line feed at the end."""
    return _ENCODER.encode(body) + "\n"


def json_response(body: object, status: int = 200) -> Response:
    """Return an answer of `json_text`."""
    return Response(json_text(body), status, mimetype="application/json")


def legacy_response(status: int, message: object) -> Response:
    """Return the shape of router errors and of all routes outside /v2."""
    return json_response({"result": "error", "message": message}, status)


def v2_shape(status: int, entries: list[dict[str, Any]]) -> Response:
    """Return the shape of /v2, which has all entries."""
    return json_response({"status_code": status, "errors": entries}, status)


def legacy_shape(status: int, entries: list[dict[str, Any]]) -> Response:
    """Return the shape of all other routes, which has the first sentence alone."""
    return legacy_response(status, entries[0]["message"])


def route_of(asked: Request) -> str:
    """Return the route that a request met, as it was declared: no value of its path."""
    return asked.url_rule.rule if asked.url_rule is not None else UNKNOWN_ROUTE


class Answers:
    """How the errors of some routes are answered: a shape, and the rows that differ from the table's.

    Install it in the application or a blueprint, or put `route` on one view; the closest one answers.
    """

    def __init__(self, shape: Shape, rows: Rows = TABLE) -> None:
        self._shape = shape
        self._rows = rows

    def but(self, rows: Rows) -> "Answers":
        """Return this shape with `rows` in the place of the table's."""
        return Answers(self._shape, {**self._rows, **rows})

    def row(self, error: NotifyError) -> Row:
        """Return how `error` is answered."""
        return row_of(error, self._rows)

    def install(self, scope: Flask | Blueprint) -> None:
        """Answer every error of the application or blueprint."""
        # One handler for all: a blueprint's own for Exception would win over the application's for others.
        scope.register_error_handler(Exception, self.answer)

    def route(self, view: Callable[..., Response]) -> Callable[..., Response]:
        """Answer the reasons that are raised below one view, whatever its blueprint says."""

        @wraps(view)
        def answering(*args: Any, **kwargs: Any) -> Response:
            try:
                return view(*args, **kwargs)
            except NotifyError as error:
                return self.answer(error)

        return answering

    def answer(self, error: Exception, route: str | None = None) -> Response:
        """Return the answer to an error of any kind; an unforeseen one is logged, and its answer is bare.

        `route` is where it happened; None for that of Flask's request.
        """
        match error:
            case NotifyError():
                return self._refusal(error, route)
            case InvalidRequest():
                entries = [{"error": "ValidationError", "message": text} for text in error.messages]
                response = v2_shape(400, entries)
                response.headers.extend(quota_headers(error.facts))
                return response
            case HTTPException():
                return _router_error(error)
        get_logger().error("request failed", route=route or route_of(request), **describe_exception(error))
        return self._shape(500, [{"error": type(error).__name__, "message": INTERNAL}])

    def _refusal(self, error: NotifyError, route: str | None) -> Response:
        row = self.row(error)
        if row.status >= 500:
            get_logger().error("request failed", route=route or route_of(request), reason=error.reason)
        response = self._shape(row.status, entries_of(error, row))
        response.headers.extend(quota_headers(error.metadata))
        if row.status == 503 or (row.status in (409, 429) and error.retry_after):
            wait = error.retry_after.total_seconds() if error.retry_after else _RETRY_AFTER_SECONDS
            response.headers["Retry-After"] = str(max(1, math.ceil(wait)))
        return response


def _router_error(error: HTTPException) -> Response:
    response = legacy_response(error.code or 500, error.description)
    for name, value in error.get_headers():
        if name in _KEPT_HEADERS:
            response.headers[name] = value
    return response


V2: Final = Answers(v2_shape)
"""Routes of /v2."""
LEGACY: Final = Answers(legacy_shape)
"""All other routes."""

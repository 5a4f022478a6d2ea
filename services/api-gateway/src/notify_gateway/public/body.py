"""Request bodies: read, and turned to JSON, hostile ones included (public-api.md §1.7)."""

import json
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn

from flask import Request
from notify_common.errors import NotifyError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_content_length, get_input_stream

from notify_gateway.answers import InvalidRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MOST_VALUES: Final = 10_000
"""Most names and list items that a body may hold in all: each costs work in every service that it passes."""

# Far more than that is refused unparsed. Texts hold these characters too, but no message holds so many.
_MOST_MARKS: Final = 20 * MOST_VALUES
_LARGEST_DIGITS: Final = 308
_MAY_BE_TOO_LARGE: Final = re.compile(rf"[0-9]{{{_LARGEST_DIGITS + 1}}}")


def read(asked: Request) -> bytes:
    """Return the body of a request. Raises NotifyError BODY_TOO_LARGE where it is over its limit."""
    return read_body(asked.environ, asked.max_content_length or 0)


def read_body(environ: "WSGIEnvironment", limit: int) -> bytes:
    """Return the body of a request. Raises NotifyError BODY_TOO_LARGE where it is over `limit` bytes."""
    length = get_content_length(environ)
    if length is not None and length <= limit and environ.get("wsgi.input_terminated"):
        return environ["wsgi.input"].read()  # type: ignore[no-any-return] # the server ends it there
    try:
        body = get_input_stream(environ, max_content_length=limit).read()
    except RequestEntityTooLarge:
        raise too_large(limit) from None
    if length is None and len(body) == limit:
        # Without a length in front, reading ends silently at the limit.
        raise too_large(limit)
    return body


def too_large(limit: int) -> NotifyError:
    """Return the error for a body of more than `limit` bytes."""
    return NotifyError("BODY_TOO_LARGE", metadata={"limit": str(limit)})


def parse_json(body: bytes) -> Any:
    """Return what the JSON text in `body` says; a falsy value is an empty object.

    The content type does not matter, and of a name that comes twice the last value counts. Raises NotifyError
    JSON_INVALID where it is no JSON text that can be stored and passed on (broken encoding, half of a
    surrogate pair, deeper than Python reads, NaN, Infinity and numbers that no double holds),
    BODY_HAS_TOO_MANY_VALUES, InvalidRequest where a string holds a NUL character, which no database keeps.
    """
    try:
        return parse_text(body.decode(json.detect_encoding(body)))
    except ValueError:
        raise NotifyError("JSON_INVALID") from None


def parse_text(text: str) -> Any:
    """Return what a JSON text says, as `parse_json` does."""
    try:
        if len(text) > MOST_VALUES:
            _check_marks(text)
        decoder = _CAREFUL_DECODER if _MAY_BE_TOO_LARGE.search(text) else _DECODER
        value = decoder.decode(text)
        if len(text) > MOST_VALUES and _holds_more_than(value, MOST_VALUES):
            raise too_many_values()
        if "\\u" in text:
            _check_strings(value, text)
    except (ValueError, RecursionError):
        raise NotifyError("JSON_INVALID") from None
    return value or {}


def too_many_values() -> NotifyError:
    """Return the error for a body of more than MOST_VALUES names and list items."""
    return NotifyError("BODY_HAS_TOO_MANY_VALUES", metadata={"limit": str(MOST_VALUES)})


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError
    return value


def _finite_int(text: str) -> int:
    value = int(text)
    try:
        float(value)
    except OverflowError:
        raise ValueError from None
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite_float)
# Asks a function of ours for each integer, which costs more than reading it; most bodies have no long ones.
_CAREFUL_DECODER: Final = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite_float, parse_int=_finite_int
)


def _check_marks(text: str) -> None:
    if sum(text.count(mark) for mark in "[{:") > _MOST_MARKS:
        raise too_many_values()


def _holds_more_than(value: Any, limit: int) -> bool:
    """Tell whether `value` holds more names and list items than `limit`, counting no further."""
    count = 0
    waiting = [value]
    while waiting and count <= limit:
        inner = waiting.pop()
        if isinstance(inner, dict | list):
            count += len(inner)
            items = inner.values() if isinstance(inner, dict) else inner
            waiting += [item for item in items if isinstance(item, dict | list)] if count <= limit else []
    return count > limit


def _check_strings(value: Any, text: str) -> None:
    # Escapes alone can write what the decoder of the text would have refused.
    lowered = text.lower()
    if "\\ud" in lowered:
        json.dumps(value, ensure_ascii=False).encode()
    if "\\u0000" in lowered and isinstance(value, dict):
        fields = [name for name, item in value.items() if _has_nul(name) or _has_nul(item)]
        if fields:
            names = [name.replace("\0", "") for name in fields]
            raise InvalidRequest(*(f"{name} must not contain NUL characters" for name in names))


def _has_nul(value: Any) -> bool:
    return any("\0" in text for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)

"""Request bodies: read, and turned to JSON, hostile ones included (public-api.md §1.7)."""

import json
from collections.abc import Iterator
from typing import Any

from flask import Request
from notify_common.errors import NotifyError
from werkzeug.exceptions import RequestEntityTooLarge

from notify_gateway.answers import InvalidRequest


def read(asked: Request) -> bytes:
    """Returns the body of a request. Raises NotifyError BODY_TOO_LARGE where it is over its limit."""
    limit = asked.max_content_length or 0
    try:
        body = asked.get_data(cache=False)
    except RequestEntityTooLarge:
        raise too_large(limit) from None
    if asked.content_length is None and len(body) == limit:
        # Without a length in front, reading ends silently at the limit.
        raise too_large(limit)
    return body


def too_large(limit: int) -> NotifyError:
    """Returns the error for a body of more than `limit` bytes."""
    return NotifyError("BODY_TOO_LARGE", metadata={"limit": str(limit)})


def parse_json(body: bytes) -> Any:
    """Returns what the JSON text in `body` says; a falsy value is an empty object.

    The content type does not matter. Raises NotifyError JSON_INVALID where it is no JSON text that can be
    stored and passed on (broken encoding, half of a surrogate pair, deeper or with longer numbers than Python
    reads), InvalidRequest where a string holds a NUL character, which no database keeps.
    """
    try:
        text = body.decode(json.detect_encoding(body))
        value = json.loads(text)
        if "\\u" in text:
            _check_strings(value, text)
    except (ValueError, RecursionError):
        raise NotifyError("JSON_INVALID") from None
    return value or {}


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

"""Structured logs: one JSON object a line to standard output, with fixed keys (design.md §2.8).

Lines carry ids, counts and names, never payloads: only keys of `KEYS` or with an ending of `ENDINGS` are
written, whatever a caller passes; the names of others are listed under `dropped`, so that the mistake shows.
"""

import json
import logging
import os
import sys
import threading
import traceback
from typing import BinaryIO, Final

from notify_common import clock, current
from notify_common.errors import NotifyError

FIXED: Final = frozenset({"ts", "level", "event", "service", "request_id", "trace_id", "dropped"})
"""Keys that come first where a line has them."""
KEYS: Final = frozenset(
    {
        "action", "attempt", "attempts", "caller", "channel", "check", "code", "command", "count", "cursor",
        "disagreements", "environment", "error_type", "exit_status", "frames", "healthy", "http_method",
        "key_type", "lag", "level", "listen", "logger", "message", "method", "migration", "mode",
        "name", "origin", "path", "peer", "pid", "port", "provider", "queue", "queues", "reason", "reference",
        "revision", "route", "seconds", "service", "severity", "signal", "size", "sqlstate", "state",
        "status", "table", "target", "task", "threads", "topic", "version", "violations", "worker",
    }
)  # fmt: skip
"""Keys that may be logged besides the fixed first ones; all hold names and numbers of ours."""

ENDINGS: Final = (
    "_id",
    "_ids",
    "_count",
    "_ms",
    "_seconds",
    "_bytes",
    "_type",
    "_state",
    "_version",
    "_port",
)
"""Endings of further keys that may be logged."""

_MAX_TEXT = 300
_MAX_ITEMS = 50
_CAUSES = 5
_FRAMES = 12
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Logger:
    """What `get_logger` returns; `event` is a fixed phrase, facts go into `keys`."""

    def info(self, event: str, **keys: object) -> None:
        """Say what happened."""
        _output.write("info", event, keys)

    def warning(self, event: str, **keys: object) -> None:
        """Say that something is wrong and was dealt with."""
        _output.write("warning", event, keys)

    def error(self, event: str, **keys: object) -> None:
        """Say that something failed and someone should look."""
        _output.write("error", event, keys)


def configure_logging(service: str, level: str = "info", stream: BinaryIO | None = None) -> None:
    """Write this process's logs, and those of libraries from warnings up, as JSON lines to `stream`.

    `service` goes into every line; `level` is debug, info, warning or error; `stream` is standard output
    unless it is given.
    """
    global _output
    _output = _Output(service, level, stream)
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(logging.WARNING)


def get_logger() -> Logger:
    """Return the logger, which is the same one everywhere and at any time."""
    return _LOGGER


def describe_exception(error: BaseException) -> dict[str, object]:
    """Return the keys that tell where and what kind an error was, without its text.

    The text of an exception may hold a recipient or a password (`DETAIL: Key (recipient)=(…)`), so a line has
    the types of the error and its causes, the database's SQLSTATE where there is one, the innermost frames,
    and of a NotifyError its reason and which fields break a rule, neither of which repeats a value.
    """
    types: list[str] = []
    sqlstate: str | None = None
    cause: BaseException | None = error
    while cause is not None and len(types) < _CAUSES:
        types.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        sqlstate = sqlstate or getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)
        cause = cause.__cause__ or cause.__context__
    frames = []
    for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES:]:
        folder, file = os.path.split(frame.filename)
        frames.append(f"{os.path.basename(folder)}/{file}:{frame.lineno} {frame.name}")
    keys: dict[str, object] = {"error_type": " < ".join(types), "frames": frames}
    if sqlstate:
        keys["sqlstate"] = sqlstate
    if isinstance(error, NotifyError):
        keys["reason"] = error.reason
        if error.violations:
            keys["violations"] = [f"{one.field} {one.description}" for one in error.violations]
    return keys


class _Output:
    """Where lines go, and what they look like: fixed keys first, then what may be logged."""

    def __init__(self, service: str, level: str, stream: BinaryIO | None) -> None:
        self._service = service
        self._least = _LEVELS[level]
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, level: str, event: object, keys: dict[str, object]) -> None:
        if _LEVELS[level] < self._least:
            return
        line = self._line(level, event, keys)
        stream = self._stream or sys.stdout.buffer
        with self._lock:
            stream.write(line)
            stream.flush()

    def _line(self, level: str, event: object, keys: dict[str, object]) -> bytes:
        line: dict[str, object] = {
            "ts": clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
            "event": _value(event),
            "service": self._service,
        }
        if request_id := keys.pop("request_id", "") or current.request_id.get():
            line["request_id"] = _value(request_id)
        if traceparent := current.traceparent.get():
            line["trace_id"] = traceparent[3:35]
        dropped = []
        for key, value in {**current.subject.get(), **keys}.items():
            if key in KEYS or key.endswith(ENDINGS):
                if value is not None:
                    line[key] = _value(value)
            else:
                dropped.append(key)
        if dropped:
            line["dropped"] = sorted(dropped)
        return (_ENCODER.encode(line) + "\n").encode("utf-8", "backslashreplace")


def _value(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "…"
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(item) for item in list(value)[:_MAX_ITEMS]]
    if isinstance(value, dict | bytes | bytearray):
        return f"<{type(value).__name__}>"
    return _value(str(value))


class _LibraryHandler(logging.Handler):
    """Passes on what libraries log, in our form.

    Only the fixed part of a record's message is kept (`"Retrying in %s seconds"`): its arguments and the text
    of exceptions may hold payloads.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            keys: dict[str, object] = {"logger": record.name, "message": str(record.msg)}
            if record.exc_info and record.exc_info[1] is not None:
                keys |= describe_exception(record.exc_info[1])
            log = get_logger()
            if record.levelno >= logging.ERROR:
                log.error("library message", **keys)
            elif record.levelno >= logging.WARNING:
                log.warning("library message", **keys)
            else:
                log.info("library message", **keys)
        except Exception:  # logging must never raise into the code that logs
            self.handleError(record)


_LOGGER: Final = Logger()
_output = _Output("", "debug", None)

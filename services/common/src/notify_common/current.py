"""What the current message or request has: request id, trace, origin, deadline, what it is about.

Server interceptors, workers and the gateway set these once; logs, outgoing calls and rows read them, so that
one grep for a request id follows a message through every process (design.md §2.8).
"""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from notify_common import clock

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the request that started it all; empty outside of one."""

traceparent: ContextVar[str] = ContextVar("traceparent", default="")
"""W3C trace context of the current span; empty outside of a request."""

origin: ContextVar[str] = ContextVar("origin", default="")
"""What made the work: `api`, `console`, a job; passed on, never decided by."""

actor: ContextVar[str] = ContextVar("actor", default="")
"""Id of the person who made the request, as the admin web app says; empty for none. Who set it is trusted."""

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""Reading of `clock.monotonic()` by which the answer must be out; None means no limit."""

_NOTHING: Mapping[str, str] = MappingProxyType({})

subject: ContextVar[Mapping[str, str]] = ContextVar("subject", default=_NOTHING)
"""Ids of what the request is about, such as `notification_id`; its log lines have them."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ORIGIN = re.compile(r"[a-z0-9._-]{1,32}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def new_traceparent() -> str:
    """Return a trace context of a new trace, marked as sampled."""
    return f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-01"


def new_request_id() -> str:
    """Return 32 hexadecimal digits. They tell requests apart and keep no secret, so the system's randomness,
    for which a thread lets others run, is not asked for them.
    """
    return f"{random.getrandbits(128):032x}"


def enter(request: str | None, trace: str | None, made_by: str | None, until: float | None = None) -> None:
    """Make these the current request of this thread from here on.

    What came from outside is kept only in its proper form: a missing or malformed request id or trace context
    is made anew, a malformed origin is dropped.
    """
    request_id.set(request if request and _REQUEST_ID.fullmatch(request) else new_request_id())
    traceparent.set(trace if trace and _TRACEPARENT.fullmatch(trace) else new_traceparent())
    origin.set(made_by if made_by and _ORIGIN.fullmatch(made_by) else "")
    actor.set("")
    deadline.set(until)
    subject.set(_NOTHING)


def leave() -> None:
    """End what `enter` began: what this thread does next belongs to no request."""
    request_id.set("")
    traceparent.set("")
    origin.set("")
    actor.set("")
    deadline.set(None)
    subject.set(_NOTHING)


def note(**ids: str) -> None:
    """Say what the current request is about, for its log lines: ids of ours, by names that end in `_id`."""
    subject.set({**subject.get(), **ids})


@contextmanager
def bind(
    *,
    request_id: str | None = None,
    traceparent: str | None = None,
    origin: str | None = None,
    timeout: float | None = None,
) -> Iterator[None]:
    """Run the `with` block for a stored request, such as that of a claimed row.

    Missing parts are made anew, as in `enter`. `timeout` (seconds) sets a deadline. What was current before
    is so again at the end.
    """
    before = (
        _request_id.get(),
        _traceparent.get(),
        _origin.get(),
        deadline.get(),
        subject.get(),
        actor.get(),
    )
    enter(request_id, traceparent, origin, None if timeout is None else clock.monotonic() + timeout)
    try:
        yield
    finally:
        _request_id.set(before[0])
        _traceparent.set(before[1])
        _origin.set(before[2])
        deadline.set(before[3])
        subject.set(before[4])
        actor.set(before[5])


def time_left() -> float | None:
    """Return the seconds that are left until the deadline, below zero when it has passed; None means no
    limit.
    """
    until = deadline.get()
    return None if until is None else until - clock.monotonic()


# `bind` takes keywords of the same names.
_request_id, _traceparent, _origin = request_id, traceparent, origin

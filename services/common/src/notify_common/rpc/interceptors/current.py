"""Second on a server: whose request this is, and which trace it belongs to (design.md §2.8)."""

from contextlib import AbstractContextManager, nullcontext

import grpc
from opentelemetry.trace import SpanKind

from notify_common import current, tracing
from notify_common.ids import is_uuid
from notify_common.rpc.interceptors.base import Around, Method, ServerInterceptor

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
ORIGIN = "x-notify-origin"
ACTOR = "x-notify-actor"

_NOTHING: AbstractContextManager[None] = nullcontext()


class CurrentInterceptor(ServerInterceptor):
    """Takes request id, trace context, origin and actor from the metadata and records the call as a span.

    They stay set when the call has ended, so that the error mask can still name the request; the next call on
    this thread sets its own.
    """

    def around(self, method: Method) -> Around:
        """Set what is current in every method."""

        def enter(context: grpc.ServicerContext) -> AbstractContextManager[None]:
            request: str | None = None
            trace: str | None = None
            origin: str | None = None
            actor = ""
            for key, value in context.invocation_metadata():
                if key == REQUEST_ID:
                    request = str(value)
                elif key == TRACEPARENT:
                    trace = str(value)
                elif key == ORIGIN:
                    origin = str(value)
                elif key == ACTOR:
                    actor = str(value)
            current.enter(request, trace, origin)
            current.actor.set(actor if is_uuid(actor) else "")
            if not tracing.is_recording():
                return _NOTHING
            return tracing.span(method.path.lstrip("/"), SpanKind.SERVER)

        return enter

"""Outermost on a server: errors leave as `google.rpc.Status`, and only those that may (design.md §2.6)."""

import secrets
from contextlib import AbstractContextManager
from types import TracebackType

import grpc
from grpc_status import rpc_status

from notify_common import current
from notify_common.db.engine import failure_reason
from notify_common.errors import NotifyError
from notify_common.logging import describe_exception, get_logger
from notify_common.rpc import status
from notify_common.rpc.interceptors.base import Around, Method, ServerInterceptor


class ErrorsInterceptor(ServerInterceptor):
    """Turns a NotifyError into its status, a database that does not do its work into UNAVAILABLE or
    DEADLINE_EXCEEDED, and everything else into INTERNAL with a random reference.

    What an unexpected exception said stays here: a log line has its type and frames, and the reference.
    """

    def __init__(self, domain: str) -> None:
        """Take `domain`, `<context>.notify`, which each ErrorInfo bears."""
        super().__init__()
        self._domain = domain

    def around(self, method: Method) -> Around:
        """Mask every method."""
        domain = self._domain

        def mask(context: grpc.ServicerContext) -> AbstractContextManager[None]:
            return _Mask(domain, method, context)

        return mask


def as_notify_error(error: BaseException, context: grpc.ServicerContext) -> NotifyError | None:
    """Return the NotifyError that the caller of `context` may see for `error`, None if it must be masked."""
    if isinstance(error, NotifyError):
        return error
    if isinstance(error, NotImplementedError) and _code(context) is grpc.StatusCode.UNIMPLEMENTED:
        return NotifyError("UNIMPLEMENTED")  # a method of the generated base class that nobody wrote
    if not context.is_active():
        return NotifyError("CANCELLED")  # reading on from a caller that has left
    reason = failure_reason(error)
    return None if reason is None else NotifyError(reason)


def _code(context: grpc.ServicerContext) -> grpc.StatusCode | None:
    code: grpc.StatusCode | None = context.code()  # type: ignore[attr-defined] # the stubs lack it
    return code


class _Mask:
    __slots__ = ("_context", "_domain", "_method")

    def __init__(self, domain: str, method: Method, context: grpc.ServicerContext) -> None:
        self._domain = domain
        self._method = method
        self._context = context

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or not isinstance(error, Exception):
            return
        shown = as_notify_error(error, self._context)
        if shown is None:
            reference = secrets.token_hex(8)
            get_logger().error(
                "internal error", reference=reference, method=self._method.path, **describe_exception(error)
            )
            shown = NotifyError("INTERNAL", f"internal error (ref {reference})")
        elif failure_reason(error) is not None:
            get_logger().error("database failed", method=self._method.path, **describe_exception(error))
        answer = status.to_status(shown, self._domain, current.request_id.get())
        # abort raises; `from None` would not help, as gRPC itself drops that exception.
        self._context.abort_with_status(rpc_status.to_status(answer))

"""The frame of our server interceptors: one context manager a call, whatever kind of method it is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeAlias

import grpc

THREADS_OF_ITS_OWN = "experimental_thread_pool"
"""Attribute of a behaviour by which gRPC knows the pool that runs it instead of the server's."""

Behaviour = Callable[[Any, grpc.ServicerContext], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # a type with parameters for the checker alone
Around = Callable[[grpc.ServicerContext], AbstractContextManager[None]]


class Method(NamedTuple):
    """A method that is being served."""

    path: str
    """`/notify.admin.v1.UsersService/GetUser`."""
    service: str
    """`notify.admin.v1.UsersService`."""
    name: str
    """`GetUser`."""


class ServerInterceptor(grpc.ServerInterceptor, ABC):
    """Runs each call inside the context manager that `around` gives for its method.

    For a method with a stream of answers the context manager stays open until the last one is sent. Wrapped
    handlers are kept for each method, so that a call pays for the context manager alone.
    """

    def __init__(self) -> None:
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}

    @abstractmethod
    def around(self, method: Method) -> Around | None:
        """Return what makes the context manager of one call of `method`; None leaves the method alone."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the handler of a call; gRPC asks for each call."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        path = handler_call_details.method
        kept = self._wrapped.get(path)
        if kept is None or kept[0] is not handler:
            service, _, name = path.lstrip("/").rpartition("/")
            around = self.around(Method(path, service, name))
            kept = self._wrapped[path] = (handler, handler if around is None else _wrap(handler, around))
        return kept[1]


def _wrap(handler: "Handler", around: Around) -> "Handler":
    kind = ("stream" if handler.request_streaming else "unary") + (
        "_stream" if handler.response_streaming else "_unary"
    )
    behaviour: Behaviour = getattr(handler, kind)
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    around_it = _many(behaviour, around) if handler.response_streaming else _one(behaviour, around)
    pool = getattr(behaviour, THREADS_OF_ITS_OWN, None)
    if pool is not None:
        setattr(around_it, THREADS_OF_ITS_OWN, pool)
    wrapped: Handler = make(
        around_it,
        handler.request_deserializer,
        handler.response_serializer,
    )
    return wrapped


def _one(behaviour: Behaviour, around: Around) -> Behaviour:
    def one(request: Any, context: grpc.ServicerContext) -> Any:
        with around(context):
            return behaviour(request, context)

    return one


def _many(behaviour: Behaviour, around: Around) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
    def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with around(context):
            yield from behaviour(request, context)

    return many

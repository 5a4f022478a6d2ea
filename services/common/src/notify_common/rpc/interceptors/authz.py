"""Fourth on a server: only callers on the allow-list come in (design.md D12, §2.8)."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext

import grpc

from notify_common.errors import NotifyError
from notify_common.rpc import tls
from notify_common.rpc.interceptors.base import Around, Method, ServerInterceptor

_NOTHING: AbstractContextManager[None] = nullcontext()


class AuthzInterceptor(ServerInterceptor):
    """Compares the subject alternative names of the caller's certificate with the method's list.

    A method without a list of its own has its gRPC service's; without that it is closed to everyone.
    """

    def __init__(self, allowed: Mapping[str, Collection[str]], anyone: Collection[str] = ()) -> None:
        """Take in `allowed` the callers' names by gRPC service or `service/Method`; services in `anyone` need
        no more than a certificate.
        """
        super().__init__()
        self._allowed = {key: frozenset(names) for key, names in allowed.items()}
        self._anyone = frozenset(anyone)

    def around(self, method: Method) -> Around | None:
        """Guard every method of the services that are not open to anyone."""
        if method.service in self._anyone:
            return None
        of_service = self._allowed.get(method.service, frozenset())
        allowed = self._allowed.get(f"{method.service}/{method.name}", of_service)

        def guard(context: grpc.ServicerContext) -> AbstractContextManager[None]:
            if allowed.isdisjoint(tls.caller_names(context)):
                raise NotifyError(
                    "CALLER_NOT_ALLOWED", f"the caller may not call {method.service}/{method.name}"
                )
            return _NOTHING

        return guard

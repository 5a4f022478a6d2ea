"""Last on a server: how long the answer may take (design.md §2.7)."""

from contextlib import AbstractContextManager, nullcontext

import grpc

from notify_common import clock, current
from notify_common.errors import NotifyError
from notify_common.rpc import service_config
from notify_common.rpc.interceptors.base import Around, Method, ServerInterceptor

_WAY_BACK_SECONDS = 0.02
_LEAST_SECONDS = 0.1
_DAY_SECONDS = 86_400.0

_NOTHING: AbstractContextManager[None] = nullcontext()


class DeadlineInterceptor(ServerInterceptor):
    """Sets `current.deadline` to the caller's deadline less 20 ms for the way back.

    A call with under 100 ms left is refused: it would do work that nobody waits for. A caller that set no
    deadline gets the method's own.
    """

    def around(self, method: Method) -> Around:
        """Limit every method. Raises LookupError for one without a line in a service config."""
        own = service_config.timeout(method.path)

        def limit(context: grpc.ServicerContext) -> AbstractContextManager[None]:
            left = context.time_remaining()
            # A call without a deadline says about 9.2e18 seconds, not None.
            if left is None or left > _DAY_SECONDS:
                left = own
            elif left < _LEAST_SECONDS:
                raise NotifyError("DEADLINE_EXCEEDED", "too little time is left to begin")
            current.deadline.set(clock.monotonic() + left - _WAY_BACK_SECONDS)
            return _NOTHING

        return limit

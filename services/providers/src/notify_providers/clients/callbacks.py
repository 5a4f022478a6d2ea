"""Reading providers' calls to us, whoever they are from."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.logging import get_logger
from prometheus_client import Counter

from notify_providers.clients.base import (
    BringsTexts,
    Callback,
    ProviderSettings,
    ReadInbound,
    ReadReceipts,
    Rejected,
    SendsReceipts,
    error_answer,
)
from notify_providers.clients.registry import BY_NAME
from notify_providers.domain.budget import Budgets

_CALLBACKS = Counter("notify_provider_callbacks_total", "Calls of providers to us.", ["provider", "result"])

R = TypeVar("R")

_BURST_SECONDS: Final = 5.0
_REJECTED_A_SECOND: Final = 1.0
_REJECTED_AT_ONCE: Final = 60.0
_TOO_MANY: Final = error_answer(429, "Too many requests, try again later", Retry_After="5")


class CallbackReader:
    """Reads callbacks by the rules and settings of the providers that they are from, and not too many.

    Each process takes so many a second of a provider, and so many that can't be used of one address; the rest
    is told to come again. What is over the second bound is not logged either. Neither keeps out a call that
    has its provider's credentials because of others that have not.
    """

    def __init__(self, settings: Mapping[str, ProviderSettings], a_second: float) -> None:
        """Args:
        settings: those of each provider by its name.
        a_second: callbacks of one provider that are read in the long run; five times as many at once.
        """
        self._settings = settings
        self._all = Budgets(a_second, a_second * _BURST_SECONDS)
        self._rejected = Budgets(_REJECTED_A_SECOND, _REJECTED_AT_ONCE)

    def read_receipts(self, provider: str, callback: Callback) -> ReadReceipts:
        """Check who calls and read what they report.

        Raises:
            Rejected: it is not from the provider, can't be read, or is one too many.
            NotifyError: PROVIDER_NOT_FOUND, no provider of this name reports.
        """
        adapter = BY_NAME.get(provider)
        if not isinstance(adapter, SendsReceipts):
            raise NotifyError("PROVIDER_NOT_FOUND", "no provider of this name sends receipts")
        return self._read(provider, callback, adapter.read_receipts)

    def read_inbound(self, provider: str, callback: Callback) -> ReadInbound:
        """Check who calls and read the text that somebody sent to a number of ours.

        Raises:
            Rejected: it is not from the provider, can't be read, or is one too many.
            NotifyError: PROVIDER_NOT_FOUND, no provider of this name brings texts.
        """
        adapter = BY_NAME.get(provider)
        if not isinstance(adapter, BringsTexts):
            raise NotifyError("PROVIDER_NOT_FOUND", "no provider of this name brings texts")
        return self._read(provider, callback, adapter.read_inbound)

    def _read(self, provider: str, callback: Callback, rules: Callable[[Any, Callback], R]) -> R:
        now = clock.now().timestamp()
        try:
            read = rules(self._settings[provider], callback)
        except Rejected as rejected:
            if not self._rejected.take((provider, callback.client_address), now):
                _CALLBACKS.labels(provider, "throttled").inc()
                raise Rejected("too many that can't be used", _TOO_MANY) from None
            _CALLBACKS.labels(provider, "rejected").inc()
            get_logger().warning("callback rejected", provider=provider, reason=str(rejected))
            raise
        if not self._all.take(provider, now):
            _CALLBACKS.labels(provider, "throttled").inc()
            raise Rejected("too many", _TOO_MANY)
        _CALLBACKS.labels(provider, "read").inc()
        return read

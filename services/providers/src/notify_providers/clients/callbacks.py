"""Reading providers' calls to us, whoever they are from."""

from collections.abc import Mapping

from notify_common.errors import NotifyError

from notify_providers.clients.base import Callback, ProviderSettings, ReadReceipts
from notify_providers.clients.registry import BY_NAME


class CallbackReader:
    """Reads callbacks by the rules and settings of the providers that they are from."""

    def __init__(self, settings: Mapping[str, ProviderSettings]) -> None:
        """`settings` holds those of each provider by its name."""
        self._settings = settings

    def read_receipts(self, provider: str, callback: Callback) -> ReadReceipts:
        """Check who calls and read what they report.

        Raises:
            Rejected: it is not from the provider, or can't be read.
            NotifyError: PROVIDER_NOT_FOUND, no provider of this name reports.
        """
        adapter = BY_NAME.get(provider)
        if adapter is None or not adapter.reports:
            raise NotifyError("PROVIDER_NOT_FOUND", "no provider of this name sends receipts")
        return adapter.read_receipts(self._settings[provider], callback)

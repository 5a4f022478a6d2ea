"""Settings of providers for tests."""

from notify_providers.clients.base import ProviderSettings
from notify_providers.clients.registry import ADAPTERS


def provider_settings(**configured: ProviderSettings) -> dict[str, ProviderSettings]:
    """Return settings of all providers: those given, and the others left out."""
    return {adapter.name: adapter.settings() for adapter in ADAPTERS} | configured

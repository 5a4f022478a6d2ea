"""The providers that there are: a module beside this and a line here each (`docs/new-provider.md`)."""

from collections.abc import Mapping
from typing import Any, Final

from notify_common.enums import Channel
from notify_common.logging import describe_exception, get_logger
from notify_common.settings import load_settings

from notify_providers.clients.aws_sms import AwsSms
from notify_providers.clients.base import Adapter, NeedsUpkeep, ProviderClient, ProviderSettings, Tools
from notify_providers.clients.dvla import Dvla
from notify_providers.clients.firetext import Firetext
from notify_providers.clients.mmg import Mmg
from notify_providers.clients.print_drop import PrintDrop
from notify_providers.clients.sandbox import Sandbox
from notify_providers.clients.ses import Ses
from notify_providers.clients.smtp import Smtp
from notify_providers.clients.sqs import SqsQueue, SqsSettings
from notify_providers.clients.twilio import Twilio

ADAPTERS: Final[tuple[Adapter[Any], ...]] = (
    *(Sandbox(channel) for channel in Channel),
    Mmg(),
    Firetext(),
    Twilio(),
    AwsSms(),
    Ses(),
    Smtp(),
    Dvla(),
    PrintDrop(),
)

BY_NAME: Final[Mapping[str, Adapter[Any]]] = {adapter.name: adapter for adapter in ADAPTERS}


def load_provider_settings() -> dict[str, ProviderSettings]:
    """Return the settings of all providers from the environment, by name.

    Bad ones end the process with one sentence each on standard error; within `load_settings` together with
    what else is wrong.
    """
    return {adapter.name: load_settings(adapter.settings) for adapter in ADAPTERS}


def upkeep(settings: Mapping[str, ProviderSettings], tools: Tools) -> None:
    """Do what providers need done now and then; one that fails keeps no other from it."""
    for adapter in ADAPTERS:
        if not isinstance(adapter, NeedsUpkeep):
            continue
        try:
            adapter.upkeep(settings[adapter.name], tools)
        except Exception as error:
            get_logger().error("upkeep failed", provider=adapter.name, **describe_exception(error))


def receipt_queues(settings: Mapping[str, ProviderSettings]) -> dict[str, SqsQueue]:
    """Return the queues that receipts come by, by provider."""
    return {
        name: SqsQueue(found, found.receipt_queue_url)
        for name, found in settings.items()
        if isinstance(found, SqsSettings) and found.receipt_queue_url
    }


def clients(settings: Mapping[str, ProviderSettings], tools: Tools) -> dict[str, ProviderClient]:
    """Return clients of the providers that the settings configure, by name."""
    made = {adapter.name: adapter.client(settings[adapter.name], tools) for adapter in ADAPTERS}
    return {name: client for name, client in made.items() if client is not None}

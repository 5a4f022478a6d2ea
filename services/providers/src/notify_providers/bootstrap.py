"""Build the parts of a process from its settings; nothing here runs at import."""

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

from notify.providers.v1.dispatch_service_pb2_grpc import add_DispatchServiceServicer_to_server
from notify.providers.v1.provider_settings_service_pb2_grpc import (
    add_ProviderSettingsServiceServicer_to_server,
)
from notify.providers.v1.receipts_service_pb2_grpc import add_ReceiptsServiceServicer_to_server
from notify.providers.v1.sandbox_service_pb2_grpc import add_SandboxServiceServicer_to_server
from notify.providers.v1.suppressions_service_pb2_grpc import add_SuppressionsServiceServicer_to_server
from notify_common import process
from notify_common.enums import Channel
from notify_common.http import HttpCaller
from notify_common.leases.worker import LONGEST_IDLE_SECONDS, PROMPT_IDLE_SECONDS, Worker
from notify_common.ops.servicer import ops_registration
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration

from notify_providers.clients import registry
from notify_providers.clients.base import ProviderClient, Tools
from notify_providers.clients.callbacks import CallbackReader
from notify_providers.domain.routing import SANDBOX_BY_CHANNEL
from notify_providers.domain.suppression import AddressHash, address_hash
from notify_providers.servicers import dispatch, provider_settings, receipts, sandbox, suppressions
from notify_providers.settings import Settings
from notify_providers.store.tables import dispatch_queue, sandbox_receipt_queue
from notify_providers.usecases.dispatcher import Dispatcher
from notify_providers.usecases.ops import OPS
from notify_providers.usecases.print_drops import KeptDrops
from notify_providers.usecases.queued_receipts import record_queued
from notify_providers.usecases.sandbox import ISSUE_BATCH, issue_receipts, keep_messages
from notify_providers.usecases.secrets import KeptSecrets
from notify_providers.workers.balance import Balancer
from notify_providers.workers.housekeeping import Housekeeper
from notify_providers.workers.upkeep import Upkeep

QUEUES: Final = ("dispatch", "receipts", "sandbox", "housekeeping")
"""What `work --queues` takes."""

# A dispatcher has one transaction open at a time, and so have two queues of receipts, the sandbox, the three
# of housekeeping, the roll call and the health check.
_WORKER_CONNECTIONS: Final = 12
_HOUSEKEEPING_IDLE_SECONDS: Final = 5.0


@dataclass
class Parts(process.Parts[Settings]):
    """The parts of a process."""

    service = "providers"
    package = "notify_providers"
    ops = OPS

    dispatchers: list[Dispatcher] = field(default_factory=list)

    @cached_property
    def http(self) -> HttpCaller:
        """HTTP calls to providers: as many at once as the dispatchers of all channels can have under way."""
        connections = self.settings.dispatch_window * len(Channel)
        return HttpCaller(connections, self.settings.provider_timeout_seconds)

    @cached_property
    def clients(self) -> dict[str, ProviderClient]:
        """Clients of the providers that are configured, by name."""
        return registry.clients(self.settings.providers, self.tools)

    @cached_property
    def tools(self) -> Tools:
        """What clients are made from."""
        settings = self.settings
        keep = partial(keep_messages, self.uow, settings.sandbox_receipt_delay_seconds)
        key = settings.secrets_key
        secrets = KeptSecrets(self.uow, key.get_secret_value()) if key else None
        return Tools(self.http, keep, settings.provider_timeout_seconds, KeptDrops(self.uow), secrets)

    @property
    def live(self) -> frozenset[str]:
        """Names of the providers that take messages of live and team keys here."""
        sandboxes = frozenset(SANDBOX_BY_CHANNEL.values())
        names = frozenset(self.clients)
        return names if self.settings.sandbox_is_live else names - sandboxes

    @cached_property
    def hashed(self) -> AddressHash:
        """The hash by which suppressed addresses are known."""
        secret = self.settings.suppression_secret or self.settings.page_token_secret
        return address_hash(secret.get_secret_value().encode())

    def close(self) -> None:
        """Wait for calls under way, record them and close what is open."""
        for dispatcher in self.dispatchers:
            dispatcher.drain(self.settings.provider_timeout_seconds + 1)
        for client in self.__dict__.get("clients", {}).values():
            client.close()
        if "http" in self.__dict__:
            self.http.close()
        super().close()


def parts_for_server(settings: Settings) -> Parts:
    """Return the parts of the process that serves calls."""
    return Parts(settings, connections=settings.grpc_threads + 1)


def parts_for_workers(settings: Settings) -> Parts:
    """Return the parts of a process that runs workers."""
    return Parts(settings, connections=_WORKER_CONNECTIONS)


def registrations(parts: Parts) -> list[Registration]:
    """Return the gRPC services of this context."""
    settings = parts.settings
    pager = Pager(settings.page_token_secret.get_secret_value().encode())
    uow = parts.uow
    reader = CallbackReader(settings.providers, settings.callbacks_per_second)
    return [
        Registration(
            add_DispatchServiceServicer_to_server,
            dispatch.DispatchServicer(uow, pager, settings.retention_days),
            dispatch.SERVICE,
        ),
        Registration(
            add_ReceiptsServiceServicer_to_server,
            receipts.ReceiptsServicer(uow, reader),
            receipts.SERVICE,
        ),
        Registration(
            add_ProviderSettingsServiceServicer_to_server,
            provider_settings.ProviderSettingsServicer(uow, pager, parts.live),
            provider_settings.SERVICE,
        ),
        Registration(
            add_SuppressionsServiceServicer_to_server,
            suppressions.SuppressionsServicer(uow, parts.hashed),
            suppressions.SERVICE,
        ),
        Registration(
            add_SandboxServiceServicer_to_server, sandbox.SandboxServicer(uow, pager), sandbox.SERVICE
        ),
        ops_registration(OPS, uow, pager),
    ]


def workers(parts: Parts, queue: str) -> list[Worker]:
    """Return the workers of one of QUEUES."""
    match queue:
        case "dispatch":
            return [_dispatch_worker(parts, channel) for channel in Channel]
        case "receipts":
            return _receipt_workers(parts)
        case "sandbox":
            return [
                Worker(
                    "sandbox-receipts",
                    parts.uow,
                    issue_receipts,
                    full_batch=ISSUE_BATCH,
                    queue=sandbox_receipt_queue,
                )
            ]
        case _:
            housekeeper = Housekeeper(parts.settings)
            upkeep = Upkeep(lambda: registry.upkeep(parts.settings.providers, parts.tools))
            return [
                Worker(
                    "upkeep",
                    parts.uow,
                    upkeep.step,
                    longest_idle_seconds=_HOUSEKEEPING_IDLE_SECONDS,
                ),
                Worker(
                    "balance",
                    parts.uow,
                    Balancer(parts.live).step,
                    longest_idle_seconds=_HOUSEKEEPING_IDLE_SECONDS,
                ),
                Worker(
                    "housekeeping",
                    parts.uow,
                    housekeeper.step,
                    longest_idle_seconds=_HOUSEKEEPING_IDLE_SECONDS,
                ),
            ]


def _receipt_workers(parts: Parts) -> list[Worker]:
    """Make one worker for each provider whose receipts wait in a queue; none where none do."""
    settings = parts.settings
    reader = CallbackReader(settings.providers, settings.callbacks_per_second)
    return [
        Worker(
            f"receipts-{name}", parts.uow, partial(record_queued, reader=reader, provider=name, queue=queue)
        )
        for name, queue in registry.receipt_queues(settings.providers).items()
    ]


def _dispatch_worker(parts: Parts, channel: Channel) -> Worker:
    """Make the worker of one channel, so that a slow provider of one holds up none of another."""
    settings = parts.settings
    dispatcher = Dispatcher(
        parts.uow,
        channel,
        parts.clients,
        parts.live,
        parts.hashed,
        window=settings.dispatch_window,
        call_seconds=settings.provider_timeout_seconds,
        retry_interval=settings.retry_interval_seconds,
        least_calls=settings.health_least_calls,
    )
    parts.dispatchers.append(dispatcher)
    longest = LONGEST_IDLE_SECONDS if channel is Channel.LETTER else PROMPT_IDLE_SECONDS
    return Worker(
        f"dispatch-{channel}",
        parts.uow,
        lambda _: dispatcher.step(),
        queue=dispatch_queue,
        filters={"channel": channel},
        longest_idle_seconds=longest,
    )

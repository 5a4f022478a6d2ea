"""Builds the parts of a process from its settings; nothing here runs at import."""

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

from notify.providers.v1.dispatch_service_pb2_grpc import add_DispatchServiceServicer_to_server
from notify.providers.v1.provider_settings_service_pb2_grpc import (
    add_ProviderSettingsServiceServicer_to_server,
)
from notify.providers.v1.receipts_service_pb2_grpc import add_ReceiptsServiceServicer_to_server
from notify.providers.v1.sandbox_service_pb2_grpc import add_SandboxServiceServicer_to_server
from notify_common import process
from notify_common.leases.worker import Worker
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration

from notify_providers.clients.base import ProviderClient
from notify_providers.clients.http import HttpCaller
from notify_providers.clients.mmg import MmgClient
from notify_providers.clients.sandbox import SandboxClient
from notify_providers.domain.message import CHANNELS
from notify_providers.domain.routing import SANDBOX_BY_CHANNEL
from notify_providers.servicers import dispatch, provider_settings, receipts, sandbox
from notify_providers.settings import Settings
from notify_providers.store.tables import dispatch_queue, sandbox_receipt_queue
from notify_providers.usecases.sandbox import ISSUE_BATCH, issue_receipts, keep_messages
from notify_providers.usecases.send import Sender
from notify_providers.workers.housekeeping import Housekeeper

QUEUES: Final = ("dispatch", "sandbox", "housekeeping")
"""What `work --queues` takes."""

# A sender has one transaction open at a time, and so have the sandbox, housekeeping and the health check.
_WORKER_CONNECTIONS: Final = 8
_HOUSEKEEPING_IDLE_SECONDS: Final = 5.0


@dataclass
class Parts(process.Parts[Settings]):
    """The parts of a process."""

    service = "providers"

    senders: list[Sender] = field(default_factory=list)

    @cached_property
    def http(self) -> HttpCaller:
        """HTTP calls to providers: as many at once as the senders of all channels can have under way."""
        connections = self.settings.dispatch_window * len(CHANNELS)
        return HttpCaller(connections, self.settings.provider_timeout_seconds)

    @cached_property
    def clients(self) -> dict[str, ProviderClient]:
        """Clients of the providers that are configured, by name."""
        settings = self.settings
        keep = partial(keep_messages, self.uow, settings.sandbox_receipt_delay_seconds)
        clients: list[ProviderClient] = [SandboxClient(name, keep) for name in SANDBOX_BY_CHANNEL.values()]
        if settings.mmg_url and settings.mmg_api_key:
            receipt_url = settings.mmg_receipt_url.get_secret_value() if settings.mmg_receipt_url else ""
            key = settings.mmg_api_key.get_secret_value()
            clients.append(MmgClient(self.http, settings.mmg_url, key, receipt_url))
        return {client.name: client for client in clients}

    @property
    def live(self) -> frozenset[str]:
        """Names of the providers that take messages of live and team keys here."""
        sandboxes = frozenset(SANDBOX_BY_CHANNEL.values())
        names = frozenset(self.clients)
        return names if self.settings.sandbox_is_live else names - sandboxes

    def close(self) -> None:
        """Waits for calls under way, records them and closes what is open."""
        for sender in self.senders:
            sender.drain(self.settings.provider_timeout_seconds + 1)
        if "http" in self.__dict__:
            self.http.close()
        super().close()


def parts_for_server(settings: Settings) -> Parts:
    """Parts of the process that serves calls."""
    return Parts(settings, connections=settings.grpc_threads + 1)


def parts_for_workers(settings: Settings) -> Parts:
    """Parts of a process that runs workers."""
    return Parts(settings, connections=_WORKER_CONNECTIONS)


def registrations(parts: Parts) -> list[Registration]:
    """The gRPC services of this context."""
    pager = Pager(parts.settings.page_token_secret.get_secret_value().encode())
    uow = parts.uow
    return [
        Registration(
            add_DispatchServiceServicer_to_server, dispatch.DispatchServicer(uow, pager), dispatch.SERVICE
        ),
        Registration(add_ReceiptsServiceServicer_to_server, receipts.ReceiptsServicer(uow), receipts.SERVICE),
        Registration(
            add_ProviderSettingsServiceServicer_to_server,
            provider_settings.ProviderSettingsServicer(uow, pager),
            provider_settings.SERVICE,
        ),
        Registration(
            add_SandboxServiceServicer_to_server, sandbox.SandboxServicer(uow, pager), sandbox.SERVICE
        ),
    ]


def workers(parts: Parts, queue: str) -> list[Worker]:
    """The workers of one of QUEUES."""
    match queue:
        case "dispatch":
            return [_dispatch_worker(parts, channel) for channel in CHANNELS]
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
            return [
                Worker(
                    "housekeeping",
                    parts.uow,
                    housekeeper.step,
                    longest_idle_seconds=_HOUSEKEEPING_IDLE_SECONDS,
                )
            ]


def _dispatch_worker(parts: Parts, channel: str) -> Worker:
    """One a channel, so that a slow provider of one holds up none of another."""
    settings = parts.settings
    sender = Sender(
        parts.uow,
        channel,
        parts.clients,
        parts.live,
        window=settings.dispatch_window,
        call_seconds=settings.provider_timeout_seconds,
        retry_interval=settings.retry_interval_seconds,
    )
    parts.senders.append(sender)
    # All channels share one table, which one of them measures for all.
    queue = dispatch_queue if channel == CHANNELS[0] else None
    return Worker(f"dispatch-{channel}", parts.uow, lambda _: sender.step(), queue=queue)

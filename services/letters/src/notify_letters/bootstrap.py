"""Builds the parts of a process from its settings; nothing here runs at import."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final

from notify.admin.v1.config_feed_service_pb2_grpc import ConfigFeedServiceStub
from notify.letters.v1.letters_service_pb2_grpc import add_LettersServiceServicer_to_server
from notify.letters.v1.print_runs_service_pb2_grpc import add_PrintRunsServiceServicer_to_server
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common import process
from notify_common.blobs.s3 import BlobStore
from notify_common.leases.table import Queue
from notify_common.leases.worker import Worker
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration
from notify_common.snapshots.cache import SnapshotCache

from notify_letters.clients.admin import AdminClient
from notify_letters.clients.broker import RENDER, RENDER_BATCH, SUBMIT, SUBMIT_BATCH, Broker
from notify_letters.clients.providers import ProvidersClient
from notify_letters.domain.template import TemplateKey
from notify_letters.pdf.layout import LetterLayout
from notify_letters.pdf.typesetter import Typesetter
from notify_letters.servicers.letters import LettersServicer
from notify_letters.servicers.print_runs import PrintRunsServicer
from notify_letters.settings import Settings
from notify_letters.store.tables import print_batches, render_batches
from notify_letters.usecases.render_batch import RenderBatch
from notify_letters.usecases.submit_batch import SubmitBatch
from notify_letters.workers.housekeeping import Housekeeper
from notify_letters.workers.relay import Relay

QUEUES: Final = ("relay", "housekeeping")
"""What `work --queues` takes."""

_LAYOUTS: Final = 500
_WORKER_CONNECTIONS: Final = 4
_HOUSEKEEPING_IDLE_SECONDS: Final = 5.0
_TASK_CONNECTIONS: Final = 1


@dataclass
class Parts(process.Parts[Settings]):
    """The parts that the commands and tasks use."""

    service = "letters"

    @cached_property
    def blobs(self) -> BlobStore:
        """The store of the PDFs."""
        settings = self.settings
        return BlobStore(
            settings.blob_endpoint,
            settings.blob_bucket,
            settings.blob_access_key,
            settings.blob_secret_key.get_secret_value(),
            region=settings.blob_region,
        )

    @cached_property
    def render_queue(self) -> Queue:
        """Batches of letters without a PDF."""
        return Queue(render_batches, ["id"], self.settings.lease_seconds)

    @cached_property
    def submit_queue(self) -> Queue:
        """Batches of letters for the printer."""
        return Queue(print_batches, ["id"], self.settings.lease_seconds)

    @cached_property
    def render_batch(self) -> RenderBatch:
        """The use case behind the task of that name."""
        return RenderBatch(self.uow, self.render_queue, self._layouts(), Typesetter(), self.blobs)

    @cached_property
    def submit_batch(self) -> SubmitBatch:
        """The use case behind the task of that name."""
        channel = self.channels.get("providers", self.settings.providers_target)
        providers = ProvidersClient(DispatchServiceStub(channel), self.settings.lease_seconds / 2)
        return SubmitBatch(self.uow, self.submit_queue, providers)

    def _layouts(self) -> SnapshotCache[TemplateKey, LetterLayout]:
        channel = self.channels.get("admin", self.settings.admin_target)
        admin = AdminClient(ConfigFeedServiceStub(channel))

        def load(keys: list[TemplateKey]) -> dict[TemplateKey, LetterLayout | None]:
            versions = admin.template_versions(keys)
            return {key: LetterLayout(version) if version else None for key, version in versions.items()}

        return SnapshotCache("letter-layouts", load, max_entries=_LAYOUTS, immutable=lambda key: True)


def parts_for_server(settings: Settings) -> Parts:
    """Parts of the process that serves calls."""
    return Parts(settings, connections=settings.grpc_threads + 1)


def parts_for_workers(settings: Settings) -> Parts:
    """Parts of a process that runs workers."""
    return Parts(settings, connections=_WORKER_CONNECTIONS)


def parts_for_tasks(settings: Settings) -> Parts:
    """Parts of one process of a Celery worker, which runs one task at a time."""
    return Parts(settings, connections=_TASK_CONNECTIONS)


def registrations(parts: Parts) -> Sequence[Registration]:
    """The servicers of this context."""
    pager = Pager(parts.settings.page_token_secret.get_secret_value().encode())
    return [
        Registration(
            add_LettersServiceServicer_to_server,
            LettersServicer(parts.uow, parts.blobs),
            "notify.letters.v1.LettersService",
        ),
        Registration(
            add_PrintRunsServiceServicer_to_server,
            PrintRunsServicer(parts.uow, pager),
            "notify.letters.v1.PrintRunsService",
        ),
    ]


def workers(parts: Parts, broker: Broker, queue: str) -> list[Worker]:
    """The workers of one of QUEUES."""
    if queue == "relay":
        return _relay_workers(parts, broker)
    step = Housekeeper(parts.settings.event_keep_days).step
    return [Worker("housekeeping", parts.uow, step, longest_idle_seconds=_HOUSEKEEPING_IDLE_SECONDS)]


def _relay_workers(parts: Parts, broker: Broker) -> list[Worker]:
    """The relay: one worker a table of batches, so that neither waits for the other."""
    settings = parts.settings
    resend_after = timedelta(seconds=settings.resend_seconds)
    render = Relay(render_batches, RENDER_BATCH, RENDER, broker, resend_after, settings.max_waiting_tasks)
    submit = Relay(print_batches, SUBMIT_BATCH, SUBMIT, broker, resend_after, settings.max_waiting_tasks)
    return [
        Worker("relay-render", parts.uow, render, queue=parts.render_queue),
        Worker("relay-submit", parts.uow, submit, queue=parts.submit_queue),
    ]

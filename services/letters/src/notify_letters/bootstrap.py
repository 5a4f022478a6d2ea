"""Builds the parts of a process from its settings; nothing here runs at import.

What draws and typesets pages is imported by those processes alone that do it: it takes 20 MB of each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from notify.admin.v1.config_feed_service_pb2_grpc import ConfigFeedServiceStub
from notify.letters.v1.letters_service_pb2_grpc import add_LettersServiceServicer_to_server
from notify.letters.v1.previews_service_pb2_grpc import add_PreviewsServiceServicer_to_server
from notify.letters.v1.print_runs_service_pb2_grpc import add_PrintRunsServiceServicer_to_server
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common import clock, process
from notify_common.blobs.s3 import BlobStore
from notify_common.clamd import Scanner, scanner_of
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import FairQueue, Queue
from notify_common.leases.worker import Worker
from notify_common.ops.servicer import ops_registration
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration, apart
from notify_common.snapshots.cache import SnapshotCache

from notify_letters.clients.admin import AdminClient
from notify_letters.clients.broker import RENDER, RENDER_BATCH, SUBMIT, SUBMIT_BATCH, Broker
from notify_letters.clients.providers import ProvidersClient
from notify_letters.domain.manifest import Signer
from notify_letters.domain.print_run import PrintRun, Schedule
from notify_letters.domain.template import TemplateKey
from notify_letters.pdf.reader import Limits, PdfReader
from notify_letters.settings import Settings
from notify_letters.store.batches import queue_to_enqueue, queue_to_work
from notify_letters.store.pdf_checks import check_queue
from notify_letters.store.tables import print_batches, render_batches
from notify_letters.usecases.check_precompiled import check_next
from notify_letters.usecases.collect_print_run import collect_slice
from notify_letters.usecases.complete_print_run import complete_print_run
from notify_letters.usecases.ops import OPS
from notify_letters.usecases.start_print_run import start_daily_print_run
from notify_letters.usecases.submit_batch import submit_batch
from notify_letters.usecases.template_assets import Attachments, Logos
from notify_letters.workers.housekeeping import Housekeeper
from notify_letters.workers.print_run_meter import PrintRunMeter
from notify_letters.workers.relay import SEND_AT_ONCE, BatchRelay
from notify_letters.workers.retention import Retention

if TYPE_CHECKING:
    from notify_letters.pdf.layout import LetterLayout
    from notify_letters.pdf.typesetter import Typesetter
    from notify_letters.usecases.render_batch import Assets

QUEUES: Final = ("relay", "checks", "print-runs", "housekeeping")
"""What `work --queues` takes."""

_LAYOUTS: Final = 500
_SERVICES: Final = 5_000
_WORKER_CONNECTIONS: Final = 7
_SCAN_SECONDS: Final = 30.0
_STORE_SECONDS: Final = 60.0
"""What fetching and storing a PDF may take besides scanning and checking it."""
_HOUSEKEEPING_IDLE_SECONDS: Final = 5.0
_COMPLETING_IDLE_SECONDS: Final = 1.0
_TASK_CONNECTIONS: Final = 1
_PREVIEW_CPU_SECONDS: Final = 8
"""Processor time of a preview; three times that on the clock is within the gateway's patience."""
_PREVIEW_THREADS: Final = 4
"""Calls of a kind of preview that wait for a process or have one."""


@dataclass
class Parts(process.Parts[Settings]):
    """The parts that the commands and tasks use."""

    service = "letters"
    package = "notify_letters"
    ops = OPS

    @cached_property
    def blobs(self) -> BlobStore:
        """The store of the PDFs."""
        return self._bucket(self.settings.blob_bucket)

    @cached_property
    def attachments(self) -> BlobStore | None:
        """The store of the PDFs that are attached to templates."""
        bucket = self.settings.attachment_bucket
        return self._bucket(bucket) if bucket else None

    @cached_property
    def logos(self) -> Logos:
        """The logos of letter brandings."""
        bucket = self.settings.logo_bucket
        return Logos(self._bucket(bucket) if bucket else None)

    @cached_property
    def _assets(self) -> "Assets":
        from notify_letters.usecases.render_batch import Assets

        service_logos = SnapshotCache("letter-logos", self._admin.letter_logos, max_entries=_SERVICES)
        attachments = Attachments(self.blobs, self.attachments, self.pdf_reader)
        return Assets(attachments, self.logos, service_logos)

    @cached_property
    def uploads(self) -> BlobStore | None:
        """The store of the letters that people upload in the admin web app."""
        bucket = self.settings.transient_upload_bucket
        return self._bucket(bucket) if bucket else None

    def _bucket(self, name: str) -> BlobStore:
        settings = self.settings
        return BlobStore(
            settings.blob_endpoint,
            name,
            settings.blob_access_key,
            settings.blob_secret_key.get_secret_value(),
            region=settings.blob_region,
        )

    @cached_property
    def render_queue(self) -> Queue:
        """Batches of letters without a PDF."""
        return queue_to_work(render_batches, self.settings.lease_seconds)

    @cached_property
    def submit_queue(self) -> Queue:
        """Batches of letters for the printer."""
        return queue_to_work(print_batches, self.settings.lease_seconds)

    def check_queue(self) -> FairQueue:
        """Make the queue of letters whose ready-made PDF is to be checked, for one worker.

        A letter is leased for as long as its check may take.
        """
        return check_queue(2 * _SCAN_SECONDS + self.pdf_reader.limits.seconds + _STORE_SECONDS)

    @cached_property
    def pdf_reader(self) -> PdfReader:
        """What reads strangers' PDFs."""
        settings = self.settings
        limits = Limits(settings.check_cpu_seconds, settings.check_memory_mib)
        return PdfReader(limits, settings.font_dirs)

    @cached_property
    def preview_reader(self) -> PdfReader:
        """What makes previews, for people who wait for them."""
        settings = self.settings
        limits = Limits(min(settings.check_cpu_seconds, _PREVIEW_CPU_SECONDS), settings.check_memory_mib)
        return PdfReader(limits, settings.font_dirs)

    @cached_property
    def scanner(self) -> Scanner | None:
        """What finds viruses; None where they are not looked for."""
        return scanner_of(self.settings.clamd_address, _SCAN_SECONDS)

    def check_step(self, queue: FairQueue) -> Callable[[UnitOfWork], int]:
        """Return what a worker of the queue `checks` does."""
        return partial(
            check_next,
            queue=queue,
            blobs=self.blobs,
            uploads=self.uploads,
            scanner=self.scanner,
            reader=self.pdf_reader,
        )

    @cached_property
    def signer(self) -> Signer:
        """What signs the manifests."""
        secret = self.settings.manifest_signing_seed or self.settings.page_token_secret
        return Signer.of_secret(secret.get_secret_value())

    @cached_property
    def schedule(self) -> Schedule:
        """When the day's print run is."""
        return Schedule(self.settings.print_deadline, self.settings.print_start)

    def render_batch(self, batch_id: str) -> bool:
        """Return what the task of that name does."""
        from notify_letters.usecases.render_batch import render_batch

        return render_batch(
            self.uow,
            self.render_queue,
            self._layouts,
            self._assets,
            self._typesetter,
            self.blobs,
            batch_id,
        )

    def submit_batch(self, batch_id: str) -> bool:
        """Return what the task of that name does."""
        return submit_batch(
            self.uow,
            self.submit_queue,
            self.blobs,
            self.signer,
            self.retention_days,
            self._providers,
            batch_id,
        )

    def start_daily_print_run(self) -> PrintRun | None:
        """Return what the task of that name does."""
        return start_daily_print_run(self.uow, self.schedule, clock.now())

    @cached_property
    def retention_days(self) -> SnapshotCache[str, int]:
        """For how many days services keep letters, as admin said within the last minute."""
        return SnapshotCache("letter-retention", self._admin.retention_days, max_entries=_SERVICES)

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient(ConfigFeedServiceStub(self.channels.get("admin", self.settings.admin_target)))

    @cached_property
    def _typesetter(self) -> "Typesetter":
        from notify_letters.pdf.fonts import Fonts
        from notify_letters.pdf.typesetter import LetterHead, Typesetter

        return Typesetter(Fonts(self.settings.font_dirs), LetterHead(*self.head))

    @cached_property
    def head(self) -> tuple[str, str, str]:
        """What stands at the top of letters: the fields of `typesetter.LetterHead`."""
        settings = self.settings
        logo = settings.brand_logo_file.read_text() if settings.brand_logo_file else ""
        return settings.brand_name, logo, settings.brand_colour

    @cached_property
    def _providers(self) -> ProvidersClient:
        channel = self.channels.get("providers", self.settings.providers_target)
        return ProvidersClient(DispatchServiceStub(channel), self.settings.lease_seconds / 2)

    @cached_property
    def _layouts(self) -> "SnapshotCache[TemplateKey, LetterLayout]":
        from notify_letters.pdf.layout import LetterLayout

        def load(keys: list[TemplateKey]) -> dict[TemplateKey, LetterLayout | None]:
            versions = self._admin.template_versions(keys)
            return {key: LetterLayout(version) if version else None for key, version in versions.items()}

        return SnapshotCache("letter-layouts", load, max_entries=_LAYOUTS, immutable=lambda key: True)


def parts_for_server(settings: Settings) -> Parts:
    """Return the parts of the process that serves calls."""
    return Parts(settings, connections=settings.grpc_threads + 1)


def parts_for_workers(settings: Settings) -> Parts:
    """Return the parts of a process that runs workers."""
    return Parts(settings, connections=_WORKER_CONNECTIONS + settings.check_processes)


def parts_for_tasks(settings: Settings) -> Parts:
    """Return the parts of one process of a Celery worker, which runs one task at a time."""
    return Parts(settings, connections=_TASK_CONNECTIONS)


def registrations(parts: Parts) -> Sequence[Registration]:
    """Return the servicers of this context."""
    from notify_letters.servicers.letters import LettersServicer
    from notify_letters.servicers.previews import PreviewsServicer
    from notify_letters.servicers.print_runs import PrintRunsServicer

    settings = parts.settings
    pager = Pager(settings.page_token_secret.get_secret_value().encode())
    previews = PreviewsServicer(
        parts.preview_reader, parts.attachments, parts.logos, parts.head, settings.preview_processes
    )
    # Whoever waits for a preview waits for others who look, not for those who print.
    for name in ("RenderPreview", "DrawPdf", "SanitisePdf", "GetAttachmentPageImage"):
        setattr(previews, name, apart(getattr(previews, name), _PREVIEW_THREADS, "preview"))
    return [
        Registration(
            add_LettersServiceServicer_to_server,
            LettersServicer(parts.uow, parts.blobs, parts.uploads, parts.pdf_reader, pager),
            "notify.letters.v1.LettersService",
        ),
        Registration(add_PreviewsServiceServicer_to_server, previews, "notify.letters.v1.PreviewsService"),
        Registration(
            add_PrintRunsServiceServicer_to_server,
            PrintRunsServicer(parts.uow, pager),
            "notify.letters.v1.PrintRunsService",
        ),
        ops_registration(OPS, parts.uow, pager),
    ]


def workers(parts: Parts, broker: Broker, queue: str) -> list[Worker]:
    """Return the workers of one of QUEUES."""
    settings, uow = parts.settings, parts.uow
    match queue:
        case "relay":
            return _relay_workers(parts, broker)
        case "checks":
            return _check_workers(parts)
        case "print-runs":
            complete = partial(complete_print_run, blobs=parts.blobs, signer=parts.signer)
            return [
                Worker("collect-print-run", uow, collect_slice),
                Worker("complete-print-run", uow, complete, longest_idle_seconds=_COMPLETING_IDLE_SECONDS),
            ]
        case _:
            housekeeper = Housekeeper(
                parts.blobs,
                settings.event_keep_days,
                settings.letter_record_keep_days,
                settings.upload_keep_days,
            )
            steps = {
                "housekeeping": housekeeper.step,
                "retention": Retention(parts.blobs, parts.retention_days).step,
                "print-run-meter": PrintRunMeter().step,
            }
            return [
                Worker(name, uow, step, longest_idle_seconds=_HOUSEKEEPING_IDLE_SECONDS)
                for name, step in steps.items()
            ]


def _check_workers(parts: Parts) -> list[Worker]:
    """Make as many workers as PDFs are checked at the same time; the first one measures the queue."""
    queues = [parts.check_queue() for _ in range(parts.settings.check_processes)]
    return [
        Worker(f"checks-{number}", parts.uow, parts.check_step(queue), queue=queue if number == 1 else None)
        for number, queue in enumerate(queues, 1)
    ]


def _relay_workers(parts: Parts, broker: Broker) -> list[Worker]:
    """Return the relay: one worker a table of batches, so that neither waits for the other."""
    settings = parts.settings
    resend_after = timedelta(seconds=settings.resend_seconds)

    def worker(name: str, batches: Queue, task: str, celery_queue: str) -> Worker:
        due = queue_to_enqueue(batches.table, resend_after)
        relay = BatchRelay(due, task, celery_queue, broker, settings.max_waiting_tasks)
        return Worker(name, parts.uow, relay.send_due, full_batch=SEND_AT_ONCE, queue=due)

    return [
        worker("relay-render", parts.render_queue, RENDER_BATCH, RENDER),
        worker("relay-submit", parts.submit_queue, SUBMIT_BATCH, SUBMIT),
    ]

"""Builds the parts of a process from its settings; nothing here runs at import."""

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Final

import redis
from notify.admin.v1.platform_mail_service_pb2 import PlatformMail
from notify.notifications.v1.batches_service_pb2_grpc import add_BatchesServiceServicer_to_server
from notify.notifications.v1.callbacks_service_pb2_grpc import add_CallbacksServiceServicer_to_server
from notify.notifications.v1.files_service_pb2_grpc import add_FilesServiceServicer_to_server
from notify.notifications.v1.inbound_sms_service_pb2_grpc import add_InboundSmsServiceServicer_to_server
from notify.notifications.v1.jobs_service_pb2_grpc import add_JobsServiceServicer_to_server
from notify.notifications.v1.notifications_service_pb2_grpc import add_NotificationsServiceServicer_to_server
from notify.notifications.v1.statistics_service_pb2_grpc import add_StatisticsServiceServicer_to_server
from notify.notifications.v1.unsubscribe_service_pb2_grpc import add_UnsubscribeServiceServicer_to_server
from notify.notifications.v1.usage_service_pb2_grpc import add_UsageServiceServicer_to_server
from notify_common import process
from notify_common.blobs.s3 import BlobStore
from notify_common.clamd import scanner_of
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import CallbackType
from notify_common.feeds.consumer import FeedConsumer
from notify_common.feeds.intake import Intake
from notify_common.http import HttpCaller
from notify_common.leases.worker import PROMPT_IDLE_SECONDS, Worker
from notify_common.ops.servicer import ops_registration
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration, apart
from redis.backoff import NoBackoff
from redis.retry import Retry

from notify_notifications.clients.callback_targets import CallbackTargets
from notify_notifications.clients.events import PAGE_SIZE, DeliveryEvents, LetterEvents
from notify_notifications.clients.inbound_sms import InboundNumbers, InboundSmsFeed
from notify_notifications.clients.letters import LettersClient
from notify_notifications.clients.platform_mail import PlatformMailFeed
from notify_notifications.clients.previews import PreviewsClient
from notify_notifications.clients.providers import ProvidersClient
from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.addresses import may_be_called
from notify_notifications.domain.hand_over import Destination
from notify_notifications.domain.inbound_sms import InboundSms
from notify_notifications.servicers import (
    batches,
    callbacks,
    files,
    inbound_sms,
    jobs,
    statistics,
    unsubscribe,
    usage,
)
from notify_notifications.servicers.batches import BatchesServicer
from notify_notifications.servicers.callbacks import CallbacksServicer
from notify_notifications.servicers.files import FilesServicer
from notify_notifications.servicers.inbound_sms import InboundSmsServicer
from notify_notifications.servicers.jobs import JobsServicer
from notify_notifications.servicers.notifications import SERVICE, NotificationsServicer
from notify_notifications.servicers.statistics import StatisticsServicer
from notify_notifications.servicers.unsubscribe import UnsubscribeServicer
from notify_notifications.servicers.usage import UsageServicer
from notify_notifications.settings import Settings
from notify_notifications.store.acceptance import AcceptanceStore
from notify_notifications.store.counters import CounterStore
from notify_notifications.store.inbound_sms import InboundSmsStore
from notify_notifications.store.limits import LimitStore
from notify_notifications.store.notifications import NotificationStore
from notify_notifications.store.outbox import MOST_ROWS
from notify_notifications.store.tables import callback_queue, feed_cursors, job_queue, outbox_queue
from notify_notifications.usecases.call_services import ServiceCaller
from notify_notifications.usecases.callbacks import record_and_tell
from notify_notifications.usecases.files import (
    FileParts,
    remove_expired_copies,
    remove_expired_files,
    settle_files,
)
from notify_notifications.usecases.hand_over import letter_relay, message_relay
from notify_notifications.usecases.ops import OPS
from notify_notifications.usecases.run_jobs import JobRunner
from notify_notifications.usecases.send import SendingParts
from notify_notifications.usecases.take_in_inbound_sms import inbound_sms_consumer
from notify_notifications.workers import recount
from notify_notifications.workers.callbacks import delete_old_callbacks
from notify_notifications.workers.contact_lists import ContactListRemoval
from notify_notifications.workers.housekeeping import Housekeeper
from notify_notifications.workers.jobs import JobRetention
from notify_notifications.workers.platform_mail import platform_mail_consumer
from notify_notifications.workers.retention import Retention, inbound_sms_retention

QUEUES: Final = ("relay", "feeds", "callbacks", "jobs", "housekeeping")
"""What `work --queues` takes."""

_WORKER_CONNECTIONS: Final = 16
_READING_THREADS: Final = 2
_FILE_THREADS: Final = 4
_BLOB_SECONDS: Final = 5.0
_SCAN_SECONDS: Final = 5.0
"""Longest waits for store and scanner: a client that sends files has 10 s in all."""
_HOUSEKEEPING_IDLE_SECONDS: Final = 5.0


@dataclass
class Parts(process.Parts[Settings]):
    """The parts that both commands use."""

    service = "notifications"
    package = "notify_notifications"
    ops = OPS

    callers: list[ServiceCaller] = field(default_factory=list)

    @cached_property
    def snapshots(self) -> Snapshots:
        """Services and templates."""
        return Snapshots(self.channels.get("admin", self.settings.admin_target))

    @cached_property
    def limit_store(self) -> LimitStore:
        """Redis."""
        timeout = self.settings.redis_timeout_seconds
        client = redis.Redis.from_url(
            self.settings.redis_url.get_secret_value(),
            decode_responses=True,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # a check that fails is skipped; trying again would only make the sender wait
            retry=Retry(NoBackoff(), 0),
        )
        return LimitStore(client)

    @cached_property
    def counters(self) -> CounterStore:
        """The day's counters."""
        return CounterStore(self.uow)

    @cached_property
    def acceptance(self) -> AcceptanceStore:
        """Where accepted messages are stored."""
        return AcceptanceStore(self.settings.database_url.get_secret_value())

    @cached_property
    def blobs(self) -> BlobStore | None:
        """The bucket of files that emails link to."""
        return self._bucket(self.settings.file_bucket)

    @cached_property
    def template_files(self) -> BlobStore | None:
        """The bucket of files of email templates, which the admin web app fills."""
        return self._bucket(self.settings.template_file_bucket)

    @cached_property
    def job_files(self) -> BlobStore | None:
        """The bucket of spreadsheets, which the admin web app fills."""
        return self._bucket(self.settings.job_bucket)

    @cached_property
    def contact_list_files(self) -> BlobStore | None:
        """The bucket of contact lists, which the admin web app fills."""
        return self._bucket(self.settings.contact_list_bucket)

    def _bucket(self, name: str | None) -> BlobStore | None:
        settings = self.settings
        if name is None:
            return None
        return BlobStore(
            settings.blob_endpoint,
            name,
            settings.blob_access_key,
            settings.blob_secret_key.get_secret_value(),
            region=settings.blob_region,
            timeout_seconds=_BLOB_SECONDS,
        )

    @cached_property
    def files(self) -> FileParts | None:
        """What keeps those files."""
        if self.blobs is None:
            return None
        scanner = scanner_of(self.settings.clamd_address or "off", _SCAN_SECONDS)
        return FileParts(self.uow, self.blobs, scanner, self.template_files)

    @cached_property
    def recount_uow(self) -> UnitOfWork:
        """The database, for statements that take long and are in no hurry."""
        return recount_uow(self.settings)

    @cached_property
    def callback_targets(self) -> CallbackTargets:
        """Where services are called."""
        targets = CallbackTargets(self.channels.get("admin", self.settings.admin_target))
        self.snapshots.follow_services(targets.evict, targets.clear)
        return targets

    @cached_property
    def http(self) -> HttpCaller:
        """Calls of services: as many at once as the callers of all kinds can have under way."""
        settings = self.settings
        return HttpCaller(
            settings.callback_window * len(CallbackType),
            settings.callback_timeout_seconds,
            ca_file=str(settings.callback_ca_file or ""),
            may_connect=partial(may_be_called, allowed=settings.callback_networks),
        )

    def start(self) -> None:
        """Follow the changes of services and templates."""
        self.snapshots.poller.start()

    def close(self) -> None:
        """Wait for calls of services that are under way, record them, and end and close what was made."""
        for caller in self.callers:
            caller.drain(self.settings.callback_timeout_seconds + 1)
        if "http" in self.__dict__:
            self.http.close()
        if "snapshots" in self.__dict__:
            self.snapshots.poller.stop()
        if "acceptance" in self.__dict__:
            self.acceptance.close()
        if "recount_uow" in self.__dict__:
            self.recount_uow.engine.dispose()
        super().close()


def recount_uow(settings: Settings) -> UnitOfWork:
    """Return a unit of work whose statements may take as long as a recount does."""
    url, seconds = settings.database_url.get_secret_value(), recount.STATEMENT_SECONDS
    engine = create_engine(url, 1, seconds * 1000, application_name="notify-notifications-recount")
    return UnitOfWork(engine, seconds)


def parts_for_server(settings: Settings) -> Parts:
    """Return the parts of the process that serves calls."""
    return Parts(settings, connections=settings.grpc_threads + 4 * _READING_THREADS + _FILE_THREADS + 1)


def parts_for_workers(settings: Settings) -> Parts:
    """Return the parts of a process that runs workers."""
    return Parts(settings, connections=_WORKER_CONNECTIONS)


def sending_parts(parts: Parts) -> SendingParts:
    """Return what accepts messages."""
    settings = parts.settings
    return SendingParts(
        uow=parts.uow,
        snapshots=parts.snapshots,
        limits=parts.limit_store,
        counters=parts.counters,
        store=parts.acceptance,
        default_sms_sender=settings.default_sms_sender,
        email_domain=settings.email_domain,
        links=settings.file_links(),
        files=parts.files,
    )


def notifications_servicer(parts: Parts, sending: SendingParts, pager: Pager) -> NotificationsServicer:
    """Return what sends and shows messages."""
    return NotificationsServicer(
        uow=parts.uow,
        sending=sending,
        notifications=NotificationStore(parts.uow),
        links=parts.settings.unsubscribe_links(),
        pager=pager,
        platform_mail=Intake(mail_consumer(parts, aside=True)),
        letters=LettersClient(parts.channels.get("letters", parts.settings.letters_target)),
    )


def registrations(parts: Parts) -> list[Registration]:
    """Return the gRPC services of this context."""
    pager = Pager(parts.settings.page_token_secret.get_secret_value().encode())
    sending = sending_parts(parts)
    servicer = notifications_servicer(parts, sending, pager)
    inbound = InboundSmsServicer(
        InboundSmsStore(parts.uow),
        parts.snapshots,
        Intake(inbound_consumer(parts, aside=True)),
        pager,
    )
    # It may wait for providers.
    inbound.ListInboundSms = apart(inbound.ListInboundSms, _READING_THREADS, "inbound")  # type: ignore[method-assign]
    # Whoever reads without end waits for others who read, not those who send for them.
    servicer.ListNotifications = apart(servicer.ListNotifications, _READING_THREADS, "list")  # type: ignore[method-assign]
    # It may wait for letters.
    servicer.CancelLetter = apart(servicer.CancelLetter, _READING_THREADS, "cancel")  # type: ignore[method-assign]
    # Files take longer than messages: who sends them waits for others who do.
    batching = BatchesServicer(
        parts.uow, sending, PreviewsClient(parts.channels.get("letters", parts.settings.letters_target))
    )
    working = JobsServicer(
        parts.uow,
        sending,
        NotificationStore(parts.uow),
        parts.settings.unsubscribe_links(),
        LettersClient(parts.channels.get("letters", parts.settings.letters_target)),
        parts.job_files,
        parts.contact_list_files,
    )
    # They may wait for letters, and for the store of files.
    for name in ("CreateJob", "CancelJobLetters", "GetJobNotifications", "ArchiveContactList"):
        setattr(working, name, apart(getattr(working, name), _READING_THREADS, "jobs"))
    # It may wait for letters.
    batching.PreviewRows = apart(batching.PreviewRows, _READING_THREADS, "preview")  # type: ignore[method-assign]
    kept = FilesServicer(parts.files, parts.snapshots, servicer.send_email_with_files)
    for name in ("SendEmailWithFiles", "DownloadFile"):
        setattr(kept, name, apart(getattr(kept, name), _FILE_THREADS, "files"))
    return [
        Registration(add_NotificationsServiceServicer_to_server, servicer, SERVICE),
        Registration(add_BatchesServiceServicer_to_server, batching, batches.SERVICE),
        Registration(add_JobsServiceServicer_to_server, working, jobs.SERVICE),
        Registration(
            add_StatisticsServiceServicer_to_server, StatisticsServicer(parts.uow), statistics.SERVICE
        ),
        Registration(add_UsageServiceServicer_to_server, UsageServicer(parts.uow), usage.SERVICE),
        Registration(add_InboundSmsServiceServicer_to_server, inbound, inbound_sms.SERVICE),
        Registration(
            add_UnsubscribeServiceServicer_to_server,
            UnsubscribeServicer(parts.uow, parts.settings.unsubscribe_links(), pager),
            unsubscribe.SERVICE,
        ),
        Registration(
            add_CallbacksServiceServicer_to_server, CallbacksServicer(parts.uow, pager), callbacks.SERVICE
        ),
        Registration(add_FilesServiceServicer_to_server, kept, files.SERVICE),
        ops_registration(OPS, parts.uow, pager),
    ]


def workers(parts: Parts, queue: str) -> list[Worker]:
    """Return the workers of one of QUEUES."""
    match queue:
        case "relay":
            return relay_workers(parts)
        case "feeds":
            return feed_workers(parts)
        case "callbacks":
            return [callback_worker(parts, type) for type in CallbackType]
        case "jobs":
            return [] if parts.job_files is None else [job_worker(parts, parts.job_files)]
        case _:
            housekeeper = Housekeeper(parts.uow, parts.counters, parts.limit_store)
            recounting = recount.Recount()
            steps = {
                "recount": lambda _: recounting.step(parts.recount_uow),
                "housekeeping": housekeeper.step,
                "retention": Retention(parts.snapshots).step,
                "callback-retention": delete_old_callbacks,
                "inbound-sms-retention": inbound_sms_retention(parts.snapshots).step,
            }
            if parts.job_files is not None:
                steps["job-files"] = JobRetention(parts.snapshots, parts.job_files).step
            if parts.contact_list_files is not None:
                steps["contact-list-files"] = ContactListRemoval(parts.contact_list_files).step
            if parts.files is not None:
                kept = parts.files
                steps |= {
                    "settle-files": lambda _: settle_files(kept),
                    "expired-files": lambda _: remove_expired_files(kept),
                    "expired-copies": lambda _: remove_expired_copies(kept),
                }
            return [
                Worker(name, parts.uow, step, longest_idle_seconds=_HOUSEKEEPING_IDLE_SECONDS)
                for name, step in steps.items()
            ]


def relay_workers(parts: Parts) -> list[Worker]:
    """Make one worker a destination, so that neither waits for the other."""
    settings = parts.settings
    providers = ProvidersClient(parts.channels.get("providers", settings.providers_target))
    letters = LettersClient(parts.channels.get("letters", settings.letters_target))
    messages = message_relay(
        parts.snapshots,
        providers,
        settings.unsubscribe_links(),
        settings.email_domain,
        settings.email_branding(),
    )
    return [
        Worker(
            "relay-messages",
            parts.uow,
            messages.step,
            full_batch=MOST_ROWS,
            queue=outbox_queue,
            filters={"destination": Destination.PROVIDERS.value},
            longest_idle_seconds=PROMPT_IDLE_SECONDS,
        ),
        Worker(
            "relay-letters",
            parts.uow,
            letter_relay(parts.snapshots, letters).step,
            full_batch=MOST_ROWS,
            queue=outbox_queue,
            filters={"destination": Destination.LETTERS.value},
        ),
    ]


def callback_worker(parts: Parts, type: CallbackType) -> Worker:
    """Make the worker of one kind, so that none waits for what another one's endpoints do."""
    settings = parts.settings
    caller = ServiceCaller(
        parts.uow,
        type,
        parts.callback_targets,
        parts.snapshots,
        parts.http,
        window=settings.callback_window,
        retry_seconds=settings.callback_retry_seconds,
        pause_seconds=settings.callback_pause_seconds,
    )
    parts.callers.append(caller)
    return Worker(
        f"callbacks-{type}",
        parts.uow,
        lambda _: caller.step(),
        queue=callback_queue,
        filters={"type": type.value},
    )


def job_worker(parts: Parts, files: BlobStore) -> Worker:
    """Make the worker that turns the rows of jobs into messages."""
    runner = JobRunner(parts.uow, sending_parts(parts), files)
    return Worker("jobs", parts.uow, runner.step, queue=job_queue)


def mail_consumer(parts: Parts, *, aside: bool = False) -> FeedConsumer[PlatformMail]:
    """Return what sends the platform's own mail."""
    feed = PlatformMailFeed(parts.channels.get("admin", parts.settings.admin_target))
    return platform_mail_consumer(parts.uow, feed, sending_parts(parts), aside=aside)


def feed_workers(parts: Parts) -> list[Worker]:
    """Make one worker a feed."""
    settings = parts.settings
    delivery = DeliveryEvents(parts.channels.get("providers", settings.providers_target))
    letters = LetterEvents(parts.channels.get("letters", settings.letters_target))
    record = partial(record_and_tell, parts.snapshots)
    consumers: list[FeedConsumer[Any]] = [
        FeedConsumer("delivery-events", parts.uow, feed_cursors, delivery.fetch, record),
        FeedConsumer("letter-events", parts.uow, feed_cursors, letters.fetch, record),
        inbound_consumer(parts),
        mail_consumer(parts),
    ]
    return [
        Worker(one.name, parts.uow, lambda uow, one=one: one.step(), full_batch=PAGE_SIZE)  # type: ignore[misc]
        for one in consumers
    ]


def inbound_consumer(parts: Parts, *, aside: bool = False) -> FeedConsumer[InboundSms]:
    """Return what takes in the texts that people send."""
    settings = parts.settings
    feed = InboundSmsFeed(parts.channels.get("providers", settings.providers_target))
    numbers = InboundNumbers(parts.channels.get("admin", settings.admin_target))
    return inbound_sms_consumer(parts.uow, feed, numbers, parts.snapshots, aside=aside)

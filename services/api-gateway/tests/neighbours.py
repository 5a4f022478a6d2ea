"""What is behind the gateway, over real mTLS gRPC on unix sockets: the real admin service, and the others as
small as the gateway's own tests need them, which answer from what a test puts in. All record their calls.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1.common_pb2 import Channel, KeyType, Postage
from notify.letters.v1 import letters_service_pb2, print_runs_service_pb2
from notify.letters.v1.letter_pb2 import Letter
from notify.letters.v1.letters_service_pb2_grpc import (
    LettersServiceServicer,
    add_LettersServiceServicer_to_server,
)
from notify.letters.v1.previews_service_pb2_grpc import add_PreviewsServiceServicer_to_server
from notify.letters.v1.print_runs_service_pb2_grpc import (
    PrintRunsServiceServicer,
    add_PrintRunsServiceServicer_to_server,
)
from notify.notifications.v1 import (
    callbacks_service_pb2,
    files_service_pb2,
    inbound_sms_service_pb2,
    jobs_service_pb2,
    notifications_service_pb2,
    unsubscribe_service_pb2,
)
from notify.notifications.v1.callbacks_service_pb2_grpc import (
    CallbacksServiceServicer,
    add_CallbacksServiceServicer_to_server,
)
from notify.notifications.v1.files_service_pb2_grpc import (
    FilesServiceServicer,
    add_FilesServiceServicer_to_server,
)
from notify.notifications.v1.inbound_sms_service_pb2_grpc import (
    InboundSmsServiceServicer,
    add_InboundSmsServiceServicer_to_server,
)
from notify.notifications.v1.jobs_service_pb2_grpc import (
    JobsServiceServicer,
    add_JobsServiceServicer_to_server,
)
from notify.notifications.v1.notification_pb2 import Notification
from notify.notifications.v1.notifications_service_pb2_grpc import (
    NotificationsServiceServicer,
    add_NotificationsServiceServicer_to_server,
)
from notify.notifications.v1.unsubscribe_service_pb2_grpc import (
    UnsubscribeServiceServicer,
    add_UnsubscribeServiceServicer_to_server,
)
from notify.providers.v1 import dispatch_service_pb2, receipts_service_pb2, sandbox_service_pb2
from notify.providers.v1.dispatch_pb2 import Attempt, Dispatch, Receipt
from notify.providers.v1.dispatch_service_pb2_grpc import (
    DispatchServiceServicer,
    add_DispatchServiceServicer_to_server,
)
from notify.providers.v1.receipts_service_pb2_grpc import (
    ReceiptsServiceServicer,
    add_ReceiptsServiceServicer_to_server,
)
from notify.providers.v1.sandbox_service_pb2 import SandboxMessage
from notify.providers.v1.sandbox_service_pb2_grpc import (
    SandboxServiceServicer,
    add_SandboxServiceServicer_to_server,
)
from notify_common import current
from notify_common.errors import NotifyError
from notify_common.rpc import status
from notify_common.rpc.server import Registration
from notify_letters.pdf.reader import Limits, PdfReader
from notify_letters.servicers.previews import PreviewsServicer
from notify_letters.usecases.template_assets import Logos
from notify_testing.admin import AdminService
from notify_testing.rpc import InProcessServer
from notify_testing.waiting import WAIT_SECONDS


def timestamp(moment: datetime) -> Timestamp:
    """Return an aware datetime as a proto."""
    made = Timestamp()
    made.FromDatetime(moment)
    return made


@dataclass
class Recorder:
    """Calls in order, and errors that a test wants raised."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    failures: dict[str, NotifyError] = field(default_factory=dict)
    request_ids: list[str] = field(default_factory=list)
    """Request ids that the calls came with."""
    gates: dict[str, threading.Event] = field(default_factory=dict)
    """Methods whose calls wait until an event is set."""
    batches: list[int] = field(default_factory=list)
    """How many messages came together, call by call."""
    repeats: list[bool] = field(default_factory=list)
    """Of each message that came, whether it is said to be a repeat."""
    seconds_left: list[float] = field(default_factory=list)
    """How long the answer to each call that brings messages may take."""

    def record(self, method: str, request: Any) -> None:
        """Note a call. Raises the error that the test set for the method."""
        self.calls.append((method, request))
        self.request_ids.append(current.request_id.get())
        if gate := self.gates.get(method):
            gate.wait(timeout=WAIT_SECONDS)
        if failure := self.failures.get(method):
            raise failure

    def requests(self, method: str) -> list[Any]:
        """Return the requests of one method, first one first."""
        return [request for name, request in self.calls if name == method]


class Notifications(NotificationsServiceServicer):
    """Accepts everything but files, and keeps what a test puts in."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.print_days: list[Any] = []
        """Days of uploaded letters, the latest first."""
        self.stored: list[Notification] = []
        """Newest first."""
        self.quota: notifications_service_pb2.Quota | None = None
        """What each answer says is left."""
        self.replayed = False
        """Whether each answer was given before."""

    def _take(self, method: str, request: Any) -> None:
        self.recorder.record(method, request)
        if any(field.HasField("file") for field in request.personalisation):
            raise NotifyError("FILE_NOT_ALLOWED")

    def SendSms(self, request: Any, context: Any) -> Any:
        self._take("SendSms", request)
        return notifications_service_pb2.SendSmsResponse(
            notification_id=request.request_id, body="Hello", from_number="GOVUK", template_version=3
        )

    def SendEmail(self, request: Any, context: Any) -> Any:
        self._take("SendEmail", request)
        sanitised = notifications_service_pb2.SanitisedField(key="name", unsanitised="a_b", sanitised="a\\_b")
        return notifications_service_pb2.SendEmailResponse(
            notification_id=request.request_id,
            subject="Hi",
            body="Dear Amala",
            from_address="pigeons@notify.example",
            template_version=2,
            sanitised_fields=[sanitised] if request.sanitise_content_for else [],
        )

    def SendLetter(self, request: Any, context: Any) -> Any:
        self._take("SendLetter", request)
        return notifications_service_pb2.SendLetterResponse(
            notification_id=request.request_id, subject="A &lt;b&gt;", body="Dear Amala", template_version=1
        )

    def SendPrecompiledLetter(self, request: Any, context: Any) -> Any:
        self.recorder.record("SendPrecompiledLetter", request)
        return notifications_service_pb2.SendPrecompiledLetterResponse(
            notification_id=request.request_id, postage=request.postage or Postage.POSTAGE_SECOND
        )

    def BatchSend(self, request: Any, context: Any) -> Any:
        self.recorder.batches.append(len(request.items))
        self.recorder.seconds_left.append(current.time_left() or 0.0)
        methods = {
            "sms": self.SendSms,
            "email": self.SendEmail,
            "letter": self.SendLetter,
            "precompiled_letter": self.SendPrecompiledLetter,
        }
        response = notifications_service_pb2.BatchSendResponse()
        for item in request.items:
            current.enter(item.origin_request_id, item.traceparent, "api")
            self.recorder.repeats.append(item.is_repeat)
            result = response.results.add(replayed=self.replayed)
            if self.quota is not None:
                result.quota.CopyFrom(self.quota)
            kind = item.WhichOneof("request")
            try:
                getattr(result, kind).CopyFrom(methods[kind](getattr(item, kind), context))
            except NotifyError as error:
                failed = status.to_status(error, "notifications.notify", item.origin_request_id)
                result.error = failed.SerializeToString()
        if failure := self.recorder.failures.get("BatchSend"):
            raise failure
        return response

    def CountRefusedRequest(self, request: Any, context: Any) -> Any:
        self.recorder.record("CountRefusedRequest", request)
        return notifications_service_pb2.CountRefusedRequestResponse(quota=self.quota)

    def GetQuota(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetQuota", request)
        return notifications_service_pb2.GetQuotaResponse(quota=self.quota)

    def GetNotification(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetNotification", request)
        for notification in self.stored:
            if (notification.service_id, notification.id) == (request.service_id, request.notification_id):
                return notifications_service_pb2.GetNotificationResponse(notification=notification)
        raise NotifyError("NOTIFICATION_NOT_FOUND")

    def CancelNotification(self, request: Any, context: Any) -> Any:
        self.recorder.record("CancelNotification", request)
        return notifications_service_pb2.CancelNotificationResponse(notification=self._changed(request))

    def CancelLetter(self, request: Any, context: Any) -> Any:
        self.recorder.record("CancelLetter", request)
        return notifications_service_pb2.CancelLetterResponse(notification=self._changed(request))

    def RescheduleNotification(self, request: Any, context: Any) -> Any:
        self.recorder.record("RescheduleNotification", request)
        return notifications_service_pb2.RescheduleNotificationResponse(notification=self._changed(request))

    def _changed(self, request: Any) -> Notification:
        for notification in self.stored:
            if notification.id == request.notification_id:
                return notification
        raise NotifyError("NOTIFICATION_NOT_FOUND")

    def ListNotifications(self, request: Any, context: Any) -> Any:
        self.recorder.record("ListNotifications", request)
        stored = self.stored
        if any(one.reference for one in stored) and request.HasField("reference"):
            wanted = (request.service_id, request.key_type, request.reference)
            stored = [one for one in stored if (one.service_id, one.key_type, one.reference) == wanted]
        ids = [notification.id for notification in stored]
        start = 0
        if request.older_than_id:
            start = ids.index(request.older_than_id) + 1 if request.older_than_id in ids else len(ids)
        return notifications_service_pb2.ListNotificationsResponse(
            notifications=stored[start : start + min(2, request.page_size)], quota=self.quota
        )

    def GetUploadedLetters(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetUploadedLetters", request)
        return notifications_service_pb2.GetUploadedLettersResponse(
            notifications=self.stored, total_count=len(self.stored)
        )

    def GetUploadedLetterCounts(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetUploadedLetterCounts", request)
        return notifications_service_pb2.GetUploadedLetterCountsResponse(print_days=self.print_days)

    def PreviewTemplate(self, request: Any, context: Any) -> Any:
        self.recorder.record("PreviewTemplate", request)
        return notifications_service_pb2.PreviewTemplateResponse(
            channel=Channel.CHANNEL_EMAIL, template_version=4, subject="S", body="B", html="<p>B</p>"
        )


class Jobs(JobsServiceServicer):
    """Shows the jobs that a test puts in, and takes two calls to cancel letters."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.jobs: list[Any] = []
        """Those of lists, in their order."""
        self.rows = 0
        """How many messages a job has."""
        self.lists: list[Any] = []
        """Contact lists, in their order."""

    def GetJobs(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetJobs", request)
        shown = self.jobs[request.offset : request.offset + request.page_size]
        return jobs_service_pb2.GetJobsResponse(jobs=shown, total_count=len(self.jobs))

    def GetContactLists(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetContactLists", request)
        shown = self.lists[request.offset : request.offset + request.page_size]
        return jobs_service_pb2.GetContactListsResponse(contact_lists=shown, total_count=len(self.lists))

    def GetJobNotifications(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetJobNotifications", request)
        return jobs_service_pb2.GetJobNotificationsResponse(total_count=self.rows)

    def CancelJobLetters(self, request: Any, context: Any) -> Any:
        self.recorder.record("CancelJobLetters", request)
        asked = len(self.recorder.requests("CancelJobLetters"))
        return jobs_service_pb2.CancelJobLettersResponse(letter_count=500 * asked, has_more=asked < 2)


class Files(FilesServiceServicer):
    """Takes emails with files, and hands out what a test puts in."""

    def __init__(self, recorder: Recorder, notifications: Notifications) -> None:
        self.recorder = recorder
        self._notifications = notifications
        self.contents: list[bytes] = []
        """Bytes that came with the last email."""
        self.shown = files_service_pb2.EmailFile()
        self.address = ""
        """The one that the file is handed to."""
        self.content = files_service_pb2.DownloadFileResponse()

    def SendEmailWithFiles(self, request_iterator: Iterator[Any], context: Any) -> Any:
        item = next(request_iterator).item
        self.contents = [part.chunk for part in request_iterator]
        self.recorder.record("SendEmailWithFiles", item.email)
        bare = notifications_service_pb2.SendItem()
        bare.CopyFrom(item)
        bare.email.ClearField("personalisation")
        sent = self._notifications.BatchSend(
            notifications_service_pb2.BatchSendRequest(items=[bare]), context
        )
        return files_service_pb2.SendEmailWithFilesResponse(result=sent.results[0])

    def GetFile(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetFile", request)
        return files_service_pb2.GetFileResponse(file=self.shown)

    def DownloadFile(self, request: Any, context: Any) -> Any:
        self.recorder.record("DownloadFile", request)
        if request.email_address != self.address:
            raise NotifyError("EMAIL_ADDRESS_WRONG")
        return self.content


class Callbacks(CallbacksServiceServicer):
    """What services were told, as a test puts it in."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.told: list[callbacks_service_pb2.GetCallbackResponse] = []

    def ListCallbacks(self, request: Any, context: Any) -> Any:
        self.recorder.record("ListCallbacks", request)
        found = [
            one.callback
            for one in self.told
            if (one.callback.service_id, one.callback.subject_id) == (request.service_id, request.subject_id)
        ]
        return callbacks_service_pb2.ListCallbacksResponse(callbacks=found[: request.page_size])

    def GetCallback(self, request: Any, context: Any) -> Any:
        return next(one for one in self.told if one.callback.id == request.callback_id)


class Recipients(InboundSmsServiceServicer, UnsubscribeServiceServicer):
    """What people do: texts that they sent, newest first, and links that they follow."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.texts: list[inbound_sms_service_pb2.InboundSms] = []
        self.token = ""
        """The one that is valid, of whichever email."""

    def ListInboundSms(self, request: Any, context: Any) -> Any:
        self.recorder.record("ListInboundSms", request)
        mine = [text for text in self.texts if text.service_id == request.service_id]
        ids = [text.id for text in mine]
        older = request.older_than_id
        start = 0 if not older else ids.index(older) + 1 if older in ids else len(ids)
        return inbound_sms_service_pb2.ListInboundSmsResponse(inbound_sms=mine[start : start + 2])

    def RecordUnsubscribeRequest(self, request: Any, context: Any) -> Any:
        self.recorder.record("RecordUnsubscribeRequest", request)
        if request.token != self.token:
            raise NotifyError("LINK_INVALID")
        return unsubscribe_service_pb2.RecordUnsubscribeRequestResponse(new_request=True)


class PrintRuns(PrintRunsServiceServicer):
    """Print runs that a test puts in, newest first."""

    def __init__(self) -> None:
        self.answers: list[print_runs_service_pb2.GetPrintRunResponse] = []

    def ListPrintRuns(self, request: Any, context: Any) -> Any:
        runs = [answer.print_run for answer in self.answers]
        return print_runs_service_pb2.ListPrintRunsResponse(print_runs=runs)

    def GetPrintRun(self, request: Any, context: Any) -> Any:
        for answer in self.answers:
            if answer.print_run.id == request.print_run_id:
                return answer
        raise NotifyError("PRINT_RUN_NOT_FOUND")


class Letters(LettersServiceServicer):
    """PDFs and page images that a test puts in, by letter id."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.pdfs: dict[str, bytes] = {}
        self.pages: dict[str, list[bytes]] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        """What is known of letters besides their pages: fields of Letter."""
        self.uploads: dict[str, tuple[Any, list[bytes]]] = {}
        """Header and chunks of what was uploaded, by letter id."""
        self.break_off = False
        """Whether a download breaks after its first chunk."""

    def UploadPdf(self, request_iterator: Iterator[Any], context: Any) -> Any:
        header = next(request_iterator).header
        self.recorder.record("UploadPdf", header)
        self.uploads[header.letter_id] = header, [part.chunk for part in request_iterator]
        return letters_service_pb2.UploadPdfResponse()

    def TakeUploadedPdf(self, request: Any, context: Any) -> Any:
        self.recorder.record("TakeUploadedPdf", request)
        return letters_service_pb2.TakeUploadedPdfResponse(sha256="a" * 64)

    def DownloadPdf(self, request: Any, context: Any) -> Iterator[Any]:
        self.recorder.record("DownloadPdf", request)
        pdf = self.pdfs.get(request.letter_id)
        if pdf is None:
            raise NotifyError("PDF_NOT_READY")
        metadata = letters_service_pb2.PdfMetadata(size_bytes=len(pdf), page_count=1)
        yield letters_service_pb2.DownloadPdfResponse(metadata=metadata)
        for start in range(0, len(pdf), 1000):
            if self.break_off and start:
                raise NotifyError("UNAVAILABLE")
            yield letters_service_pb2.DownloadPdfResponse(chunk=pdf[start : start + 1000])

    def GetLetter(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetLetter", request)
        pages = self.pages.get(request.letter_id)
        if pages is None:
            raise NotifyError("LETTER_NOT_FOUND")
        letter = Letter(
            id=request.letter_id,
            service_id=request.service_id,
            page_count=len(pages),
            **self.facts.get(request.letter_id, {}),
        )
        return letters_service_pb2.GetLetterResponse(letter=letter)

    def GetPageImage(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetPageImage", request)
        pages = self.pages.get(request.letter_id)
        if pages is None:
            raise NotifyError("PDF_NOT_READY")
        if not 1 <= request.page_number <= len(pages):
            raise NotifyError("PAGE_NOT_FOUND")
        return letters_service_pb2.GetPageImageResponse(
            png=pages[request.page_number - 1], page_count=len(pages)
        )


CALLBACK_TAKEN = receipts_service_pb2.RecordReceiptResponse(
    new_receipt=True,
    http_status=200,
    http_content_type="application/json",
    http_body=b'{"result":"success"}',
)


class Providers(DispatchServiceServicer, ReceiptsServiceServicer, SandboxServiceServicer):
    """Sandbox messages, their dispatches and receipts, as a test puts them in."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.messages: list[SandboxMessage] = []
        """Newest first."""
        self.callback_answer = CALLBACK_TAKEN
        self.timelines: dict[str, tuple[list[Attempt], list[Receipt]]] = {}

    def RecordReceipt(self, request: Any, context: Any) -> Any:
        self.recorder.record("RecordReceipt", request)
        return self.callback_answer

    def RecordInboundSms(self, request: Any, context: Any) -> Any:
        self.recorder.record("RecordInboundSms", request)
        return receipts_service_pb2.RecordInboundSmsResponse(
            http_status=200, http_content_type="application/json", http_body=b'{"status":"ok"}'
        )

    def GetDispatch(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetDispatch", request)
        if request.dispatch_id not in self.timelines:
            raise NotifyError("DISPATCH_NOT_FOUND")
        attempts, receipts = self.timelines[request.dispatch_id]
        return dispatch_service_pb2.GetDispatchResponse(
            dispatch=Dispatch(id=request.dispatch_id), attempts=attempts, receipts=receipts
        )

    def ListSandboxFaults(self, request: Any, context: Any) -> Any:
        self.recorder.record("ListSandboxFaults", request)
        fault = sandbox_service_pb2.SandboxFault(
            name="down",
            phone_number_ending="7700900904",
            email_address="down@sandbox.notify",
            address_line="Sandbox Down",
            happens="never <answers>",
            status="created",
        )
        return sandbox_service_pb2.ListSandboxFaultsResponse(faults=[fault])

    def ListSandboxMessages(self, request: Any, context: Any) -> Any:
        self.recorder.record("ListSandboxMessages", request)
        wanted = request.contains.casefold()
        found = [
            item
            for item in self.messages
            if (wanted in item.recipient.casefold() or wanted in item.summary.casefold())
            and request.channel in (Channel.CHANNEL_UNSPECIFIED, item.channel)
            and request.outcome in ("", item.outcome or "none")
        ]
        start = int(request.page_token or 0)
        end = start + request.page_size
        shown = []
        for message in found[start:end]:
            without = SandboxMessage()
            without.CopyFrom(message)
            without.ClearField("dispatch")
            shown.append(without)
        return sandbox_service_pb2.ListSandboxMessagesResponse(
            messages=shown, next_page_token=str(end) if end < len(found) else ""
        )

    def GetSandboxMessage(self, request: Any, context: Any) -> Any:
        self.recorder.record("GetSandboxMessage", request)
        for message in self.messages:
            if message.id == request.message_id:
                return sandbox_service_pb2.GetSandboxMessageResponse(message=message)
        raise NotifyError("SANDBOX_MESSAGE_NOT_FOUND")


class Neighbours:
    """All services behind the gateway, started together."""

    def __init__(self, admin_database_url: str) -> None:
        self.recorder = Recorder()
        self.admin = AdminService(admin_database_url)
        self.admin.before_call = self._record_admin
        self.notifications = Notifications(self.recorder)
        self.callbacks = Callbacks(self.recorder)
        self.files = Files(self.recorder, self.notifications)
        self.jobs = Jobs(self.recorder)
        self.recipients = Recipients(self.recorder)
        self.letters = Letters(self.recorder)
        self.print_runs = PrintRuns()
        self.providers = Providers(self.recorder)
        self.targets: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Neighbours":
        def registration(add: Any, servicer: object, full_name: str) -> Registration:
            return Registration(add, servicer, full_name)

        served = {
            "notifications": [
                registration(
                    add_CallbacksServiceServicer_to_server,
                    self.callbacks,
                    "notify.notifications.v1.CallbacksService",
                ),
                registration(
                    add_FilesServiceServicer_to_server,
                    self.files,
                    "notify.notifications.v1.FilesService",
                ),
                registration(
                    add_JobsServiceServicer_to_server, self.jobs, "notify.notifications.v1.JobsService"
                ),
                registration(
                    add_NotificationsServiceServicer_to_server,
                    self.notifications,
                    "notify.notifications.v1.NotificationsService",
                ),
                registration(
                    add_InboundSmsServiceServicer_to_server,
                    self.recipients,
                    "notify.notifications.v1.InboundSmsService",
                ),
                registration(
                    add_UnsubscribeServiceServicer_to_server,
                    self.recipients,
                    "notify.notifications.v1.UnsubscribeService",
                ),
            ],
            "letters": [
                registration(
                    add_LettersServiceServicer_to_server, self.letters, "notify.letters.v1.LettersService"
                ),
                registration(
                    add_PreviewsServiceServicer_to_server,
                    # the real one, which has no database
                    PreviewsServicer(PdfReader(Limits()), None, Logos(None), ("", "", ""), processes=2),
                    "notify.letters.v1.PreviewsService",
                ),
                registration(
                    add_PrintRunsServiceServicer_to_server,
                    self.print_runs,
                    "notify.letters.v1.PrintRunsService",
                ),
            ],
            "providers": [
                registration(
                    add_DispatchServiceServicer_to_server,
                    self.providers,
                    "notify.providers.v1.DispatchService",
                ),
                registration(
                    add_ReceiptsServiceServicer_to_server,
                    self.providers,
                    "notify.providers.v1.ReceiptsService",
                ),
                registration(
                    add_SandboxServiceServicer_to_server, self.providers, "notify.providers.v1.SandboxService"
                ),
            ],
        }
        self._stack.enter_context(self.admin)
        _ = self.admin.platform_user_id
        self.targets["admin"] = self.admin.target
        for context, registrations in served.items():
            server = self._stack.enter_context(InProcessServer(context, registrations))
            self.targets[context] = server.target
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _record_admin(self, method: str, request: Any) -> None:
        if method == "ListConfigChanges":
            return  # the gateway asks for changes all the time, whatever a test does
        self.recorder.record(method, request)
        if method == "ListTemplates":
            request.page_size = 2  # so that reading on is always tested

    def forget(self) -> None:
        """Clear calls and failures, so that tests don't see each other's."""
        self.recorder.calls.clear()
        self.recorder.failures = {}
        self.recorder.gates.clear()
        self.recorder.batches.clear()
        self.recorder.repeats.clear()
        self.recorder.seconds_left.clear()
        self.notifications.stored.clear()
        self.notifications.quota = None
        self.notifications.replayed = False
        self.notifications.print_days = []
        self.jobs.jobs, self.jobs.rows = [], 0
        self.callbacks.told.clear()
        self.recipients.texts.clear()
        self.letters.pdfs.clear()
        self.letters.pages.clear()
        self.letters.break_off = False
        self.providers.messages.clear()
        self.providers.timelines.clear()
        self.providers.callback_answer = CALLBACK_TAKEN


def a_notification(service_id: str, channel: Channel = Channel.CHANNEL_SMS, **facts: Any) -> Notification:
    """Return a stored notification, accepted a minute ago unless told otherwise."""
    return Notification(
        **{
            "id": str(uuid4()),
            "service_id": service_id,
            "channel": channel,
            "key_type": KeyType.KEY_TYPE_NORMAL,
            "recipient": {
                Channel.CHANNEL_SMS: "07700 900123",
                Channel.CHANNEL_EMAIL: "Amala@example.com",
            }.get(channel, ""),
            "state": Notification.STATE_CREATED,
            "template_id": str(uuid4()),
            "template_version": 1,
            "body": "Hello",
            "create_time": timestamp(datetime.now(UTC) - timedelta(minutes=1)),
            **facts,
        }
    )


def a_text(service_id: str, content: str = "Hello") -> inbound_sms_service_pb2.InboundSms:
    """Return a text that somebody sent to a service just now."""
    return inbound_sms_service_pb2.InboundSms(
        id=str(uuid4()),
        service_id=service_id,
        notify_number="07700900500",
        user_number="447700900111",
        content=content,
        create_time=timestamp(datetime.now(UTC)),
    )


__all__ = ["Neighbours", "a_notification", "a_text", "timestamp"]

"""NotificationsService: conversion, nothing else; the protos say what fields must be (ADR 0013)."""

import contextvars
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final, TypedDict

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from notify.notifications.v1 import notification_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify.notifications.v1 import notifications_service_pb2_grpc as pb_grpc
from notify_common import clock, current, ids, tracing
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel, KeyType, Postage
from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.feeds.intake import Intake
from notify_common.ids import PLATFORM_SERVICE_ID
from notify_common.logging import get_logger
from notify_common.rpc import enums, field_rules, status
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_common.rpc.paging import Pager, page_size, position_in_time, read_position_in_time
from notify_common.turns import in_turns
from notify_content.letter_timings import print_deadline
from opentelemetry.trace import SpanKind

from notify_notifications.clients import personalisation
from notify_notifications.clients.letters import LettersClient
from notify_notifications.domain.cost import Cost
from notify_notifications.domain.hand_over import lane_of
from notify_notifications.domain.limits import Quota
from notify_notifications.domain.notification import State
from notify_notifications.domain.personalisation import Pairs
from notify_notifications.domain.record import Notification, Origin
from notify_notifications.domain.unsubscribe import UnsubscribeLinks
from notify_notifications.store.notifications import (
    ActivityFilters,
    Filters,
    NotificationStore,
)
from notify_notifications.usecases.cancel_letter import cancel_letter
from notify_notifications.usecases.count_refused import count_refused_request
from notify_notifications.usecases.hand_over import print_reference
from notify_notifications.usecases.prepare import (
    Accepted,
    AcceptedEmail,
    AcceptedLetter,
    AcceptedPrecompiledLetter,
    AcceptedSms,
    Caller,
    EmailCommand,
    LetterCommand,
    PrecompiledLetterCommand,
    SendCommand,
    SmsCommand,
)
from notify_notifications.usecases.preview_template import preview_template
from notify_notifications.usecases.read_notifications import (
    NotificationView,
    count_uploaded_letters,
    get_activity,
    get_notification,
    list_notifications,
    list_uploaded_letters,
)
from notify_notifications.usecases.reschedule import cancel, reschedule
from notify_notifications.usecases.reserve import admit_list, rate_left
from notify_notifications.usecases.send import SendingParts, find_service, send_messages

SERVICE: Final = pb.DESCRIPTOR.services_by_name["NotificationsService"].full_name

_RETRY_METADATA: Final = "grpc-previous-rpc-attempts"
_BATCH_SEND: Final = f"{SERVICE}/BatchSend"
DOMAIN: Final = "notifications.notify"
_STATES = notification_pb2.Notification.State
_TIMED: Final = (pb.SendSmsRequest, pb.SendEmailRequest)
"""Requests to send that may name times."""


@dataclass(frozen=True, slots=True)
class Received:
    """What comes with a request to send besides its own fields; the rows of a batch share it."""

    caller: Caller
    origin: Origin
    deadline: float | None
    is_repeat: bool
    batch_id: str | None = None
    """The batch that it is a row of, if it is one."""


class NotificationsServicer(pb_grpc.NotificationsServiceServicer):
    """Serves notify.notifications.v1.NotificationsService."""

    def __init__(
        self,
        *,
        uow: UnitOfWork,
        sending: SendingParts,
        notifications: NotificationStore,
        links: UnsubscribeLinks,
        pager: Pager,
        platform_mail: Intake,
        letters: LettersClient,
    ) -> None:
        self._uow = uow
        self._letters = letters
        self._sending = sending
        self._links = links
        self._notifications = notifications
        self._pager = pager
        self._platform_mail = platform_mail

    def SendSms(self, request: pb.SendSmsRequest, context: grpc.ServicerContext) -> pb.SendSmsResponse:
        return _sms_response(self._send_one(request, context, _sms_command))

    def SendEmail(self, request: pb.SendEmailRequest, context: grpc.ServicerContext) -> pb.SendEmailResponse:
        return _email_response(self._send_one(request, context, _email_command))

    def SendLetter(
        self, request: pb.SendLetterRequest, context: grpc.ServicerContext
    ) -> pb.SendLetterResponse:
        return _letter_response(self._send_one(request, context, _letter_command))

    def SendPrecompiledLetter(
        self, request: pb.SendPrecompiledLetterRequest, context: grpc.ServicerContext
    ) -> pb.SendPrecompiledLetterResponse:
        return _precompiled_letter_response(self._send_one(request, context, _precompiled_letter_command))

    def BatchSend(self, request: pb.BatchSendRequest, context: grpc.ServicerContext) -> pb.BatchSendResponse:
        return self._send_items(request.items, context)

    def send_email_with_files(
        self, item: pb.SendItem, chunks: Iterator[bytes], context: grpc.ServicerContext
    ) -> pb.SendResult:
        """Accept the email of an item with its files, whose bytes `chunks` bring, as BatchSend would."""
        files = personalisation.new_files(item.email.personalisation)

        def with_files(command: SendCommand) -> SendCommand:
            assert isinstance(command, EmailCommand)  # noqa: S101 - of an item that is an email
            return dataclasses.replace(command, files=files, contents=chunks)

        (result,) = self._send_items([item], context, with_files).results
        return result

    def _send_items(
        self,
        items: Iterable[pb.SendItem],
        context: grpc.ServicerContext,
        complete: Callable[[SendCommand], SendCommand] = lambda command: command,
    ) -> pb.BatchSendResponse:
        retried = _is_retried(context)
        caller_deadline = current.deadline.get()
        response = pb.BatchSendResponse()
        commands: list[SendCommand] = []
        places: list[tuple[pb.SendResult, contextvars.Context]] = []
        with ExitStack() as spans:
            for item in items:
                own = _context_of(item, caller_deadline, spans)
                result = response.results.add()
                try:
                    commands.append(complete(_item_command(item, own, retried)))
                except NotifyError as error:
                    own.run(_refuse, result, error)
                else:
                    places.append((result, own))
            decisions = send_messages(self._sending, commands, LARGEST_CONTENT_BYTES) if commands else []
            for (result, own), command, decision in zip(places, commands, decisions, strict=True):
                own.run(_answer, result, command, decision.result)
                result.replayed = decision.replayed
                if decision.quota is not None:
                    result.quota.CopyFrom(_quota(decision.quota))
        return response

    def _send_one(
        self,
        request: Any,
        context: grpc.ServicerContext,
        convert: "Callable[[Any, Received], SendCommand]",
    ) -> Any:
        received = received_of(
            request.caller,
            current.request_id.get(),
            tracing.current_traceparent(),
            current.deadline.get(),
            is_repeat=_is_retried(context),
        )
        command = convert(request, received)
        ((answer, _, _),) = send_messages(self._sending, [command])
        if isinstance(answer, NotifyError):
            raise answer
        current.note(service_id=command.caller.service_id, notification_id=answer.notification_id)
        return answer

    def CountRefusedRequest(
        self, request: pb.CountRefusedRequestRequest, context: grpc.ServicerContext
    ) -> pb.CountRefusedRequestResponse:
        quota = count_refused_request(
            self._sending, caller_of(request.caller), enums.from_proto(Channel, request.channel)
        )
        return pb.CountRefusedRequestResponse(quota=None if quota is None else _quota(quota))

    def GetQuota(self, request: pb.GetQuotaRequest, context: grpc.ServicerContext) -> pb.GetQuotaResponse:
        caller = caller_of(request.caller)
        service = find_service(self._sending.snapshots, caller.service_id)
        left = rate_left(self._sending.limits, service, caller.key_type)
        return pb.GetQuotaResponse(quota=None if left is None else _quota(left))

    def CancelNotification(
        self, request: pb.CancelNotificationRequest, context: grpc.ServicerContext
    ) -> pb.CancelNotificationResponse:
        caller = caller_of(request.caller)
        cancel(self._uow, caller, request.notification_id)
        return pb.CancelNotificationResponse(
            notification=self._found(caller.service_id, request.notification_id)
        )

    def CancelLetter(
        self, request: pb.CancelLetterRequest, context: grpc.ServicerContext
    ) -> pb.CancelLetterResponse:
        service_id, notification_id = request.service_id, request.notification_id
        cancel_letter(
            self._uow, self._notifications, self._sending.limits, self._letters, service_id, notification_id
        )
        found = self._found(service_id, notification_id, with_details=True)
        return pb.CancelLetterResponse(notification=found)

    def RescheduleNotification(
        self, request: pb.RescheduleNotificationRequest, context: grpc.ServicerContext
    ) -> pb.RescheduleNotificationResponse:
        caller = caller_of(request.caller)
        send_at = time_of("send_at", request.send_at)
        reschedule(self._uow, self._notifications, caller, request.notification_id, send_at)
        return pb.RescheduleNotificationResponse(
            notification=self._found(caller.service_id, request.notification_id)
        )

    def _found(
        self, service_id: str, notification_id: str, *, with_details: bool = False
    ) -> notification_pb2.Notification:
        view = get_notification(
            self._notifications, self._sending.snapshots, self._links, service_id, notification_id
        )
        return shown_notification(view, with_details)

    def _take_in_mail(self, service_id: str) -> None:
        """Have mail that admin wrote just before be there for who reads what the platform sent (ADR 0017)."""
        if service_id == PLATFORM_SERVICE_ID:
            self._platform_mail.take_in()

    def GetNotification(
        self, request: pb.GetNotificationRequest, context: grpc.ServicerContext
    ) -> pb.GetNotificationResponse:
        if request.with_details:
            self._take_in_mail(request.service_id)
        found = self._found(request.service_id, request.notification_id, with_details=request.with_details)
        return pb.GetNotificationResponse(notification=found)

    def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: grpc.ServicerContext
    ) -> pb.ListNotificationsResponse:
        if request.older_than_id and request.page_token:
            raise invalid_field(FieldViolation("page_token", "can't be given together with older_than_id"))
        filters = Filters(
            key_type=enums.from_proto(KeyType, request.key_type),
            channels=list(dict.fromkeys(enums.from_proto(Channel, one) for one in request.channels)),
            states=states_of(request.states),
            reference=request.reference if request.HasField("reference") else None,
            batch_id=request.batch_id,
        )
        left = admit_list(self._sending.limits, request.service_id, filters.key_type)
        quota = None if left is None else _quota(left)
        bound = {"list": "notifications", "service": request.service_id, **_as_json(filters)}
        size = page_size(request.page_size)
        if request.older_than_id:
            before = self._notifications.position(request.service_id, request.older_than_id)
            if before is None:
                return pb.ListNotificationsResponse(quota=quota)
        else:
            before = read_position_in_time(self._pager.decode(request.page_token, bound))
        views, more = list_notifications(
            self._notifications,
            self._sending.snapshots,
            self._links,
            request.service_id,
            filters,
            before,
            size,
        )
        response = pb.ListNotificationsResponse(
            notifications=map(shown_notification, in_turns(views)), quota=quota
        )
        if more:
            last = views[-1].notification
            response.next_page_token = self._pager.encode(position_in_time(last.create_time, last.id), bound)
        return response

    def GetUploadedLetters(
        self, request: pb.GetUploadedLettersRequest, context: grpc.ServicerContext
    ) -> pb.GetUploadedLettersResponse:
        try:
            print_date = date.fromisoformat(request.print_date)
        except ValueError:
            raise invalid_field(FieldViolation("print_date", "is no date")) from None
        views, count = list_uploaded_letters(
            self._notifications,
            self._sending.snapshots,
            self._links,
            request.service_id,
            request.template_id,
            print_date,
            request.page_number,
            request.page_size,
        )
        return pb.GetUploadedLettersResponse(notifications=map(shown_notification, views), total_count=count)

    def GetUploadedLetterCounts(
        self, request: pb.GetUploadedLetterCountsRequest, context: grpc.ServicerContext
    ) -> pb.GetUploadedLetterCountsResponse:
        days = count_uploaded_letters(
            self._notifications, request.service_id, request.template_id, request.days, clock.now()
        )
        return pb.GetUploadedLetterCountsResponse(
            print_days=[
                pb.GetUploadedLetterCountsResponse.PrintDay(
                    print_date=day.isoformat(), deadline=print_deadline(day), letter_count=count
                )
                for day, count in days
            ]
        )

    def GetActivity(
        self, request: pb.GetActivityRequest, context: grpc.ServicerContext
    ) -> pb.GetActivityResponse:
        self._take_in_mail(request.service_id)
        if request.older_than_id and request.page_number:
            raise invalid_field(FieldViolation("page_number", "can't be given together with older_than_id"))
        before = None
        if request.older_than_id:
            before = self._notifications.position(request.service_id, request.older_than_id)
            if before is None:
                return pb.GetActivityResponse()
        filters = ActivityFilters(
            key_types=list(dict.fromkeys(enums.from_proto(KeyType, one) for one in request.key_types)),
            channels=list(dict.fromkeys(enums.from_proto(Channel, one) for one in request.channels)),
            states=states_of(request.states),
            since=request.since_time.ToDatetime(UTC) if request.HasField("since_time") else None,
            by_keys_alone=request.by_keys_alone,
            search=request.search,
        )
        size = page_size(request.page_size)
        offset = max(request.page_number - 1, 0) * size
        views, more = get_activity(
            self._notifications,
            self._sending.snapshots,
            self._links,
            request.service_id,
            filters,
            before,
            offset,
            size,
        )
        shown = (shown_notification(view, with_details=True) for view in in_turns(views))
        return pb.GetActivityResponse(notifications=shown, has_more=more)

    def GetReturnedLetterCounts(
        self, request: pb.GetReturnedLetterCountsRequest, context: grpc.ServicerContext
    ) -> pb.GetReturnedLetterCountsResponse:
        days = self._notifications.returned_letters(request.service_id)
        made = pb.GetReturnedLetterCountsResponse.Day
        return pb.GetReturnedLetterCountsResponse(
            days=[made(date=day.isoformat(), letter_count=count) for day, count in days]
        )

    def PreviewTemplate(
        self, request: pb.PreviewTemplateRequest, context: grpc.ServicerContext
    ) -> pb.PreviewTemplateResponse:
        pairs = personalisation.from_proto(request.personalisation)
        preview = preview_template(
            self._sending.snapshots, self._sending.links, request.service_id, request.template_id, pairs
        )
        template = preview.template
        return pb.PreviewTemplateResponse(
            channel=enums.to_proto(template.channel),
            template_version=template.version,
            subject=preview.subject,
            body=preview.body,
            html=preview.html,
            postage=enums.to_proto(template.postage),
            create_time=template.make_time,
        )


class _Common(TypedDict):
    """What the commands of all channels have."""

    request_id: str
    caller: Caller
    template_id: str
    personalisation: Pairs
    has_file: bool
    reference: str | None
    idempotency_key: str
    content_hash: bytes
    is_repeat: bool
    origin: Origin
    batch_id: str | None
    deadline: float | None
    send_at: datetime | None
    deliver_by: datetime | None
    max_cost_micropounds: int | None


def received_of(
    caller: pb.Caller,
    request_id: str,
    traceparent: str,
    deadline: float | None,
    *,
    is_repeat: bool,
    batch_id: str | None = None,
) -> Received:
    """Return what comes with what a caller sends. Raises NotifyError as `caller_of`."""
    who = caller_of(caller)
    origin = Origin(request_id, traceparent, lane_of(who.service_id, of_job=batch_id is not None))
    return Received(who, origin, deadline, is_repeat, batch_id)


def _common(request: Any, received: Received) -> _Common:
    """Read what the Send requests have in common. Clear fields of `request`; read the others before."""
    # a letter that comes as a PDF has none
    written = getattr(request, "personalisation", ())
    return _Common(
        request_id=request.request_id,
        caller=received.caller,
        template_id=request.template_id,
        personalisation=personalisation.from_proto(written),
        has_file=any(field.HasField("file") for field in written),
        reference=request.reference if request.HasField("reference") else None,
        idempotency_key=request.idempotency_key,
        content_hash=_content_hash(request),
        is_repeat=received.is_repeat,
        origin=received.origin,
        batch_id=received.batch_id,
        deadline=received.deadline,
        send_at=_optional_time(request, "send_at"),
        deliver_by=_optional_time(request, "deliver_by"),
        max_cost_micropounds=max_cost_of(request),
    )


def max_cost_of(request: Any) -> int | None:
    """Return the most that what a request brings may cost, in millionths of a pound; None for any amount."""
    return request.max_cost_micropounds if request.HasField("max_cost_micropounds") else None


def _optional_time(request: Any, name: str) -> datetime | None:
    """Return a time that a request has, if it is of a kind that may have one. Raises NotifyError."""
    if not isinstance(request, _TIMED) or not request.HasField(name):
        return None
    return time_of(name, getattr(request, name))


def time_of(name: str, value: Timestamp) -> datetime:
    """Return a time of a request. Raises NotifyError INVALID_FIELD, of the field `name`."""
    try:
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise invalid_field(FieldViolation(name, "is not a time")) from None


def _sms_command(request: pb.SendSmsRequest, received: Received) -> SmsCommand:
    return SmsCommand(
        phone_number=request.phone_number,
        sms_sender_id=request.sms_sender_id,
        **_common(request, received),
    )


def _email_command(request: pb.SendEmailRequest, received: Received) -> EmailCommand:
    url = request.one_click_unsubscribe_url
    if url and not url.startswith("https"):
        raise invalid_field(FieldViolation("one_click_unsubscribe_url", "is not a valid https url"))
    return EmailCommand(
        email_address=request.email_address,
        email_reply_to_id=request.email_reply_to_id,
        one_click_unsubscribe_url=url,
        sanitise_content_for=tuple(request.sanitise_content_for),
        **_common(request, received),
    )


def _letter_command(request: pb.SendLetterRequest, received: Received) -> LetterCommand:
    return LetterCommand(recipient=request.recipient, **_common(request, received))


def _precompiled_letter_command(
    request: pb.SendPrecompiledLetterRequest, received: Received
) -> PrecompiledLetterCommand:
    postage = enums.optional_from_proto(Postage, request.postage)
    if not request.caller.created_by_id:
        if postage in (Postage.EUROPE, Postage.REST_OF_WORLD):
            raise invalid_field(FieldViolation("postage", "should be first, second or economy"))
        if not ids.is_minted(request.request_id):
            raise invalid_field(FieldViolation("request_id", "should be a UUID of version 7"))
    return PrecompiledLetterCommand(
        postage=postage, recipient_address=request.recipient_address, **_common(request, received)
    )


CONVERTERS: Final[dict[str, Callable[[Any, Received], SendCommand]]] = {
    "sms": _sms_command,
    "email": _email_command,
    "letter": _letter_command,
    "precompiled_letter": _precompiled_letter_command,
}
"""What makes a command of each kind of request to send. They clear fields of the request."""


def _context_of(item: pb.SendItem, caller_deadline: float | None, spans: ExitStack) -> contextvars.Context:
    """Return a context in which an item's request is the current one, with a span in its own trace."""
    deadline = caller_deadline
    if item.HasField("time_left"):
        own = clock.monotonic() + item.time_left.seconds + item.time_left.nanos / 1e9
        deadline = own if deadline is None else min(own, deadline)
    context = contextvars.copy_context()
    context.run(current.enter, item.origin_request_id, item.traceparent, "api", deadline)
    if tracing.is_recording():
        span = tracing.span(_BATCH_SEND, SpanKind.SERVER)
        context.run(span.__enter__)
        spans.callback(context.run, span.__exit__, None, None, None)
    return context


def _item_command(item: pb.SendItem, context: contextvars.Context, retried: bool) -> SendCommand:
    """Return the command of an item that came in a context. Raises NotifyError INVALID_FIELD."""
    field_rules.check(item)
    kind: str = item.WhichOneof("request")
    request = getattr(item, kind)
    received = received_of(
        request.caller,
        context[current.request_id],
        context[current.traceparent],
        context[current.deadline],
        is_repeat=retried or item.is_repeat,
    )
    return CONVERTERS[kind](request, received)


def _answer(result: pb.SendResult, command: SendCommand, answer: Accepted | NotifyError) -> None:
    """Fill in the result of an item and log it, as the call of a single message is logged."""
    service_id = command.caller.service_id
    match answer:
        case AcceptedSms():
            result.sms.CopyFrom(_sms_response(answer))
        case AcceptedEmail():
            result.email.CopyFrom(_email_response(answer))
        case AcceptedLetter():
            result.letter.CopyFrom(_letter_response(answer))
        case AcceptedPrecompiledLetter():
            result.precompiled_letter.CopyFrom(_precompiled_letter_response(answer))
        case NotifyError():
            current.note(service_id=service_id)
            _refuse(result, answer)
            return
    current.note(service_id=service_id, notification_id=answer.notification_id)
    get_logger().info("message accepted", channel=command.channel)


def _refuse(result: pb.SendResult, error: NotifyError) -> None:
    get_logger().info("message refused", reason=error.reason)
    answer = status.to_status(error, DOMAIN, current.request_id.get())
    result.error = answer.SerializeToString()


def _sms_response(accepted: AcceptedSms) -> pb.SendSmsResponse:
    return pb.SendSmsResponse(
        notification_id=accepted.notification_id,
        body=accepted.body,
        from_number=accepted.from_number,
        template_version=accepted.template_version,
    )


def _email_response(accepted: AcceptedEmail) -> pb.SendEmailResponse:
    return pb.SendEmailResponse(
        notification_id=accepted.notification_id,
        subject=accepted.subject,
        body=accepted.body,
        from_address=accepted.from_address,
        template_version=accepted.template_version,
        sanitised_fields=[
            pb.SanitisedField(key=field.key, unsanitised=field.unsanitised, sanitised=field.sanitised)
            for field in accepted.sanitised_fields
        ],
    )


def _letter_response(accepted: AcceptedLetter) -> pb.SendLetterResponse:
    return pb.SendLetterResponse(
        notification_id=accepted.notification_id,
        subject=accepted.subject,
        body=accepted.body,
        template_version=accepted.template_version,
    )


def _precompiled_letter_response(accepted: AcceptedPrecompiledLetter) -> pb.SendPrecompiledLetterResponse:
    return pb.SendPrecompiledLetterResponse(
        notification_id=accepted.notification_id, postage=enums.to_proto(accepted.postage)
    )


def _is_retried(context: grpc.ServicerContext) -> bool:
    """Tell whether the caller's channel says that it sent this request before."""
    return any(key == _RETRY_METADATA for key, _ in context.invocation_metadata())


def _content_hash(request: Any) -> bytes:
    """Return a hash that is equal for requests that ask for the same, whatever their ids and whichever API
    key signed them.
    """
    request.ClearField("request_id")
    request.ClearField("idempotency_key")
    request.caller.ClearField("api_key_id")
    request.caller.ClearField("created_by_id")
    hashed = _content_hasher(request.DESCRIPTOR.full_name).copy()
    hashed.update(request.SerializeToString(deterministic=True))
    return hashed.digest()


@cache
def _content_hasher(name: str) -> hashlib.blake2b:
    """Return the beginning of the hashes of requests of a type."""
    return hashlib.blake2b(digest_size=16, key=name.encode()[:64])


def _quota(quota: Quota) -> pb.Quota:
    return pb.Quota(limit=quota.limit, remaining=quota.remaining, reset_seconds=quota.reset_seconds)


def caller_of(caller: pb.Caller) -> Caller:
    """Return who calls. Raises NotifyError INVALID_FIELD unless it is one of both kinds."""
    if bool(caller.api_key_id) == bool(caller.created_by_id):
        raise invalid_field(FieldViolation("caller", "should be either an API key or a member"))
    return Caller(
        caller.service_id,
        caller.api_key_id or None,
        enums.from_proto(KeyType, caller.key_type),
        caller.created_by_id or None,
    )


def _as_json(filters: Filters) -> dict[str, object]:
    return {
        "key_type": filters.key_type,
        "channels": sorted(filters.channels),
        "states": sorted(filters.states),
        "reference": filters.reference,
        "batch_id": filters.batch_id,
    }


def _details(stored: Notification) -> notification_pb2.NotificationDetails:
    return notification_pb2.NotificationDetails(
        normalised_recipient=stored.normalised_recipient,
        sender=stored.sender,
        personalisation=personalisation.to_proto(stored.personalisation),
        api_key_id=stored.api_key_id or "",
        international=stored.international,
        phone_prefix=stored.phone_prefix,
        rate_multiplier=stored.billable.rate_multiplier,
        print_reference=print_reference(stored.id) if stored.channel is Channel.LETTER else "",
        job_id=stored.job_id or "",
        job_name=stored.job_name or "",
        row_number=stored.row_number,
    )


def shown_notification(view: NotificationView, with_details: bool = False) -> notification_pb2.Notification:
    """Return a notification as it is told."""
    stored = view.notification
    return notification_pb2.Notification(
        id=stored.id,
        service_id=stored.service_id,
        channel=enums.to_proto(stored.channel),
        key_type=enums.to_proto(stored.key_type),
        reference=stored.reference,
        recipient=stored.recipient,
        state=state_of(stored.state),
        template_id=stored.template_id,
        template_version=stored.template_version,
        subject=view.subject,
        body=view.body,
        address=view.address,
        postage=enums.to_proto(stored.postage),
        one_click_unsubscribe_url=view.unsubscribe_url,
        provider=stored.provider,
        created_by_id=stored.created_by_id or "",
        created_by_name=view.created_by_name,
        create_time=stored.create_time,
        hand_over_time=stored.hand_over_time,
        sent_time=stored.sent_time,
        update_time=stored.update_time,
        send_at=stored.send_at,
        deliver_by=stored.deliver_by,
        estimated_delivery_time=view.estimated_delivery_time,
        cost=None if view.cost is None else _cost(view.cost),
        details=_details(stored) if with_details else None,
    )


def _cost(cost: Cost) -> notification_pb2.Cost:
    return notification_pb2.Cost(
        amount_micropounds=cost.amount_micropounds,
        sms_fragments=cost.sms_fragments,
        international_rate_multiplier=cost.international_rate_multiplier,
        sms_rate_micropounds=cost.sms_rate_micropounds,
        letter_sheets=cost.letter_sheets,
    )


def states_of(values: Iterable[int]) -> list[State]:
    """Return the states that a request names, each once."""
    return list(dict.fromkeys(State(enums.to_text(_STATES, one)) for one in values))


def state_of(text: str) -> Any:
    """Return the proto value of a state."""
    return enums.from_text(_STATES, text)

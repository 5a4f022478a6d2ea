"""NotificationsService: checks of fields, conversion, nothing else."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from notify.common.v1 import common_pb2
from notify.notifications.v1 import notification_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify.notifications.v1 import notifications_service_pb2_grpc as pb_grpc
from notify_common.current import note
from notify_common.rpc import enums
from notify_common.rpc.paging import Pager, page_size
from notify_common.rpc.validate import Checker, validating

from notify_notifications.clients import personalisation
from notify_notifications.domain.cost import Cost
from notify_notifications.domain.notification import Channel, KeyType
from notify_notifications.domain.personalisation import Pairs, texts
from notify_notifications.store.notifications import Filters
from notify_notifications.usecases.limits import Limits
from notify_notifications.usecases.preview_template import PreviewTemplate
from notify_notifications.usecases.read_notifications import NotificationView, ReadNotifications
from notify_notifications.usecases.send_email import EmailCommand, SendEmail
from notify_notifications.usecases.send_letter import SendLetter
from notify_notifications.usecases.send_sms import SendSms, SmsCommand
from notify_notifications.usecases.sending import Acceptance, Command, Sender

SERVICE: Final = pb.DESCRIPTOR.services_by_name["NotificationsService"].full_name

MAX_REFERENCE: Final = 1000
MAX_IDEMPOTENCY_KEY: Final = 255

_RETRY_METADATA: Final = "grpc-previous-rpc-attempts"
_STATES = notification_pb2.Notification.State


class NotificationsServicer(pb_grpc.NotificationsServiceServicer):
    """Serves notify.notifications.v1.NotificationsService."""

    def __init__(
        self,
        *,
        send_sms: SendSms,
        send_email: SendEmail,
        send_letter: SendLetter,
        acceptance: Acceptance,
        limits: Limits,
        read: ReadNotifications,
        preview: PreviewTemplate,
        pager: Pager,
    ) -> None:
        self._send_sms = send_sms
        self._send_email = send_email
        self._send_letter = send_letter
        self._acceptance = acceptance
        self._limits = limits
        self._read = read
        self._preview = preview
        self._pager = pager

    def SendSms(self, request: pb.SendSmsRequest, context: grpc.ServicerContext) -> pb.SendSmsResponse:
        """Accepts a text."""
        with validating() as check:
            common = _command(check, request, context)
            command = SmsCommand(
                **common,
                phone_number=check.text("phone_number", request.phone_number),
                sms_sender_id=_optional_id(check, "sms_sender_id", request.sms_sender_id),
            )
        accepted = self._send_sms.send(command)
        note(service_id=command.sender.service_id, notification_id=accepted.notification_id)
        return pb.SendSmsResponse(
            notification_id=accepted.notification_id,
            body=accepted.body,
            from_number=accepted.from_number,
            template_version=accepted.template_version,
        )

    def SendEmail(self, request: pb.SendEmailRequest, context: grpc.ServicerContext) -> pb.SendEmailResponse:
        """Accepts an email."""
        with validating() as check:
            common = _command(check, request, context)
            url = check.text("one_click_unsubscribe_url", request.one_click_unsubscribe_url)
            if url and not url.startswith("https"):
                check.fail("one_click_unsubscribe_url", "is not a valid https url")
            command = EmailCommand(
                **common,
                email_address=check.text("email_address", request.email_address),
                email_reply_to_id=_optional_id(check, "email_reply_to_id", request.email_reply_to_id),
                one_click_unsubscribe_url=url,
                sanitise_content_for=tuple(request.sanitise_content_for),
            )
        accepted = self._send_email.send(command)
        note(service_id=command.sender.service_id, notification_id=accepted.notification_id)
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

    def SendLetter(
        self, request: pb.SendLetterRequest, context: grpc.ServicerContext
    ) -> pb.SendLetterResponse:
        """Accepts a letter."""
        with validating() as check:
            command = Command(**_command(check, request, context))
        accepted = self._send_letter.send(command)
        note(service_id=command.sender.service_id, notification_id=accepted.notification_id)
        return pb.SendLetterResponse(
            notification_id=accepted.notification_id,
            subject=accepted.subject,
            body=accepted.body,
            template_version=accepted.template_version,
        )

    def CountRefusedRequest(
        self, request: pb.CountRefusedRequestRequest, context: grpc.ServicerContext
    ) -> pb.CountRefusedRequestResponse:
        """Charges the rate limit and compares the daily limit, without counting a message."""
        with validating() as check:
            sender = _sender(check, request)
            channel = check.enum("channel", common_pb2.Channel, request.channel)
        service = self._acceptance.service(sender.service_id)
        with self._limits.admit(service, sender.key_type, Channel(channel)):
            return pb.CountRefusedRequestResponse()

    def GetNotification(
        self, request: pb.GetNotificationRequest, context: grpc.ServicerContext
    ) -> pb.GetNotificationResponse:
        """Reads one notification."""
        with validating() as check:
            check.uuid("service_id", request.service_id)
            check.uuid("notification_id", request.notification_id)
        view = self._read.get(request.service_id, request.notification_id)
        return pb.GetNotificationResponse(notification=_notification(view))

    def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: grpc.ServicerContext
    ) -> pb.ListNotificationsResponse:
        """Lists notifications of a service."""
        with validating() as check:
            check.uuid("service_id", request.service_id)
            filters = Filters(
                key_type=check.enum("key_type", common_pb2.KeyType, request.key_type),
                channels=check.enums("channels", common_pb2.Channel, request.channels),
                states=check.enums("states", _STATES, request.states),
                reference=check.text("reference", request.reference)
                if request.HasField("reference")
                else None,
            )
            check.optional_uuid("older_than_id", request.older_than_id)
            if request.older_than_id and request.page_token:
                check.fail("page_token", "can't be given together with older_than_id")
        bound = {"list": "notifications", "service": request.service_id, **_as_json(filters)}
        size = page_size(request.page_size)
        if request.older_than_id:
            before = self._read.position(request.service_id, request.older_than_id)
            if before is None:
                return pb.ListNotificationsResponse()
        else:
            position = self._pager.decode(request.page_token, bound)
            before = None if position is None else (datetime.fromisoformat(position[0]), position[1])
        views, more = self._read.page(request.service_id, filters, before, size)
        response = pb.ListNotificationsResponse(notifications=map(_notification, views))
        if more:
            last = views[-1].notification
            response.next_page_token = self._pager.encode((last.create_time.isoformat(), last.id), bound)
        return response

    def PreviewTemplate(
        self, request: pb.PreviewTemplateRequest, context: grpc.ServicerContext
    ) -> pb.PreviewTemplateResponse:
        """Fills in a template."""
        with validating() as check:
            check.uuid("service_id", request.service_id)
            check.uuid("template_id", request.template_id)
            pairs = _personalisation(check, request.personalisation)
        preview = self._preview.preview(request.service_id, request.template_id, pairs)
        template = preview.template
        response = pb.PreviewTemplateResponse(
            channel=_enum(common_pb2.Channel, template.channel),
            template_version=template.version,
            subject=preview.subject,
            body=preview.body,
            html=preview.html,
            postage=_enum(common_pb2.Postage, template.postage),
        )
        response.create_time.FromDatetime(template.make_time)
        return response


def _command(check: Checker, request: Any, context: grpc.ServicerContext) -> dict[str, Any]:
    """What the three Send requests have in common. Clears fields of `request` on the way to its hash."""
    if check.uuid("request_id", request.request_id).version != 7 and not check.violations:
        check.fail("request_id", "is not a UUID of version 7")
    check.uuid("template_id", request.template_id)
    reference = request.reference if request.HasField("reference") else None
    if reference is not None:
        check.text("reference", reference, MAX_REFERENCE)
    return {
        "request_id": request.request_id,
        "sender": _sender(check, request),
        "template_id": request.template_id,
        "personalisation": _personalisation(check, request.personalisation),
        "has_file": any(field.HasField("file") for field in request.personalisation),
        "reference": reference,
        "idempotency_key": check.text("idempotency_key", request.idempotency_key, MAX_IDEMPOTENCY_KEY),
        "content_hash": _content_hash(request),
        "is_retry": any(key == _RETRY_METADATA for key, _ in context.invocation_metadata()),
    }


def _content_hash(request: Any) -> bytes:
    """Equal for requests that ask for the same, whatever their ids and whichever API key signed them."""
    content = type(request)()
    content.CopyFrom(request)
    content.ClearField("request_id")
    content.ClearField("idempotency_key")
    content.sender.ClearField("api_key_id")
    name = content.DESCRIPTOR.full_name.encode()
    return hashlib.blake2b(
        content.SerializeToString(deterministic=True), digest_size=16, key=name[:64]
    ).digest()


def _sender(check: Checker, request: Any) -> Sender:
    check.message("sender", request)
    sender = request.sender
    check.uuid("sender.service_id", sender.service_id)
    check.uuid("sender.api_key_id", sender.api_key_id)
    key_type = check.enum("sender.key_type", common_pb2.KeyType, sender.key_type)
    return Sender(sender.service_id, sender.api_key_id, KeyType(key_type or KeyType.NORMAL))


def _personalisation(check: Checker, fields: Iterable[common_pb2.PersonalisationField]) -> Pairs:
    pairs = personalisation.from_proto(fields)
    if any("\0" in text for text in texts(pairs)):
        check.fail("personalisation", "holds a NUL character")
    return pairs


def _optional_id(check: Checker, field: str, text: str) -> str:
    check.optional_uuid(field, text)
    return text


def _as_json(filters: Filters) -> dict[str, object]:
    return {
        "key_type": filters.key_type,
        "channels": sorted(filters.channels),
        "states": sorted(filters.states),
        "reference": filters.reference,
    }


def _notification(view: NotificationView) -> notification_pb2.Notification:
    stored = view.notification
    message = notification_pb2.Notification(
        id=stored.id,
        service_id=stored.service_id,
        channel=_enum(common_pb2.Channel, stored.channel),
        key_type=_enum(common_pb2.KeyType, stored.key_type),
        reference=stored.reference,
        recipient=stored.recipient,
        state=_enum(_STATES, stored.state),
        template_id=stored.template_id,
        template_version=stored.template_version,
        subject=view.subject,
        body=view.body,
        address=view.address,
        postage=_enum(common_pb2.Postage, stored.postage),
        one_click_unsubscribe_url=stored.unsubscribe_url,
        provider=stored.provider,
    )
    _set_time(message, "create_time", stored.create_time)
    _set_time(message, "hand_over_time", stored.hand_over_time)
    _set_time(message, "sent_time", stored.sent_time)
    _set_time(message, "update_time", stored.update_time)
    _set_time(message, "estimated_delivery_time", view.estimated_delivery_time)
    if view.cost is not None:
        message.cost.CopyFrom(_cost(view.cost))
    return message


def _cost(cost: Cost) -> notification_pb2.Cost:
    return notification_pb2.Cost(
        amount_micropounds=cost.amount_micropounds,
        sms_fragments=cost.sms_fragments,
        international_rate_multiplier=cost.international_rate_multiplier,
        sms_rate_micropounds=cost.sms_rate_micropounds,
        letter_sheets=cost.letter_sheets,
    )


def _enum(enum: Any, text: str | None) -> Any:
    return enums.from_text(enum, text) if text else 0


def _set_time(message: Message, field: str, time: datetime | None) -> None:
    if time is not None:
        getattr(message, field).FromDatetime(time.astimezone(UTC))

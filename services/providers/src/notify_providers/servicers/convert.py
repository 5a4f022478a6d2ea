"""Between the protos of this context and plain values."""

from datetime import UTC
from typing import Any

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from notify.providers.v1 import dispatch_pb2
from notify_common.enums import KeyType, Lane, Postage
from notify_common.errors import FieldViolation, invalid_field
from notify_common.rpc import enums

from notify_providers.domain.dispatch import Attempt, Dispatch
from notify_providers.domain.message import Content, EmailContent, NewDispatch, PrintContent, SmsContent
from notify_providers.domain.receipts import RecordedReceipt


def new_dispatch(
    retention_days: int, field: str, message: dispatch_pb2.Dispatch, *, printed: bool
) -> NewDispatch:
    """Read the dispatch at `field` to take over. Raises NotifyError INVALID_FIELD for what no proto can say.

    Args:
        retention_days: if the message names none.
        printed: whether it must be a letter; if not, it must be a text or an email.
    """
    allowed = ("print",) if printed else ("sms", "email")
    kind = message.WhichOneof("content")
    content: Content
    if kind not in allowed:
        raise invalid_field(FieldViolation(f"{field}.{kind}", f"should be {' or '.join(allowed)} here"))
    if kind == "sms":
        content = _sms(f"{field}.sms", message.sms)
    elif kind == "email":
        content = _email(message.email)
    else:
        content = _print(message.print)
    return NewDispatch(
        id=message.id,
        service_id=message.service_id,
        key_type=enums.from_proto(KeyType, message.key_type),
        content=content,
        request_id=message.origin_request_id,
        traceparent=message.traceparent,
        lane=enums.optional_from_proto(Lane, message.lane) or Lane.API,
        retention_days=message.retention_days or retention_days,
        deliver_by=message.deliver_by.ToDatetime(UTC) if message.HasField("deliver_by") else None,
    )


def _sms(field: str, sms: dispatch_pb2.SmsContent) -> SmsContent:
    number = sms.phone_number
    if not (number.isascii() and number.isdigit()):
        raise invalid_field(FieldViolation(f"{field}.phone_number", "should be digits with country code"))
    return SmsContent(
        phone_number=number,
        sender=sms.sender,
        body=sms.body,
        international=sms.international,
        phone_number_as_typed=sms.phone_number_as_typed,
    )


def _email(email: dispatch_pb2.EmailContent) -> EmailContent:
    return EmailContent(
        to_address=email.to_address,
        from_name=email.from_name,
        from_address=email.from_address,
        subject=email.subject,
        plain_body=email.plain_body,
        html_body=email.html_body,
        reply_to_address=email.reply_to_address,
        unsubscribe_url=email.unsubscribe_url,
    )


def _print(letter: dispatch_pb2.PrintContent) -> PrintContent:
    return PrintContent(
        pdf_key=letter.pdf_key,
        address_lines=tuple(letter.address_lines),
        postage=enums.from_proto(Postage, letter.postage),
        reference=letter.reference,
        sheet_count=letter.sheet_count,
        pdf_sha256=letter.pdf_sha256,
    )


def content_to_proto(content: Content, target: dispatch_pb2.Dispatch) -> None:
    """Set the content of a dispatch."""
    match content:
        case SmsContent():
            target.sms.phone_number = content.phone_number
            target.sms.sender = content.sender
            target.sms.body = content.body
            target.sms.international = content.international
            target.sms.phone_number_as_typed = content.phone_number_as_typed
        case EmailContent():
            target.email.to_address = content.to_address
            target.email.from_name = content.from_name
            target.email.from_address = content.from_address
            target.email.reply_to_address = content.reply_to_address
            target.email.subject = content.subject
            target.email.plain_body = content.plain_body
            target.email.html_body = content.html_body
            target.email.unsubscribe_url = content.unsubscribe_url
        case PrintContent():
            target.print.pdf_key = content.pdf_key
            target.print.address_lines.extend(content.address_lines)
            target.print.postage = enums.to_proto(content.postage)
            target.print.reference = content.reference
            target.print.sheet_count = content.sheet_count
            target.print.pdf_sha256 = content.pdf_sha256


def dispatch_to_proto(dispatch: Dispatch) -> dispatch_pb2.Dispatch:
    """Return a dispatch without its content."""
    return dispatch_pb2.Dispatch(
        id=dispatch.id,
        service_id=dispatch.service_id,
        key_type=enums.to_proto(dispatch.key_type),
        origin_request_id=dispatch.request_id,
        traceparent=dispatch.traceparent,
        state=enum_value(dispatch_pb2.Dispatch.State, dispatch.state),
        create_time=dispatch.create_time,
    )


def attempt_to_proto(attempt: Attempt) -> dispatch_pb2.Attempt:
    """Return an attempt; one under way has neither outcome nor end."""
    return dispatch_pb2.Attempt(
        number=attempt.number,
        provider=attempt.provider,
        start_time=attempt.start_time,
        end_time=attempt.end_time,
        outcome=enum_value(dispatch_pb2.Attempt.Outcome, attempt.outcome) if attempt.outcome else None,
        reason=attempt.reason,
        choice=attempt.choice,
    )


def receipt_to_proto(receipt: RecordedReceipt) -> dispatch_pb2.Receipt:
    """Return a receipt; its status has the provider's detail behind a slash, where there is one."""
    return dispatch_pb2.Receipt(
        provider=receipt.provider,
        status=f"{receipt.status}/{receipt.detail}" if receipt.detail else receipt.status,
        receive_time=receipt.receive_time,
    )


def enum_value(enum: EnumTypeWrapper, text: str) -> Any:
    """Return the value of an enum whose text is stored; Any, since each field wants its own enum's type."""
    return enums.from_text(enum, text)

"""Messages to take over, as values and as protos."""

from notify.common.v1 import common_pb2
from notify.providers.v1 import dispatch_pb2
from notify_common.enums import KeyType, Postage
from notify_common.ids import new_id
from notify_providers.domain.message import Content, EmailContent, NewDispatch, PrintContent, SmsContent

SERVICE_ID = "5d3c1a2e-0f4b-4c6d-8e7f-9a0b1c2d3e4f"
OTHER_SERVICE_ID = "00000000-0000-4000-8000-000000000001"
TRACEPARENT = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


def sms(
    number: str = "447700900123", key_type: KeyType = KeyType.NORMAL, *, international: bool = False
) -> NewDispatch:
    """Return a text to take over."""
    return new(SmsContent(number, "GOVUK", "Hello", international, number), key_type)


def email(address: str = "someone@example.com", key_type: KeyType = KeyType.NORMAL) -> NewDispatch:
    """Return an email to take over."""
    content = EmailContent(
        to_address=address,
        from_name="Service",
        from_address="service@example.com",
        subject="Subject",
        plain_body="Hello",
        html_body="<p>Hello</p>",
    )
    return new(content, key_type)


def letter(first_line: str = "A Person", key_type: KeyType = KeyType.NORMAL) -> NewDispatch:
    """Return a letter to take over."""
    content = PrintContent(
        pdf_key="letters/1.pdf",
        address_lines=(first_line, "1 Street", "SW1A 1AA"),
        postage=Postage.SECOND,
        reference="0123456789ABCDEF",
        sheet_count=1,
    )
    return new(content, key_type)


def new(content: Content, key_type: KeyType) -> NewDispatch:
    """Return a message with an id of its own."""
    return NewDispatch(
        id=new_id(),
        service_id=SERVICE_ID,
        key_type=key_type,
        content=content,
        request_id="request-1",
        traceparent=TRACEPARENT,
    )


def sms_proto(number: str = "447700900123") -> dispatch_pb2.Dispatch:
    """Return a text as the relay hands it over."""
    return dispatch_pb2.Dispatch(
        id=new_id(),
        service_id=SERVICE_ID,
        key_type=common_pb2.KEY_TYPE_NORMAL,
        sms=dispatch_pb2.SmsContent(
            phone_number=number, sender="GOVUK", body="Hello", phone_number_as_typed=number
        ),
        origin_request_id="request-1",
        traceparent=TRACEPARENT,
    )


def letter_proto() -> dispatch_pb2.Dispatch:
    """Return a letter as a print run hands it over."""
    return dispatch_pb2.Dispatch(
        id=new_id(),
        service_id=SERVICE_ID,
        key_type=common_pb2.KEY_TYPE_NORMAL,
        print=dispatch_pb2.PrintContent(
            pdf_key="letters/1.pdf",
            address_lines=["A Person", "1 Street", "SW1A 1AA"],
            postage=common_pb2.POSTAGE_SECOND,
            reference="0123456789ABCDEF",
            sheet_count=1,
        ),
    )

"""A sandbox full of messages, for the tests of the inbox."""

import io
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from notify.common.v1.common_pb2 import Channel, KeyType, Postage
from notify.notifications.v1.notification_pb2 import Notification
from notify.providers.v1.dispatch_pb2 import (
    Attempt,
    Dispatch,
    EmailContent,
    PrintContent,
    Receipt,
    SmsContent,
)
from notify.providers.v1.sandbox_service_pb2 import SandboxMessage
from PIL import Image, ImageDraw

from .neighbours import Neighbours, a_notification, timestamp

EMAIL_PAGE = """<!DOCTYPE html>
<html lang="en"><head lang="en"><meta charset="utf-8"><title>Visit</title></head>
<body style="margin: 0; font-family: Helvetica, Arial, sans-serif;">
<p style="background: #0b0c0c; color: #ffffff; margin: 0; padding: 16px;">Pigeon Affairs</p>
<h2 style="padding: 0 16px;">Your visit</h2>
<p style="padding: 0 16px;">Dear Amala, please bring <a href="https://example.com/list">these things</a>.</p>
<script>document.body.textContent = "script ran"; parent.document.title = "script ran";</script>
<img src="https://tracker.example/pixel.png" alt="">
</body></html>"""


def add_message(neighbours: Neighbours, channel: int, recipient: str, **content: object) -> SandboxMessage:
    """Put a message on top of the sandbox, one minute newer than the one before, and return it."""
    before = (
        neighbours.providers.messages[0].receive_time.ToDatetime(UTC)
        if neighbours.providers.messages
        else None
    )
    moment = before + timedelta(minutes=1) if before else datetime.now(UTC) - timedelta(hours=30)
    message_id, service_id = str(uuid4()), str(uuid4())
    message = SandboxMessage(
        id=message_id,
        service_id=service_id,
        channel=channel,  # type: ignore[arg-type] # the numbers are the enum's
        recipient=recipient,
        receive_time=timestamp(moment),
        copy_count=1,
        dispatch=Dispatch(
            id=message_id,
            service_id=service_id,
            key_type=KeyType.KEY_TYPE_NORMAL,
            origin_request_id="0f" * 16,
            **content,  # type: ignore[arg-type] # one of its contents
        ),
    )
    neighbours.providers.messages.insert(0, message)
    return message


def add_text(
    neighbours: Neighbours, recipient: str = "447700900123", body: str = "Hello Amala"
) -> SandboxMessage:
    """Put a text message on top of the sandbox."""
    sms = SmsContent(phone_number=recipient, sender="GOVUK", body=body)
    message = add_message(neighbours, Channel.CHANNEL_SMS, recipient, sms=sms)
    message.summary = body[:200]
    return message


def add_email(neighbours: Neighbours, recipient: str = "amala@example.com") -> SandboxMessage:
    """Put an email, which tries to run a script, on top of the sandbox."""
    email = EmailContent(
        to_address=recipient,
        from_name="Pigeon Affairs",
        from_address="pigeon.affairs@notify.example",
        reply_to_address="help@example.gov.uk",
        subject="Your visit on 5 May",
        plain_body="Dear Amala\n\nplease bring these things: https://example.com/list",
        html_body=EMAIL_PAGE,
    )
    message = add_message(neighbours, Channel.CHANNEL_EMAIL, recipient, email=email)
    message.summary = email.subject
    return message


def add_letter(neighbours: Neighbours, pages: int = 2) -> SandboxMessage:
    """Put a letter with page images on top of the sandbox."""
    address = ["Amala Bird", "123 High Street", "Richmond upon Thames", "SW14 6BF"]
    printed = PrintContent(
        pdf_key="k",
        address_lines=address,
        postage=Postage.POSTAGE_FIRST,
        reference="ABCDEFGH12345678",
        sheet_count=1,
    )
    message = add_message(neighbours, Channel.CHANNEL_LETTER, "Amala Bird, 123 High Street", print=printed)
    message.summary = ", ".join(address)
    neighbours.letters.pages[message.id] = [page_image(number) for number in range(1, pages + 1)]
    neighbours.letters.pdfs[message.id] = b"%PDF-1.7 " + b"x" * 5000
    return message


def add_way(
    neighbours: Neighbours, message: SandboxMessage, state: int = Notification.STATE_DELIVERED
) -> None:
    """Make up a way for a message: accepted, handed over, one failed attempt, a good one, and a receipt."""
    start = message.receive_time.ToDatetime(UTC) - timedelta(seconds=2)

    def at(seconds: float) -> object:
        return timestamp(start + timedelta(seconds=seconds))

    neighbours.notifications.stored.append(
        a_notification(
            message.service_id,
            message.channel,
            id=message.id,
            state=state,
            create_time=at(0),
            hand_over_time=at(0.08),
        )
    )
    moving = state == Notification.STATE_SENDING
    receipts = [Receipt(provider="sandbox", status="delivered", receive_time=at(3.5))]  # type: ignore[arg-type]
    neighbours.providers.timelines[message.id] = (
        [
            Attempt(
                number=1,
                provider="sandbox",
                start_time=at(0.2),  # type: ignore[arg-type]
                end_time=at(0.7),  # type: ignore[arg-type]
                outcome=Attempt.OUTCOME_RETRYABLE,
                reason="timeout",
            ),
            Attempt(
                number=2,
                provider="sandbox",
                start_time=at(1.9),  # type: ignore[arg-type]
                end_time=at(2),  # type: ignore[arg-type]
                outcome=Attempt.OUTCOME_ACCEPTED,
            ),
        ],
        [] if moving else receipts,
    )


def page_image(number: int) -> bytes:
    """Return a page as a PNG."""
    image = Image.new("RGB", (1000, 1414), "white")
    draw = ImageDraw.Draw(image)
    for line in range(18):
        top = 420 + line * 40
        draw.rectangle((120, top, 880 - (line * 37) % 260, top + 12), fill="#888888")
    draw.text((120, 300), f"Page {number}", fill="black", font_size=48)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()

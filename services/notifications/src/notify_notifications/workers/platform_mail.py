"""Sending the platform's own mail (ADR 0017)."""

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from notify.admin.v1.platform_mail_service_pb2 import PlatformMail
from notify.common.v1 import common_pb2
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.enums import KeyType
from notify_common.feeds.consumer import FeedConsumer
from notify_common.ids import PLATFORM_SERVICE_ID

from notify_notifications.clients.personalisation import from_proto
from notify_notifications.clients.platform_mail import PAGE_SIZE, PlatformMailFeed
from notify_notifications.domain.hand_over import lane_of
from notify_notifications.domain.record import Origin
from notify_notifications.store.tables import feed_cursors
from notify_notifications.usecases.prepare import Caller, EmailCommand, SendCommand, SmsCommand
from notify_notifications.usecases.send import SendingParts
from notify_notifications.usecases.send_platform_mail import send_platform_mail

_CALLER: Final = Caller(PLATFORM_SERVICE_ID, None, KeyType.NORMAL)


def platform_mail_consumer(
    uow: UnitOfWork, feed: PlatformMailFeed, sending: SendingParts, *, aside: bool = False
) -> FeedConsumer[PlatformMail]:
    """Return what sends each mail of the feed; `aside` for an Intake.

    A page is sent before the cursor moves on, since sending can't be part of the cursor's transaction. Each
    mail is stored under its own id: a page that is read again, by this process or another, sends none twice.
    """

    def send_page(cursor: str) -> tuple[Sequence[PlatformMail], str]:
        mails, next_cursor = feed.read(cursor)
        send_platform_mail(sending, [command(mail) for mail in mails])
        return mails, next_cursor

    def sent(tx: Tx, mails: Sequence[PlatformMail]) -> None:
        """Have nothing left to do."""

    return FeedConsumer("platform-mail", uow, feed_cursors, send_page, sent, full_page=PAGE_SIZE, aside=aside)


def command(mail: PlatformMail) -> SendCommand:
    """Return a mail as the command to send it."""
    pairs = from_proto(mail.personalisation)
    said = [mail.template_id, mail.channel, mail.recipient, pairs, mail.reply_to_address]
    shared = {
        "request_id": mail.id,
        "caller": _CALLER,
        "template_id": mail.template_id,
        "personalisation": pairs,
        "has_file": False,
        "reference": None,
        "idempotency_key": "",
        "content_hash": hashlib.blake2b(json.dumps(said).encode(), digest_size=16).digest(),
        # whoever read this page before may have died before it said so
        "is_repeat": True,
        "origin": Origin(mail.request_id, mail.traceparent, lane_of(PLATFORM_SERVICE_ID)),
    }
    if mail.channel == common_pb2.CHANNEL_SMS:
        return SmsCommand(**shared, phone_number=mail.recipient, sms_sender_id="")  # type: ignore[arg-type] # of its fields
    return EmailCommand(
        **shared,  # type: ignore[arg-type] # of its fields
        email_address=mail.recipient,
        email_reply_to_id="",
        reply_to_address=mail.reply_to_address,
        one_click_unsubscribe_url="",
        sanitise_content_for=(),
    )

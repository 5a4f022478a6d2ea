"""The far end that the sandbox plays: keeping messages, issuing receipts, showing what is kept."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from sqlalchemy import Row

from notify_providers.domain.message import Content, EmailContent, Message, PrintContent, SmsContent
from notify_providers.domain.receipts import parse_receipt
from notify_providers.domain.sandbox import Script
from notify_providers.store import sandbox
from notify_providers.store.sandbox import OwedReceipt
from notify_providers.usecases.record_receipt import record_all

_SUMMARY_CHARACTERS = 200
ISSUE_BATCH = 500
"""Most receipts that are issued at once."""


def keep_messages(
    uow: UnitOfWork, receipt_delay: float, provider: str, taken: Sequence[tuple[Message, Script]]
) -> None:
    """Keeps the messages of one batch of calls and queues the receipts that their scripts name.

    Idempotency key: the message's id. A second copy is counted and gets no receipts of its own.

    Args:
        receipt_delay: seconds until the first receipt; each further one follows a tenth later.
    """
    if not taken:
        return
    now = clock.now().isoformat()
    with uow.begin() as conn:
        new = sandbox.keep(conn, [m for m, _ in taken], [summary_of(m.content) for m, _ in taken])
        owed = [
            OwedReceipt(
                message_id=message.id,
                number=number,
                provider=provider,
                body=json.dumps({"reference": str(message.id), "status": status, "time": now}),
                delay=receipt_delay * (1 + number / 10),
                request_id=message.request_id,
                traceparent=message.traceparent,
            )
            for message, part in taken
            if message.id in new
            for number, status in enumerate(part.receipts)
        ]
        sandbox.owe(conn, owed)


def issue_receipts(uow: UnitOfWork) -> int:
    """Issues up to 500 due receipts the way that a real provider's come in; returns how many.

    One transaction: the receipts are recorded and leave the queue together.
    """
    with uow.begin() as conn:
        rows = sandbox.claim_owed(conn, ISSUE_BATCH)
        if rows:
            record_all(conn, [parse_receipt(row.provider, row.body.encode()) for row in rows])
            sandbox.finish_owed(conn, rows)
    return len(rows)


def get_message(uow: UnitOfWork, message_id: UUID) -> Row[Any]:
    """Returns a kept message with its content.

    Raises:
        NotifyError: SANDBOX_MESSAGE_NOT_FOUND.
    """
    with uow.autocommit() as conn:
        row = sandbox.get(conn, message_id)
    if row is None:
        raise NotifyError("SANDBOX_MESSAGE_NOT_FOUND")
    return row


def list_messages(
    uow: UnitOfWork, recipient_contains: str, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row[Any]]:
    """Returns kept messages without their content, newest first, from behind `before` on."""
    with uow.autocommit() as conn:
        return sandbox.list_newest(conn, recipient_contains, before, limit)


def trim_messages(uow: UnitOfWork, keep_count: int, keep_days: float) -> int:
    """Deletes a bounded number of messages that are beyond the newest `keep_count` or too old."""
    with uow.begin() as conn:
        return sandbox.trim(conn, keep_count, keep_days)


def summary_of(content: Content) -> str:
    """Returns what a list shows of a message: at most 200 characters on one line."""
    match content:
        case SmsContent():
            text = content.body
        case EmailContent():
            text = content.subject
        case PrintContent():
            text = ", ".join(content.address_lines)
    return " ".join(text.split())[:_SUMMARY_CHARACTERS]

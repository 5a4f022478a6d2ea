"""The far end that the sandbox plays: keeping messages, issuing receipts, showing what is kept."""

from collections.abc import Sequence
from datetime import datetime

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError

from notify_providers.clients.sandbox import read_receipt, write_receipt
from notify_providers.domain.message import Content, EmailContent, Message, PrintContent, SmsContent
from notify_providers.domain.sandbox import KeptMessage, Script, Wanted
from notify_providers.store import sandbox
from notify_providers.store.sandbox import OwedReceipt
from notify_providers.usecases.record_receipt import record_all

_SUMMARY_CHARACTERS = 200
ISSUE_BATCH = 500
"""Most receipts that are issued at once."""


def keep_messages(
    uow: UnitOfWork, receipt_delay: float, provider: str, taken: Sequence[tuple[Message, Script]]
) -> bool:
    """Keep the messages of one batch of calls and queue the receipts that their scripts name.

    Return False if the database failed: the transaction may have been committed all the same.

    Idempotency key: the message's id. A second copy is counted and gets no receipts of its own.

    Args:
        receipt_delay: seconds until the first receipt; each further one follows a tenth later.
    """
    if not taken:
        return True
    now = clock.now().isoformat()
    try:
        with uow.begin() as conn:
            new = sandbox.keep(conn, [m for m, _ in taken], [summary_of(m.content) for m, _ in taken])
            owed = [
                OwedReceipt(
                    message_id=message.id,
                    number=number,
                    provider=provider,
                    body=write_receipt(message.id, kind, now),
                    delay=_delay(receipt_delay, part, number),
                    request_id=message.request_id,
                    traceparent=message.traceparent,
                )
                for message, part in taken
                if message.id in new
                for number, kind in enumerate(part.receipts)
            ]
            sandbox.owe(conn, owed)
    except sandbox.DatabaseError:
        return False
    return True


def _delay(receipt_delay: float, part: Script, number: int) -> float:
    is_last = number == len(part.receipts) - 1
    return receipt_delay * (1 + number / 10) + (part.last_receipt_seconds if is_last else 0.0)


def issue_receipts(uow: UnitOfWork) -> int:
    """Issue up to 500 due receipts the way that a real provider's come in; return how many.

    One transaction: the receipts are recorded and leave the queue together.
    """
    with uow.begin() as conn:
        due = sandbox.claim_owed(conn, ISSUE_BATCH)
        if due:
            record_all(conn, [read_receipt(receipt.provider, receipt.body) for receipt in due])
            sandbox.finish_owed(conn, due)
    return len(due)


def get_message(uow: UnitOfWork, message_id: str) -> tuple[KeptMessage, Content]:
    """Return a kept message with its content.

    Raises:
        NotifyError: SANDBOX_MESSAGE_NOT_FOUND.
    """
    with uow.autocommit() as conn:
        found = sandbox.get(conn, message_id)
    if found is None:
        raise NotifyError("SANDBOX_MESSAGE_NOT_FOUND")
    return found


def list_messages(
    uow: UnitOfWork, wanted: Wanted, before: tuple[datetime, str] | None, limit: int
) -> list[KeptMessage]:
    """Return kept messages, newest first, from behind `before` on."""
    with uow.autocommit() as conn:
        return sandbox.list_newest(conn, wanted, before, limit)


def trim_messages(uow: UnitOfWork, keep_count: int, keep_days: float) -> int:
    """Delete a bounded number of messages that are beyond the newest `keep_count` or too old."""
    with uow.begin() as conn:
        return sandbox.trim(conn, keep_count, keep_days)


def summary_of(content: Content) -> str:
    """Return what a list shows of a message: at most 200 characters on one line."""
    match content:
        case SmsContent():
            text = content.body
        case EmailContent():
            text = content.subject
        case PrintContent():
            text = ", ".join(content.address_lines)
    return " ".join(text.split())[:_SUMMARY_CHARACTERS]

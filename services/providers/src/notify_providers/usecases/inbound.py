"""Texts that people send to numbers of ours: kept, and passed on as news."""

from datetime import timedelta

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.feeds.producer import trim_feed

from notify_providers.clients.base import Callback, CallbackAnswer, Rejected
from notify_providers.clients.callbacks import CallbackReader
from notify_providers.domain.inbound import InboundSmsEvent
from notify_providers.store import inbound
from notify_providers.store.tables import inbound_sms_events


def record_inbound(
    uow: UnitOfWork, reader: CallbackReader, provider: str, callback: Callback
) -> tuple[bool, CallbackAnswer]:
    """Keep the text that a provider brings; return whether it was new, and how to answer.

    What can't be read, or is not from the provider, changes nothing; the answer says so.
    Idempotency key: everything that the provider says of the text.

    Raises:
        NotifyError: PROVIDER_NOT_FOUND, no provider of this name brings texts.
    """
    try:
        read = reader.read_inbound(provider, callback)
    except Rejected as rejected:
        return False, rejected.answer
    with uow.begin() as conn:
        return inbound.append(conn, read.text), read.answer


def list_inbound(uow: UnitOfWork, cursor: str, limit: int) -> tuple[list[InboundSmsEvent], str]:
    """Return at most `limit` (0: 500) texts after a cursor, oldest first, and the cursor to go on from.

    Raises:
        NotifyError: INVALID_FIELD, the cursor is none of this feed.
    """
    with uow.autocommit() as conn:
        return inbound.list_events(conn, cursor, limit)


def trim_inbound(uow: UnitOfWork, keep_days: float) -> int:
    """Delete a bounded number of texts older than these days; return how many."""
    with uow.begin() as conn:
        return trim_feed(conn, inbound_sms_events, timedelta(days=keep_days))

"""Recording what providers report; the sandbox's receipts take the same way (design.md §3.8)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.logging import get_logger
from sqlalchemy import Connection, Row

from notify_providers.domain.dispatch import IN_DOUBT, QUEUED, SENT
from notify_providers.domain.receipts import SENT as SENT_EVENT
from notify_providers.domain.receipts import InvalidReceipt, Receipt, parse_receipt
from notify_providers.store import dispatches, receipts
from notify_providers.store.dispatches import Change, Event


def record_receipt(uow: UnitOfWork, provider: str, body: bytes) -> bool:
    """Records a receipt as it came in; returns whether it was new.

    Idempotency key: (provider, reference, status, provider's time).

    Raises:
        NotifyError: RECEIPT_INVALID, it can't be read; metadata `missing` names absent required fields,
            joined by commas. PROVIDER_NOT_FOUND, no provider of this name sends receipts.
    """
    try:
        receipt = parse_receipt(provider, body)
    except KeyError:
        raise NotifyError("PROVIDER_NOT_FOUND", "no provider of this name sends receipts") from None
    except InvalidReceipt as error:
        get_logger().warning("receipt can't be read", provider=provider, reason=str(error))
        missing = {"missing": ",".join(error.missing)} if error.missing else {}
        raise NotifyError(
            "RECEIPT_INVALID", f"the receipt can't be read: {error}", metadata=missing
        ) from None
    with uow.begin() as conn:
        return record_all(conn, [receipt]) == 1


def record_all(conn: Connection, batch: Sequence[Receipt]) -> int:
    """Records up to 500 receipts in the caller's transaction; returns how many were new.

    A receipt proves that its provider has the message: a dispatch that waits for another try, or is in doubt,
    counts as sent from here on. One that comes while a call is under way, or of a dispatch that its provider
    was never given, is kept unmatched until an attempt ends (`join_unmatched`).
    """
    ids = list({receipt.dispatch_id for receipt in batch})
    locked = dispatches.lock(conn, ids)
    called = dispatches.providers_called(conn, ids)
    matched: list[Receipt] = []
    unmatched: list[Receipt] = []
    for receipt in batch:
        row = locked.get(receipt.dispatch_id)
        early = row is None or _under_way(row) or (receipt.dispatch_id, receipt.provider) not in called
        (unmatched if early else matched).append(receipt)
    repeated = receipts.known(conn, unmatched) if unmatched else set()
    new = receipts.insert_unmatched(conn, [r for r in unmatched if receipts.sameness(r) not in repeated])
    return len(new) + len(apply_matched(conn, locked, matched))


def join_unmatched(
    conn: Connection, locked: Mapping[UUID, Row[Any]], called: Collection[tuple[UUID, str]]
) -> list[Receipt]:
    """Takes the receipts that came before the calls of these (dispatch id, provider) had ended.

    Give them to `apply_matched` in the same transaction, once the states that the calls led to are written.
    """
    return [r for r in receipts.take_unmatched(conn, list(called)) if r.dispatch_id in locked]


def apply_matched(
    conn: Connection, locked: Mapping[UUID, Row[Any]], matched: Sequence[Receipt]
) -> list[Receipt]:
    """Inserts receipts of locked dispatches, with their delivery events; returns those that were new.

    Dispatches that `locked` shows as queued or in doubt become sent.
    """
    inserted = receipts.insert_matched(conn, matched)
    new = []
    for receipt in matched:
        same = receipts.sameness(receipt)
        if same in inserted:
            inserted.discard(same)
            new.append(receipt)
    events = []
    proven: dict[UUID, Receipt] = {}
    for receipt in new:
        row = locked[receipt.dispatch_id]
        if row.state in (QUEUED, IN_DOUBT) and row.id not in proven:
            proven[row.id] = receipt
            events.append(Event(row.id, row.channel, SENT_EVENT, receipt.provider))
        if not receipt.second_copy:
            events.append(Event(row.id, row.channel, receipt.kind, receipt.provider))
    dispatches.change_states(conn, [Change(id, SENT, None, keeps_content=False) for id in sorted(proven)])
    dispatches.append_events(conn, events)
    return new


def _under_way(row: Row[Any]) -> bool:
    """Whether a call for this dispatch is under way, or its process died and nobody has found out yet."""
    return bool(row.state == QUEUED and row.lease_token is not None)

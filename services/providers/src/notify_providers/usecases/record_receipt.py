"""Recording what providers report; the sandbox's receipts take the same way (design.md §3.8)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.enums import Channel
from notify_common.logging import get_logger

from notify_providers.clients.base import Callback, CallbackAnswer, Rejected
from notify_providers.clients.callbacks import CallbackReader
from notify_providers.domain.dispatch import State
from notify_providers.domain.receipts import Kind, Receipt
from notify_providers.store import dispatches, receipts, suppressions
from notify_providers.store.dispatches import Change, Event, Locked


def record_callback(
    uow: UnitOfWork, reader: CallbackReader, provider: str, callback: Callback
) -> tuple[bool, CallbackAnswer]:
    """Record what a provider reports; return whether any of it was new, and how to answer.

    What can't be read, or is not from the provider, changes nothing; the answer says so.
    Idempotency key of a receipt: (provider, reference, status, provider's time).

    Raises:
        NotifyError: PROVIDER_NOT_FOUND, no provider of this name reports.
    """
    try:
        read = reader.read_receipts(provider, callback)
    except Rejected as rejected:
        return False, rejected.answer
    if read.about_none:
        return False, read.answer
    if not read.receipts:
        get_logger().error("callback is about no message of ours", provider=provider)
        return False, read.answer
    with uow.begin() as conn:
        return record_all(conn, read.receipts) > 0, read.answer


def record_all(conn: Tx, batch: Sequence[Receipt]) -> int:
    """Record up to 500 receipts in the caller's transaction; return how many were new.

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
        found = locked.get(receipt.dispatch_id)
        early = found is None or _under_way(found) or (receipt.dispatch_id, receipt.provider) not in called
        (unmatched if early else matched).append(receipt)
    repeated = receipts.known(conn, unmatched) if unmatched else set()
    new = receipts.insert_unmatched(conn, [r for r in unmatched if receipts.sameness(r) not in repeated])
    return len(new) + len(apply_matched(conn, locked, matched))


def join_unmatched(conn: Tx, ids: Collection[str], called: Collection[tuple[str, str]]) -> list[Receipt]:
    """Take the receipts of dispatches that came before the calls of these (dispatch id, provider) had ended.

    Give them to `apply_matched` in the same transaction, once the states that the calls led to are written.

    Args:
        ids: of locked dispatches; receipts of others are not returned.
    """
    return [r for r in receipts.take_unmatched(conn, list(called)) if r.dispatch_id in ids]


def apply_matched(conn: Tx, locked: Mapping[str, Locked], matched: Sequence[Receipt]) -> list[Receipt]:
    """Insert receipts of locked dispatches, with their delivery events; return those that were new.

    Dispatches that `locked` shows as queued or in doubt become sent.
    """
    matched = _settle_kinds(conn, matched)
    inserted = receipts.insert_matched(conn, matched)
    new = []
    for receipt in matched:
        same = receipts.sameness(receipt)
        if same in inserted:
            inserted.discard(same)
            new.append(receipt)
    events = []
    proven: dict[str, Receipt] = {}
    for receipt in new:
        found = locked[receipt.dispatch_id]
        if found.state in (State.QUEUED, State.IN_DOUBT) and found.id not in proven:
            proven[found.id] = receipt
            events.append(Event(found.id, found.channel, Kind.SENT, receipt.provider))
        if not receipt.silent:
            events.append(Event(found.id, found.channel, receipt.kind, receipt.provider))
    dispatches.change_states(
        conn, [Change(id, State.SENT, None, keeps_content=False) for id in sorted(proven)]
    )
    dispatches.append_events(conn, events)
    _suppress(conn, locked, new)
    return new


def _suppress(conn: Tx, locked: Mapping[str, Locked], new: Sequence[Receipt]) -> None:
    """Suppress whom new receipts say so of; a receipt that comes again, after a release too, does not."""
    reported: dict[Channel, list[Receipt]] = {}
    for receipt in new:
        if receipt.suppression:
            reported.setdefault(locked[receipt.dispatch_id].channel, []).append(receipt)
    for channel, receipts_ in reported.items():
        count = suppressions.add_reported(conn, channel, receipts_)
        get_logger().info("addresses suppressed", channel=channel, count=count)


def _settle_kinds(conn: Tx, matched: Sequence[Receipt]) -> list[Receipt]:
    """Give receipts whose meaning depends on an earlier `pending` the kind that follows from it."""
    unsettled = [receipt.dispatch_id for receipt in matched if receipt.kind_after_pending]
    if not unsettled:
        return list(matched)
    pending = receipts.reported_pending(conn, unsettled)
    settled = []
    for receipt in matched:
        if receipt.kind is Kind.PENDING:
            pending.add((receipt.dispatch_id, receipt.provider))
        elif receipt.kind_after_pending and (receipt.dispatch_id, receipt.provider) in pending:
            receipt = replace(receipt, kind=receipt.kind_after_pending)
        settled.append(receipt)
    return settled


def _under_way(dispatch: Locked) -> bool:
    """Tell whether a call for it is under way, or its process died and nobody has found out yet."""
    return dispatch.state is State.QUEUED and dispatch.lease_token is not None

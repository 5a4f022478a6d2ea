"""Looking at and changing which addresses get no more messages."""

from datetime import datetime
from typing import Final

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.ops.queues import Action, keep_action

from notify_providers.domain.suppression import AddressHash, Cause, Suppression, one_spelling
from notify_providers.store import suppressions
from notify_providers.store.tables import ops

MAX_RELEASED: Final = 10_000
"""Addresses that one call releases at most."""


def get_suppression(
    uow: UnitOfWork, hashed: AddressHash, channel: Channel, address: str
) -> Suppression | None:
    """Return what is known of a suppressed address; None if it is not suppressed."""
    with uow.autocommit() as conn:
        return suppressions.get(conn, channel, hashed(channel, one_spelling(channel, address)))


def add_suppression(
    uow: UnitOfWork, hashed: AddressHash, channel: Channel, address: str, caller: str, reason: str
) -> Suppression:
    """Suppress an address for an operator's reason. One that is suppressed stays so, for its first cause."""
    key = hashed(channel, one_spelling(channel, address))
    with uow.begin() as conn:
        new = suppressions.add(conn, channel, key, Cause.OPERATOR, reason)
        found = suppressions.get(conn, channel, key)
        keep_action(conn, ops, Action("suppress", "", caller, reason, cause=channel, count=int(new)))
    if found is None:
        raise RuntimeError("an address that was suppressed in this transaction is not")
    return found


def remove_suppression(
    uow: UnitOfWork, hashed: AddressHash, channel: Channel, address: str, caller: str, reason: str
) -> bool:
    """Let an address have messages again; return whether it was suppressed. Again, it changes nothing."""
    with uow.begin() as conn:
        removed = suppressions.remove(conn, channel, hashed(channel, one_spelling(channel, address)))
        keep_action(conn, ops, Action("release", "", caller, reason, cause=channel, count=int(removed)))
    return removed


def release_suppressions(
    uow: UnitOfWork,
    channel: Channel,
    cause: Cause | None,
    since: datetime,
    until: datetime,
    caller: str,
    reason: str,
) -> int:
    """Let up to MAX_RELEASED addresses have messages again that were suppressed in a time; return how many.

    For the day on which a provider reported what was not so. As many as that asks for another call.

    Args:
        cause: only those of this cause; None means of any.
        until: not included.
    """
    named = channel if cause is None else f"{channel}: {cause}"
    with uow.begin() as conn:
        count = suppressions.release(conn, channel, cause, since, until, MAX_RELEASED)
        keep_action(conn, ops, Action("release-many", "", caller, reason, cause=named, count=count))
    return count

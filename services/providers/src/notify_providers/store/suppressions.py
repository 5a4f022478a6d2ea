"""Statements on suppressed addresses."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.arrays import Types, columns_given, unnest, unnest_later
from notify_common.db.columns import id_type
from notify_common.db.prepared import prepared
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql import insert

from notify_providers.domain.receipts import Receipt
from notify_providers.domain.suppression import Cause, Suppression
from notify_providers.store.tables import attempts, suppressions

_HASHES: Final[Types] = {"hash": sa.LargeBinary()}


def _find() -> Select[Any]:
    wanted = unnest_later("wanted", _HASHES)
    channel = sa.bindparam("of_channel", type_=sa.Text)
    return sa.select(suppressions.c.address_hash).where(
        suppressions.c.channel == channel, suppressions.c.address_hash == wanted.c.hash
    )


_FIND: Final = prepared(_find())


def find(conn: Tx, channel: Channel, hashes: Collection[bytes]) -> set[bytes]:
    """Return which of these hashes are of suppressed addresses."""
    given = columns_given("wanted", _HASHES, [(one,) for one in hashes])
    return {bytes(row.address_hash) for row in conn.execute(_FIND, {"of_channel": channel, **given})}


def get(conn: Tx, channel: Channel, address_hash: bytes) -> Suppression | None:
    """Return what is known of a suppressed address; None if it is not suppressed."""
    row = conn.execute(
        sa.select(suppressions).where(
            suppressions.c.channel == channel, suppressions.c.address_hash == address_hash
        )
    ).one_or_none()
    if row is None:
        return None
    return Suppression(
        channel=Channel(row.channel),
        cause=Cause(row.cause),
        reason=row.reason,
        dispatch_id=row.dispatch_id,
        create_time=row.create_time,
    )


def add(conn: Tx, channel: Channel, address_hash: bytes, cause: Cause, reason: str) -> bool:
    """Suppress an address; return whether it was not yet. What is known of it stays as it is."""
    row = {"channel": channel, "address_hash": address_hash, "cause": cause, "reason": reason}
    return conn.execute(insert(suppressions).values(row).on_conflict_do_nothing()).rowcount == 1


def add_reported(conn: Tx, channel: Channel, reported: Sequence[Receipt]) -> int:
    """Suppress those whom reports are about, as the attempts know them; return how many were not yet."""
    causes = unnest(
        "causes",
        {"dispatch_id": id_type(), "provider": sa.Text(), "cause": sa.Text()},
        [(r.dispatch_id, r.provider, r.suppression) for r in reported],
    )
    rows = (
        sa.select(
            sa.literal(channel.value, sa.Text).label("channel"),
            attempts.c.address_hash,
            causes.c.cause,
            causes.c.dispatch_id,
        )
        .where(
            attempts.c.dispatch_id == causes.c.dispatch_id,
            attempts.c.provider == causes.c.provider,
            attempts.c.address_hash.is_not(None),
        )
        .order_by(attempts.c.address_hash)
    )
    columns = ["channel", "address_hash", "cause", "dispatch_id"]
    return conn.execute(insert(suppressions).from_select(columns, rows).on_conflict_do_nothing()).rowcount


def remove(conn: Tx, channel: Channel, address_hash: bytes) -> bool:
    """Let an address have messages again; return whether it was suppressed."""
    removed = sa.delete(suppressions).where(
        suppressions.c.channel == channel, suppressions.c.address_hash == address_hash
    )
    return conn.execute(removed).rowcount == 1


def release(
    conn: Tx, channel: Channel, cause: Cause | None, since: datetime, until: datetime, limit: int
) -> int:
    """Let up to `limit` addresses have messages again that were suppressed in a time; return how many.

    Args:
        cause: only those of this cause; None means of any.
        until: not included.
    """
    t = suppressions
    found = sa.select(t.c.address_hash).where(
        t.c.channel == channel, t.c.create_time >= since, t.c.create_time < until
    )
    if cause is not None:
        found = found.where(t.c.cause == cause)
    found = found.order_by(t.c.create_time).limit(limit)
    released = sa.delete(t).where(t.c.channel == channel, t.c.address_hash.in_(found))
    return conn.execute(released).rowcount

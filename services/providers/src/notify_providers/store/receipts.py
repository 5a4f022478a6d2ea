"""Statements on receipts, matched and unmatched."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from notify_common.db.arrays import Types, columns_given, id_array, unnest, unnest_later
from notify_common.db.columns import id_type
from notify_common.db.prepared import prepared
from notify_common.db.unit_of_work import Tx
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert

from notify_providers.domain.receipts import Kind, Receipt, RecordedReceipt
from notify_providers.domain.suppression import Cause
from notify_providers.store.tables import receipts, unmatched_receipts

_ID = id_type()

Sameness = tuple[str, str, str, datetime | None]
"""Provider, reference, status and provider time: receipts that agree in these are one."""


def sameness(receipt: Receipt) -> Sameness:
    """Return what makes a receipt the same as another."""
    return receipt.provider, receipt.reference, receipt.status, receipt.provider_time


def insert_matched(conn: Tx, new: Sequence[Receipt]) -> set[Sameness]:
    """Insert receipts and return those that were new."""
    return _insert(conn, receipts, new)


def insert_unmatched(conn: Tx, new: Sequence[Receipt]) -> set[Sameness]:
    """Keep receipts until their dispatch can be told; return those that were new."""
    return _insert(conn, unmatched_receipts, new)


_CALLED: Final[Types] = {"dispatch_id": _ID, "provider": sa.Text()}


def _take_unmatched() -> sa.Delete:
    joined = unnest_later("joined", _CALLED)
    same = (unmatched_receipts.c[name] == joined.c[name] for name in _CALLED)
    return sa.delete(unmatched_receipts).where(*same)


_TAKE_UNMATCHED: Final = prepared(_take_unmatched().returning(*unmatched_receipts.c))


def take_unmatched(conn: Tx, called: Sequence[tuple[str, str]]) -> list[Receipt]:
    """Remove the unmatched receipts of these (dispatch id, provider); return them, first one first."""
    rows = conn.execute(_TAKE_UNMATCHED, columns_given("joined", _CALLED, called)).all()
    return [
        Receipt(
            provider=row.provider,
            dispatch_id=row.dispatch_id,
            reference=row.reference,
            status=row.status,
            detail=row.detail,
            kind=Kind(row.kind),
            provider_time=row.provider_time,
            silent=row.second_copy,
            suppression=Cause(row.suppression) if row.suppression else None,
            kind_after_pending=Kind(row.kind_after_pending) if row.kind_after_pending else None,
        )
        for row in sorted(rows, key=lambda row: row.id)
    ]


def trim_unmatched(conn: Tx, keep_days: float, keep_count: int, limit: int = 5000) -> int:
    """Delete up to `limit` unmatched receipts older than `keep_days` or beyond the newest `keep_count`.

    Return how many.
    """
    t = unmatched_receipts
    newest_surplus = sa.select(t.c.id).order_by(t.c.id.desc()).offset(keep_count).limit(1).scalar_subquery()
    old = (
        sa.select(t.c.id)
        .where(sa.or_(t.c.receive_time < sa.func.now() - timedelta(days=keep_days), t.c.id <= newest_surplus))
        .limit(limit)
    )
    return conn.execute(sa.delete(t).where(t.c.id.in_(old))).rowcount


def list_receipts(conn: Tx, dispatch_id: str, limit: int) -> list[RecordedReceipt]:
    """Return the receipts of a dispatch, first one first."""
    rows = conn.execute(
        sa.select(receipts).where(receipts.c.dispatch_id == dispatch_id).order_by(receipts.c.id).limit(limit)
    )
    return [RecordedReceipt(row.provider, row.status, row.detail, row.receive_time) for row in rows]


def reported_pending(conn: Tx, ids: Sequence[str]) -> set[tuple[str, str]]:
    """Return which of the dispatches which provider has reported as pending: (dispatch id, provider)."""
    rows = conn.execute(
        sa.select(receipts.c.dispatch_id, receipts.c.provider).where(
            receipts.c.dispatch_id == sa.any_(id_array(ids)), receipts.c.kind == Kind.PENDING
        )
    )
    return {(row.dispatch_id, row.provider) for row in rows}


def known(conn: Tx, candidates: Sequence[Receipt]) -> set[Sameness]:
    """Return which receipts are recorded already."""
    ids = [receipt.dispatch_id for receipt in candidates]
    rows = conn.execute(
        sa.select(
            receipts.c.provider, receipts.c.reference, receipts.c.status, receipts.c.provider_time
        ).where(receipts.c.dispatch_id == sa.any_(id_array(ids)))
    )
    return {(row.provider, row.reference, row.status, row.provider_time) for row in rows}


def _insert(conn: Tx, table: Table, new: Sequence[Receipt]) -> set[Sameness]:
    if not new:
        return set()
    types: Types = {
        "place": sa.Integer(),
        "dispatch_id": _ID,
        "provider": sa.Text(),
        "reference": sa.Text(),
        "status": sa.Text(),
        "detail": sa.Text(),
        "kind": sa.Text(),
        "second_copy": sa.Boolean(),
        "suppression": sa.Text(),
        "kind_after_pending": sa.Text(),
        "provider_time": sa.DateTime(timezone=True),
    }
    rows = unnest(
        "new",
        types,
        [
            (
                place,
                r.dispatch_id,
                r.provider,
                r.reference,
                r.status,
                r.detail,
                r.kind,
                r.silent,
                r.suppression,
                r.kind_after_pending,
                r.provider_time,
            )
            for place, r in enumerate(new)
        ],
    )
    columns = [rows.c[name] for name in types if name != "place"]
    inserted = conn.execute(
        insert(table)
        .from_select([column.key for column in columns], sa.select(*columns).order_by(rows.c.place))
        .on_conflict_do_nothing()
        .returning(table.c.provider, table.c.reference, table.c.status, table.c.provider_time)
    )
    return {(row.provider, row.reference, row.status, row.provider_time) for row in inserted}

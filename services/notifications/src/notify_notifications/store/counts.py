"""Counts of messages by state, and usage facts (internal-api.md §§4.13, 4.15)."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.arrays import Types, columns_given, unnest, unnest_later
from notify_common.db.prepared import prepared
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel, KeyType
from sqlalchemy import ColumnElement, FromClause, Select, Table
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.counts import (
    BILLABLE,
    BatchCountKey,
    CountKey,
    DayCountKey,
    DeletedKey,
    Usage,
    UsageKey,
)
from notify_notifications.store.tables import (
    MOVED_SHARD,
    batch_counts,
    deleted_message_counts,
    letter_rates,
    message_counts,
    notifications,
    service_day_counters,
    sms_rates,
    usage_facts,
)

_n, _d, _u, _c = notifications.c, deleted_message_counts.c, usage_facts.c, message_counts.c
_COUNT: Final = CountKey._fields
_FACTS: Final = Usage._fields
_USAGE: Final = [column.name for column in usage_facts.primary_key]
_LONDON: Final[ColumnElement[str]] = sa.literal_column("'Europe/London'")


def add_counts(tx: Tx, changes: Mapping[CountKey, int]) -> None:
    """Add to the counts. Whoever writes some of them writes in the order of keys, so that none wait in a
    circle.
    """
    if changes:
        rows = [[*key, change] for key, change in changes.items()]
        tx.execute(_ADD_COUNTS, columns_given("given", _COUNT_TYPES, rows))


def add_day_counts(tx: Tx, changes: Mapping[DayCountKey, int]) -> None:
    """Add to what counts for the daily limits, in the order of keys."""
    if not changes:
        return
    table = service_day_counters
    types = {name: table.c[name].type for name in (*DayCountKey._fields, "count")}
    given = unnest("given", types, [[*key, change] for key, change in changes.items()])
    tx.execute(_added(table, DayCountKey._fields, ["count"], sa.select(given), shard=MOVED_SHARD))


def add_batch_counts(tx: Tx, changes: Mapping[BatchCountKey, int]) -> None:
    """Add to the counts of batches, in the order of keys."""
    if changes:
        rows = [[*key, change] for key, change in changes.items()]
        tx.execute(_ADD_BATCH_COUNTS, columns_given("given", _BATCH_COUNT_TYPES, rows))


def add_deleted(tx: Tx, changes: Mapping[DeletedKey, int]) -> None:
    """Add to the counts of deleted messages, in the order of keys."""
    if not changes:
        return
    sums = ["message_count", "fragment_count"]
    types = {name: _d[name].type for name in (*DeletedKey._fields, *sums)}
    given = unnest("given", types, [[*key, change, 0] for key, change in changes.items()])
    tx.execute(_added(deleted_message_counts, DeletedKey._fields, sums, sa.select(given)))


def add_usage(tx: Tx, changes: Mapping[UsageKey, Usage]) -> None:
    """Add to the usage facts, at the rates of the days of creation, in the order of keys."""
    if changes:
        rows = [[*key[:-2], key.postage or "", key.sheet_count, *change] for key, change in changes.items()]
        tx.execute(_ADD_USAGE, columns_given("given", _USAGE_TYPES, rows))


def recount(tx: Tx, service_id: str, day: date) -> int:
    """Set counts and usage facts of a service's London day right by its messages, those that were deleted
    included; return how many differed.

    Both come from one snapshot, and differences are added: what moves at the same time is neither lost nor
    counted twice.
    """
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"recount {service_id}", 0))))
    of_day = (_c.service_id == service_id, _c.day == day)
    rows = [
        sa.select(*_counted(), sa.literal(1).label("count")).where(*_of_day(service_id, day)),
        sa.select(*(_d[name] for name in _COUNT), _d.message_count).where(
            _d.service_id == service_id, _d.day == day
        ),
        sa.select(*(_c[name] for name in _COUNT), -_c.count).where(*of_day),
    ]
    counts = _added(
        message_counts, _COUNT, ["count"], sa.select(sa.union_all(*rows).subquery()), shard=MOVED_SHARD
    )
    kept = sa.select(*(_u[name] for name in _USAGE), *(-_u[name] for name in _FACTS)).where(
        _u.service_id == service_id, _u.day == day
    )
    billed = sa.union_all(_billable_live(service_id, day), _billable_deleted(service_id, day)).subquery()
    usage = _added(usage_facts, _USAGE, _FACTS, sa.select(sa.union_all(_priced(billed), kept).subquery()))
    return int(tx.execute(counts).rowcount) + int(tx.execute(usage).rowcount)


def compact(tx: Tx, service_id: str, day: date) -> None:
    """Leave one row of each count of a closed day, and none of those that are 0."""
    of_day = (_c.service_id == service_id, _c.day == day)
    gone = (
        sa.delete(message_counts)
        .where(*of_day, _c.shard != MOVED_SHARD)
        .returning(*(_c[name] for name in (*_COUNT, "count")))
        .cte("gone")
    )
    tx.execute(_added(message_counts, _COUNT, ["count"], sa.select(gone), shard=MOVED_SHARD))
    tx.execute(sa.delete(message_counts).where(*of_day, _c.count == 0))
    zero = (_u[name] == 0 for name in _FACTS)
    tx.execute(sa.delete(usage_facts).where(_u.service_id == service_id, _u.day == day, *zero))


def _added(
    table: Table,
    keys: "list[str] | tuple[str, ...]",
    sums: "list[str] | tuple[str, ...]",
    rows: "Select[Any]",
    shard: int | None = None,
) -> Any:
    """Return the statement that adds what `rows` sum up to, by key, in the order of keys."""
    from_ = rows.subquery("changes").c
    totals = {name: sa.func.sum(from_[name]) for name in sums}
    chosen = [*(from_[name] for name in keys if name in from_), *totals.values()]
    names = [*(name for name in keys if name in from_), *sums]
    grouped = [from_[name] for name in keys if name in from_]
    if shard is not None:
        chosen, names = [*chosen, sa.literal(shard, sa.SmallInteger)], [*names, "shard"]
    summed = (
        sa.select(*chosen)
        .group_by(*grouped)
        .having(sa.or_(*(total != 0 for total in totals.values())))
        .order_by(*grouped)
    )
    adding = insert(table).from_select(names, summed)
    return adding.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: table.c[name] + adding.excluded[name] for name in sums},
    )


def _priced(billed: FromClause) -> "Select[Any]":
    """Return rows with the rate of their day in the place of the number of sheets."""
    c = billed.c
    begins = sa.func.timezone(_LONDON, sa.cast(c.day, sa.DateTime()))

    def newest(rates: Table, *conditions: ColumnElement[bool]) -> Any:
        found = sa.select(rates.c.rate_micropounds).where(rates.c.valid_from <= begins, *conditions)
        return found.order_by(rates.c.valid_from.desc()).limit(1).correlate(billed).scalar_subquery()

    letter = newest(
        letter_rates,
        letter_rates.c.postage == c.postage,
        letter_rates.c.sheet_count == c.sheet_count,
    )
    rate = sa.case((c.channel == Channel.SMS, newest(sms_rates)), (c.channel == Channel.LETTER, letter))
    priced = {"rate_micropounds": sa.func.coalesce(rate, 0).label("rate_micropounds")}
    return sa.select(
        *(priced[name] if name in priced else c[name] for name in _USAGE), *(c[f] for f in _FACTS)
    )


_COUNT_TYPES: Final[Types] = {name: _c[name].type for name in (*_COUNT, "count")}
_BATCH_COUNT_TYPES: Final[Types] = {
    name: batch_counts.c[name].type for name in (*BatchCountKey._fields, "count")
}
_USAGE_TYPES: Final[Types] = {
    name: (_u[name] if name in _u else _d[name]).type for name in (*UsageKey._fields, *_FACTS)
}
_ADD_COUNTS: Final = prepared(
    _added(
        message_counts,
        _COUNT,
        ["count"],
        sa.select(unnest_later("given", _COUNT_TYPES)),
        shard=MOVED_SHARD,
    )
)
_ADD_BATCH_COUNTS: Final = prepared(
    _added(
        batch_counts,
        BatchCountKey._fields,
        ["count"],
        sa.select(unnest_later("given", _BATCH_COUNT_TYPES)),
    )
)
_ADD_USAGE: Final = prepared(
    _added(usage_facts, _USAGE, _FACTS, _priced(unnest_later("given", _USAGE_TYPES)))
)


def _of_day(service_id: str, day: date) -> list[ColumnElement[bool]]:
    begins, ends = (
        sa.func.timezone(_LONDON, sa.cast(sa.literal(day) + days, sa.DateTime())) for days in (0, 1)
    )
    key_types = _n.key_type.in_([str(each) for each in KeyType])  # the index begins with them
    return [_n.service_id == service_id, key_types, _n.create_time >= begins, _n.create_time < ends]


def london_day() -> ColumnElement[date]:
    """Return the London day of a message's creation."""
    return sa.cast(sa.func.timezone(_LONDON, _n.create_time), sa.Date).label("day")


def _counted() -> list[ColumnElement[Any]]:
    return [london_day() if name == "day" else _n[name] for name in _COUNT]


def _billable_live(service_id: str, day: date) -> "Select[Any]":
    units = sa.case((_n.channel == Channel.SMS, _n.fragment_count), else_=_n.sheet_count)
    return _billed(
        sa.select(
            _n.service_id,
            london_day(),
            _n.channel,
            _n.template_id,
            _n.provider,
            _n.rate_multiplier,
            sa.func.coalesce(_n.postage, "").label("postage"),
            sa.func.coalesce(_n.sheet_count, 0).label("sheet_count"),
            sa.literal(1).label("message_count"),
            sa.func.coalesce(units, 0).label("unit_count"),
        ).where(*_of_day(service_id, day)),
        notifications,
    )


def _billable_deleted(service_id: str, day: date) -> "Select[Any]":
    return _billed(
        sa.select(
            *(_d[name] for name in UsageKey._fields),
            _d.message_count,
            (_d.fragment_count + _d.sheet_count * _d.message_count).label("unit_count"),
        ).where(_d.service_id == service_id, _d.day == day),
        deleted_message_counts,
    )


def _billed(rows: "Select[Any]", table: Table) -> "Select[Any]":
    c = table.c
    billable = sa.or_(
        *(
            sa.and_(c.channel == channel, c.state.in_([str(state) for state in states]))
            for channel, states in BILLABLE.items()
        )
    )
    return rows.where(c.key_type != KeyType.TEST, billable)

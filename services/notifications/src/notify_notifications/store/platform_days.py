"""Totals of days of the whole platform (internal-api.md B56)."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import sqlalchemy as sa
from notify_common.db.arrays import Types, columns_given, unnest_later
from notify_common.db.prepared import prepared
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel, KeyType
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.counts import Processing, TimeKey, step_time
from notify_notifications.domain.statistics import (
    Days,
    Performance,
    PlatformDay,
    ProcessingDay,
    ProcessingTime,
)
from notify_notifications.store.tables import (
    message_counts,
    platform_days,
    processing_days,
    processing_times,
)

_AGAIN: Final = timedelta(days=7)
"""How far back days are summed up again: what a recount corrected of them is in."""

_c, _d, _p, _t = message_counts.c, platform_days.c, processing_days.c, processing_times.c


_PROCESSING: Final[Types] = {name: _p[name].type for name in ("day", *Processing._fields)}
_TIMES: Final[Types] = {name: _t[name].type for name in (*TimeKey._fields, "message_count")}


def _add_processing() -> sa.Insert:
    given = unnest_later("given", _PROCESSING)
    adding = insert(processing_days).from_select(list(_PROCESSING), sa.select(given).order_by(given.c.day))
    sums = {name: _p[name] + adding.excluded[name] for name in Processing._fields}
    return adding.on_conflict_do_update(index_elements=["day"], set_=sums)


def _add_times() -> sa.Insert:
    given = unnest_later("given", _TIMES)
    adding = insert(processing_times).from_select(
        list(_TIMES), sa.select(given).order_by(*(given.c[name] for name in TimeKey._fields))
    )
    total = {"message_count": _t.message_count + adding.excluded.message_count}
    return adding.on_conflict_do_update(index_elements=list(TimeKey._fields), set_=total)


_ADD_PROCESSING: Final = prepared(_add_processing())
_ADD_TIMES: Final = prepared(_add_times())


def add_processing(tx: Tx, changes: Mapping[date, Processing]) -> None:
    """Add to the days, in their order."""
    if changes:
        rows = [(day, *change) for day, change in changes.items()]
        tx.execute(_ADD_PROCESSING, columns_given("given", _PROCESSING, rows))


def add_times(tx: Tx, changes: Mapping[TimeKey, int]) -> None:
    """Add to the counts of times, in the order of keys."""
    if changes:
        rows = [(*key, change) for key, change in changes.items()]
        tx.execute(_ADD_TIMES, columns_given("given", _TIMES, rows))


def list_times(tx: Tx, days: Days) -> list[ProcessingTime]:
    """Return the counts of times of days, by day, channel and time."""
    rows = tx.execute(
        sa.select(_t.day, _t.channel, _t.step, _t.message_count)
        .where(_t.day.between(days.first, days.last))
        .order_by(_t.day, _t.channel, _t.step)
    )
    return [
        ProcessingTime(row.day, Channel(row.channel), step_time(row.step), row.message_count) for row in rows
    ]


def close_days(tx: Tx, today: date, first: date | None = None) -> None:
    """Sum up the days before today that were not, and again those from `first` on, or of the last week."""
    begins = sa.select(sa.func.max(_d.day) - _AGAIN.days).scalar_subquery()
    since = sa.func.coalesce(begins, date.min) if first is None else sa.literal(first)
    total = sa.func.sum(_c.count)
    senders = sa.func.count(_c.service_id.distinct()).filter(_c.count > 0)
    summed = (
        sa.select(_c.day, _c.channel, total, senders)
        .where(_c.day < today, _c.day >= since, _c.key_type != KeyType.TEST)
        .group_by(_c.day, _c.channel)
    )
    sums = ("message_count", "service_count")
    closing = insert(platform_days).from_select(["day", "channel", *sums], summed)
    changed = {name: closing.excluded[name] for name in sums}
    tx.execute(closing.on_conflict_do_update(index_elements=["day", "channel"], set_=changed))


def get_performance(tx: Tx, days: Days) -> Performance:
    """Return totals of all time, and of each of the days."""
    of_channel = sa.select(_d.channel, sa.func.sum(_d.message_count)).group_by(_d.channel)
    of_days = sa.select(_d.day, _d.channel, _d.message_count, _d.service_count).where(
        _d.day.between(days.first, days.last)
    )
    processed = sa.select(_p.day, _p.message_count, _p.prompt_count).where(
        _p.day.between(days.first, days.last)
    )
    return Performance(
        totals={Channel(channel): int(count) for channel, count in tx.execute(of_channel)},
        days=[
            PlatformDay(row.day, Channel(row.channel), row.message_count, row.service_count)
            for row in tx.execute(of_days.order_by(_d.day, _d.channel))
        ],
        processing=[ProcessingDay(*row) for row in tx.execute(processed.order_by(_p.day))],
    )

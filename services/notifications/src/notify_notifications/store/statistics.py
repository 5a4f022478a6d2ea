"""Sums of counts and of usage facts, for dashboards and bills."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.arrays import id_array, unnest
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel, KeyType, Postage
from sqlalchemy import ColumnElement, FromClause, Select, Table

from notify_notifications.domain.notification import State
from notify_notifications.domain.statistics import (
    CountFilters,
    CountGroup,
    Days,
    MessageCount,
    UsageGroup,
    UsageSum,
)
from notify_notifications.store.tables import message_counts, usage_facts

_c, _u = message_counts.c, usage_facts.c
_COLUMNS: Final = {
    "service": "service_id",
    "month": "day",
    "template": "template_id",
    "key-type": "key_type",
    "rate": "rate_micropounds",
}
"""Columns that are not called like their group."""
_KINDS: Final = {"channel": Channel, "key_type": KeyType, "state": State}


def count_messages(tx: Tx, filters: CountFilters, groups: Sequence[CountGroup]) -> list[MessageCount]:
    """Return how many messages there are or were, by group, in the order of the groups' values."""
    conditions = [_between(message_counts, filters.days)]
    if filters.service_ids:
        conditions.append(_c.service_id == sa.any_(id_array(filters.service_ids)))
    if filters.template_id:
        conditions.append(_c.template_id == filters.template_id)
    if filters.without_test_keys:
        conditions.append(_c.key_type != KeyType.TEST)
    total = sa.func.sum(_c.count).label("count")
    query = _grouped(message_counts, groups, [total]).where(*conditions).having(total != 0)
    return [MessageCount(**_values(row)) for row in tx.execute(query)]


def sum_usage(
    tx: Tx, days: Days, groups: Sequence[UsageGroup], allowances: Mapping[str, int] | None, year_begins: date
) -> list[UsageSum]:
    """Return what was used, by group, in the order of the groups' values.

    Args:
        allowances: free fragments by service, whose usage alone is summed up; None for all services, of which
            none has any.
        year_begins: from where on they are used up, day by day.
    """
    facts = (_of_all() if allowances is None else _of_services(allowances, year_begins, days)).subquery()
    charged = facts.c.chargeable_count - facts.c.free_count
    paid = sa.case((facts.c.channel == Channel.LETTER, facts.c.message_count), else_=charged)
    sums: dict[str, ColumnElement[Any]] = {
        name: facts.c[name] for name in ("message_count", "unit_count", "chargeable_count", "free_count")
    }
    sums["cost_micropounds"] = paid * facts.c.rate_micropounds
    totals = [sa.func.sum(column).label(name) for name, column in sums.items()]
    query = _grouped(facts, groups, totals).where(_between(facts, days)).having(totals[0] != 0)
    return [UsageSum(**_values(row)) for row in tx.execute(query)]


def chargeable_counts(tx: Tx, service_ids: Sequence[str], days: Days) -> dict[str, int]:
    """Return fragments times multipliers of the texts of services; of those without any nothing."""
    total = sa.func.sum(_u.unit_count * _u.rate_multiplier)
    query = sa.select(sa.cast(_u.service_id, sa.Text), total).where(
        _u.service_id == sa.any_(id_array(service_ids)),
        _between(usage_facts, days),
        _u.channel == Channel.SMS,
    )
    return {row[0]: int(row[1]) for row in tx.execute(query.group_by(_u.service_id))}


def _chargeable() -> ColumnElement[int]:
    return sa.case(
        (_u.channel == Channel.SMS, _u.unit_count * _u.rate_multiplier),
        (_u.channel == Channel.LETTER, _u.message_count),
        else_=0,
    )


def _of_all() -> "Select[Any]":
    return sa.select(
        *usage_facts.c, _chargeable().label("chargeable_count"), sa.literal(0).label("free_count")
    )


def _of_services(allowances: Mapping[str, int], year_begins: date, days: Days) -> "Select[Any]":
    """Return the facts of services with what their allowances cover of each: what is left of them when the
    fact's turn comes, day by day.
    """
    asked = unnest("asked", {"id": id_type(), "allowance": sa.BigInteger()}, list(allowances.items()))
    chargeable = _chargeable()
    names = [column.name for column in usage_facts.primary_key]
    used = sa.func.sum(chargeable).over(
        partition_by=[_u.service_id, _u.channel],
        order_by=[_u.day, *(_u[name] for name in names if name not in ("service_id", "day", "channel"))],
        rows=(None, 0),
    )
    left = sa.func.greatest(asked.c.allowance - (used - chargeable), 0)
    free = sa.case((_u.channel == Channel.SMS, sa.func.least(chargeable, left)), else_=0)
    return (
        sa.select(*usage_facts.c, chargeable.label("chargeable_count"), free.label("free_count"))
        .join(asked, _u.service_id == asked.c.id)
        .where(_u.day >= year_begins, _u.day <= days.last)
    )


def _between(table: FromClause, days: Days) -> ColumnElement[bool]:
    return table.c.day.between(days.first, days.last)


def _grouped(
    table: Table | FromClause,
    groups: Sequence[CountGroup] | Sequence[UsageGroup],
    totals: Sequence[ColumnElement[Any]],
) -> "Select[Any]":
    keys = [_key(table, group) for group in groups]
    return sa.select(*keys, *totals).group_by(*keys).order_by(*keys)


def _key(table: Table | FromClause, group: CountGroup | UsageGroup) -> ColumnElement[Any]:
    name = _COLUMNS.get(group, group.value)
    if group.value == "month":
        return sa.cast(sa.func.date_trunc("month", sa.cast(table.c.day, sa.DateTime())), sa.Date).label(name)
    column: ColumnElement[Any] = table.c[name]
    return column


def _values(row: Any) -> dict[str, Any]:
    """Return a row as the fields of a sum."""
    values: dict[str, Any] = row._asdict()
    for name, value in values.items():
        if name in _KINDS:
            values[name] = _KINDS[name](value)
        elif name == "postage":
            values[name] = Postage(value) if value else None
        elif name.endswith(("count", "cost_micropounds")):
            values[name] = int(value)
    return values

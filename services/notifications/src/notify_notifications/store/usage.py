"""Rates and allowances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from notify_common.db.arrays import id_array
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Postage
from sqlalchemy.dialects.postgresql import distinct_on, insert

from notify_notifications.domain.statistics import Days
from notify_notifications.store.tables import annual_allowances, letter_rates, sms_rates, usage_facts

_a, _u = annual_allowances.c, usage_facts.c


@dataclass(frozen=True, slots=True)
class SmsRate:
    """Of one fragment."""

    rate_micropounds: int
    valid_from: datetime


@dataclass(frozen=True, slots=True)
class LetterRate:
    """Of a whole letter."""

    postage: Postage
    sheet_count: int
    rate_micropounds: int
    valid_from: datetime


def sms_rate(tx: Tx, moment: datetime) -> SmsRate | None:
    """Return the rate in force."""
    c = sms_rates.c
    found = sa.select(c.rate_micropounds, c.valid_from).where(c.valid_from <= moment)
    row = tx.execute(found.order_by(c.valid_from.desc()).limit(1)).first()
    return None if row is None else SmsRate(*row)


def current_letter_rates(tx: Tx, moment: datetime) -> list[LetterRate]:
    """Return the rates in force by number of sheets, rate, class."""
    c = letter_rates.c
    newest = (
        sa.select(c.postage, c.sheet_count, c.rate_micropounds, c.valid_from)
        .ext(distinct_on(c.postage, c.sheet_count))
        .where(c.valid_from <= moment)
        .order_by(c.postage, c.sheet_count, c.valid_from.desc())
    )
    rates = [LetterRate(Postage(row.postage), *row[1:]) for row in tx.execute(newest)]
    return sorted(rates, key=lambda rate: (rate.sheet_count, rate.rate_micropounds, rate.postage))


def custom_allowances(tx: Tx, service_ids: Sequence[str], year: int) -> dict[str, int]:
    """Return by service what was set for a year, or for the last year before that anything was set for; of
    those for which that was the default nothing.
    """
    newest = (
        sa.select(sa.cast(_a.service_id, sa.Text), _a.fragment_count)
        .ext(distinct_on(_a.service_id))
        .where(_a.service_id == sa.any_(id_array(service_ids)), _a.year <= year)
        .order_by(_a.service_id, _a.year.desc())
    )
    return {row[0]: row[1] for row in tx.execute(newest) if row[1] is not None}


def set_allowance(tx: Tx, service_id: str, year: int, fragment_count: int | None) -> None:
    """Set the allowance from a year on; None is the default."""
    values = {"fragment_count": fragment_count}
    statement = insert(annual_allowances).values(service_id=service_id, year=year, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["service_id", "year"], set_=values))


def next_services(tx: Tx, days: Days, year: int, after: str, limit: int) -> list[str]:
    """Return up to `limit` services after `after`, in the order of ids, that used something on the days or
    for which an allowance was set until the year.
    """
    used = (
        sa.select(_u.service_id)
        .distinct()
        .where(_u.day.between(days.first, days.last), _u.service_id > after)
    )
    set_ = sa.select(_a.service_id).where(_a.year <= year, _a.service_id > after)
    both = sa.union(
        used.order_by(_u.service_id).limit(limit).subquery().select(),
        set_.order_by(_a.service_id).limit(limit).subquery().select(),
    ).subquery()
    found = sa.select(sa.cast(both.c.service_id, sa.Text)).order_by(both.c.service_id).limit(limit)
    return list(tx.execute(found).scalars())


def keep_allowances(tx: Tx, year: int, counts: Mapping[str, int]) -> int:
    """Store the allowances of a year by service, with the default from the next year on; what was set for
    either stays. Returns how many were stored.
    """
    stored = 0
    for first, values in ((year, counts), (year + 1, dict.fromkeys(counts))):
        rows = [
            {"service_id": id, "year": first, "fragment_count": count} for id, count in sorted(values.items())
        ]
        adding = insert(annual_allowances).on_conflict_do_nothing().returning(_a.service_id)
        added = len(tx.execute(adding.values(rows)).all()) if rows else 0
        stored += added if first == year else 0
    return stored

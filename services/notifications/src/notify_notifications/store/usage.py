"""Rates and allowances."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from notify_common.db.arrays import id_array
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Postage
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.store.tables import annual_allowances, letter_rates, sms_rates

_a = annual_allowances.c


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
        .distinct(c.postage, c.sheet_count)
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
        .distinct(_a.service_id)
        .where(_a.service_id == sa.any_(id_array(service_ids)), _a.year <= year)
        .order_by(_a.service_id, _a.year.desc())
    )
    return {row[0]: row[1] for row in tx.execute(newest) if row[1] is not None}


def set_allowance(tx: Tx, service_id: str, year: int, fragment_count: int | None) -> None:
    """Set the allowance from a year on; None is the default."""
    values = {"fragment_count": fragment_count}
    statement = insert(annual_allowances).values(service_id=service_id, year=year, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["service_id", "year"], set_=values))

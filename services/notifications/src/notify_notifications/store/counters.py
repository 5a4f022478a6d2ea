"""The day's counters as the database has them; Redis is set right by them (design.md §3.5)."""

from datetime import date
from typing import Any

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx, UnitOfWork

from notify_notifications.store.tables import service_day_counters as counters


class CounterStore:
    """Reads counters of messages that were stored."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def count(self, service_id: str, counter: str, day: date) -> int:
        """Return messages that a service stored on a UTC day under the name of a counter."""
        c = counters.c
        matching = (c.service_id == service_id, c.day == day, c.counter == counter)
        with self._uow.autocommit() as conn:
            return int(conn.execute(sa.select(_total()).where(*matching)).scalar_one())

    def page(self, day: date, after: tuple[str, str], limit: int) -> list[tuple[str, str, int]]:
        """Return up to `limit` (service id, counter, count) of a day, ordered by the first two, after
        `after`.
        """
        c = counters.c
        key = sa.tuple_(sa.cast(c.service_id, sa.Text), c.counter)
        totals = (
            sa.select(sa.cast(c.service_id, sa.Text), c.counter, _total())
            .where(c.day == day, key > sa.tuple_(*map(sa.literal, after)))
            .group_by(c.service_id, c.counter)
            .order_by(sa.cast(c.service_id, sa.Text), c.counter)
            .limit(limit)
        )
        with self._uow.autocommit() as conn:
            return [(row[0], row[1], int(row[2])) for row in conn.execute(totals)]

    def delete_before(self, day: date) -> int:
        """Delete the counters of days before `day` and return how many rows that were."""
        with self._uow.begin() as conn:
            return conn.execute(sa.delete(counters).where(counters.c.day < day)).rowcount


def _total() -> Any:
    return sa.func.coalesce(sa.func.sum(counters.c.count), 0)


def lock_day(tx: Tx, service_id: str, counter: str, day: date) -> int:
    """Return what a counter of a day has come to, with whoever asks so for the same one in turn, until the
    transaction ends.
    """
    name = f"{service_id}-{counter}-{day}"
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))
    c = counters.c
    matching = (c.service_id == service_id, c.day == day, c.counter == counter)
    return int(tx.execute(sa.select(_total()).where(*matching)).scalar_one())

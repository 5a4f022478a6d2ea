"""Texts that people sent to the numbers of services."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx, UnitOfWork
from sqlalchemy import Row, Select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from notify_notifications.domain.inbound_sms import InboundSms, Summary
from notify_notifications.store.tables import inbound_sms

_READ_MS: Final = 1500
"""Milliseconds after which a list is given up."""

_NAMES: Final = [column.name for column in inbound_sms.c]

_c = inbound_sms.c

Position = tuple[datetime, str]
"""Where a text stands in lists: its time, its id."""


def append(tx: Tx, texts: Sequence[InboundSms]) -> None:
    """Keep texts. Idempotency key: their ids."""
    rows = [{name: getattr(text, name) for name in _NAMES} for text in texts]
    tx.execute(insert(inbound_sms).on_conflict_do_nothing(), rows)


def next_service(tx: Tx, after: str) -> str | None:
    """Return the first service after `after`, in the order of ids, that has texts; None at the end."""
    query = sa.select(_c.service_id).where(_c.service_id > after).order_by(_c.service_id).limit(1)
    found: str | None = tx.execute(query).scalar()
    return found


def delete_created_before(tx: Tx, service_id: str, time: datetime, limit: int) -> int:
    """Delete up to `limit` texts of a service that came before `time`; return how many."""
    old = sa.select(_c.id).where(_c.service_id == service_id, _c.create_time < time).limit(limit)
    return tx.execute(sa.delete(inbound_sms).where(_c.id.in_(old))).rowcount


class InboundSmsStore:
    """Reads of texts that are not older than `since`."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def get(self, service_id: str, inbound_sms_id: str) -> InboundSms | None:
        """Return a text, if the service has it."""
        query = sa.select(inbound_sms).where(_c.id == inbound_sms_id, _c.service_id == service_id)
        with self._uow.autocommit() as tx:
            row = tx.execute(query).first()
        return None if row is None else _text(row)

    def page(
        self, service_id: str, since: datetime, user_number: str, before: Position | None, limit: int
    ) -> list[InboundSms]:
        """Return up to `limit` texts, newest first, behind a position; of one writer, or with an empty
        `user_number` of all.
        """
        query = sa.select(inbound_sms).where(_c.service_id == service_id, _c.create_time >= since)
        if user_number:
            query = query.where(_c.user_number == user_number)
        return self._texts(_after(query, _c, before), _c, limit)

    def latest(
        self, service_id: str, since: datetime, before: Position | None, limit: int
    ) -> list[InboundSms]:
        """Return up to `limit` texts that are the newest of their writers, newest first, behind a
        position.
        """
        newest = (
            sa.select(inbound_sms)
            .ext(distinct_on(_c.user_number))
            .where(_c.service_id == service_id, _c.create_time >= since)
            .order_by(_c.user_number, _c.create_time.desc(), _c.id.desc())
            .subquery()
        )
        return self._texts(_after(sa.select(newest), newest.c, before), newest.c, limit)

    def summary(self, service_id: str, since: datetime) -> Summary:
        """Return how many texts there are since a moment, and when the newest of all came."""
        counted = sa.func.count().filter(_c.create_time >= since)
        query = sa.select(counted, sa.func.max(_c.create_time)).where(_c.service_id == service_id)
        with self._uow.begin() as tx:
            _give_up_late(tx)
            count, latest = tx.execute(query).one()
        return Summary(count, latest)

    def position(self, service_id: str, inbound_sms_id: str) -> Position | None:
        """Return where a text of the service stands in lists, or None if there is none."""
        query = sa.select(_c.create_time, _c.id).where(_c.id == inbound_sms_id, _c.service_id == service_id)
        with self._uow.autocommit() as tx:
            row = tx.execute(query).first()
        return None if row is None else (row[0], row[1])

    def _texts(self, query: Select[Any], columns: Any, limit: int) -> list[InboundSms]:
        ordered = query.order_by(columns.create_time.desc(), columns.id.desc()).limit(limit)
        with self._uow.begin() as tx:
            _give_up_late(tx)
            return [_text(row) for row in tx.execute(ordered)]


def _after(query: Select[Any], columns: Any, before: Position | None) -> Select[Any]:
    if before is None:
        return query
    return query.where(sa.tuple_(columns.create_time, columns.id) < sa.tuple_(*map(sa.literal, before)))


def _give_up_late(tx: Tx) -> None:
    tx.exec_driver_sql(f"SET LOCAL statement_timeout = {_READ_MS}")


def _text(row: Row[Any]) -> InboundSms:
    return InboundSms(**row._mapping)

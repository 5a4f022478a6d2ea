"""Unsubscribe requests and their reports."""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from notify_common import clock
from notify_common.db.unit_of_work import Tx
from sqlalchemy import Row
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.unsubscribe import (
    REPORT_LIFETIME,
    REPORTED_LIFETIME,
    UNREPORTED_LIFETIME,
    Statistics,
    Unsubscribable,
    UnsubscribeReport,
    UnsubscribeRequest,
)
from notify_notifications.store.tables import unsubscribe_reports, unsubscribe_requests

_q = unsubscribe_requests.c
_p = unsubscribe_reports.c
_REPORT_NAMES: Final = [column.name for column in unsubscribe_reports.c]
_OPEN: Final = _p.process_time.is_(None)
_JOINED: Final = unsubscribe_requests.outerjoin(unsubscribe_reports, _q.report_id == _p.id)

Position = tuple[datetime, str]


def append(tx: Tx, request: UnsubscribeRequest) -> bool:
    """Keep a request; return False where the service has an earlier one of the same email to deal with."""
    email = request.email
    # of two of one email that come at once the second sees the first
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(email.notification_id, 0))))
    waits = sa.select(_q.id).select_from(_JOINED).where(_q.notification_id == email.notification_id, _OPEN)
    if tx.execute(waits.limit(1)).first() is not None:
        return False
    tx.execute(
        sa.insert(unsubscribe_requests).values(
            id=request.id,
            notification_id=email.notification_id,
            service_id=email.service_id,
            template_id=email.template_id,
            template_version=email.template_version,
            email_address=email.email_address,
            send_time=email.send_time,
            create_time=request.create_time,
        )
    )
    return True


def statistics(tx: Tx, service_id: str) -> Statistics:
    """Return what a service has to deal with."""
    alone = _q.report_id.is_(None)
    query = (
        sa.select(
            sa.func.count().filter(_OPEN),
            sa.func.max(_q.create_time).filter(_OPEN),
            sa.func.count().filter(alone),
            sa.func.min(_q.create_time).filter(alone),
            sa.func.max(_q.create_time).filter(alone),
        )
        .select_from(_JOINED)
        .where(_q.service_id == service_id)
    )
    return Statistics(*tx.execute(query).one())


def create_report(tx: Tx, report: UnsubscribeReport) -> UnsubscribeReport | None:
    """Make a report of the requests in none that came within its times, and count them; None if it is there.

    Idempotency key: its id.
    """
    values = {name: getattr(report, name) for name in _REPORT_NAMES}
    statement = insert(unsubscribe_reports).values(**values).on_conflict_do_nothing()
    if tx.execute(statement.returning(sa.literal(1))).first() is None:
        return None
    within = _q.create_time.between(report.earliest_time, report.latest_time)
    taken = tx.execute(
        sa.update(unsubscribe_requests)
        .values(report_id=report.id)
        .where(_q.service_id == report.service_id, _q.report_id.is_(None), within)
    ).rowcount
    counted = sa.update(unsubscribe_reports).values(count=taken).where(_p.id == report.id)
    return _report(tx.execute(counted.returning(*_p)).one())


def get_report(tx: Tx, service_id: str, report_id: str) -> UnsubscribeReport | None:
    """Return a report, if the service has it."""
    query = sa.select(unsubscribe_reports).where(_p.id == report_id, _p.service_id == service_id)
    row = tx.execute(query).first()
    return None if row is None else _report(row)


def mark_report(tx: Tx, service_id: str, report_id: str, *, processed: bool) -> UnsubscribeReport | None:
    """Say whether a service has dealt with a report; the first time of that stays. None if it has none."""
    time = sa.func.coalesce(_p.process_time, sa.func.now()) if processed else None
    statement = (
        sa.update(unsubscribe_reports)
        .values(process_time=time)
        .where(_p.id == report_id, _p.service_id == service_id)
        .returning(*_p)
    )
    row = tx.execute(statement).first()
    return None if row is None else _report(row)


def reports(tx: Tx, service_id: str, before: Position | None, limit: int) -> list[UnsubscribeReport]:
    """Return up to `limit` reports of a service, newest first, behind a position."""
    query = sa.select(unsubscribe_reports).where(_p.service_id == service_id)
    return [_report(row) for row in tx.execute(_newest(query, _p, before, limit))]


def requests(tx: Tx, report_id: str, before: Position | None, limit: int) -> list[UnsubscribeRequest]:
    """Return up to `limit` requests of a report, newest first, behind a position."""
    query = sa.select(unsubscribe_requests).where(_q.report_id == report_id)
    return [_request(row) for row in tx.execute(_newest(query, _q, before, limit))]


def delete_old(tx: Tx, limit: int) -> int:
    """Delete up to `limit` requests, and reports, whose time is over; return how many."""
    now = clock.now()
    reported = (_q.report_id.is_not(None), _p.create_time < now - REPORTED_LIFETIME)
    alone = (_q.report_id.is_(None), _q.create_time < now - UNREPORTED_LIFETIME)
    old = (
        sa.select(_q.id).select_from(_JOINED).where(sa.or_(sa.and_(*reported), sa.and_(*alone))).limit(limit)
    )
    deleted = tx.execute(sa.delete(unsubscribe_requests).where(_q.id.in_(old))).rowcount
    empty = ~sa.exists().where(_q.report_id == _p.id)
    outdated = sa.select(_p.id).where(_p.create_time < now - REPORT_LIFETIME, empty).limit(limit)
    return deleted + tx.execute(sa.delete(unsubscribe_reports).where(_p.id.in_(outdated))).rowcount


def _newest(query: Any, columns: Any, before: Position | None, limit: int) -> Any:
    if before is not None:
        query = query.where(sa.tuple_(columns.create_time, columns.id) < sa.tuple_(*map(sa.literal, before)))
    return query.order_by(columns.create_time.desc(), columns.id.desc()).limit(limit)


def _report(row: Row[Any]) -> UnsubscribeReport:
    return UnsubscribeReport(**row._mapping)


def _request(row: Row[Any]) -> UnsubscribeRequest:
    email = Unsubscribable(
        row.notification_id,
        row.service_id,
        row.template_id,
        row.template_version,
        row.email_address,
        row.send_time,
    )
    return UnsubscribeRequest(row.id, email, row.create_time)

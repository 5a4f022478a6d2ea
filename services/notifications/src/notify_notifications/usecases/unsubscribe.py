"""Taking requests to unsubscribe, and reporting them to services (public-api.md §7.2, internal-api.md B33 to
B37).
"""

from datetime import datetime

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from notify_notifications.domain.record import Outgoing
from notify_notifications.domain.template import Template
from notify_notifications.domain.unsubscribe import (
    Statistics,
    Unsubscribable,
    UnsubscribeLinks,
    UnsubscribeReport,
    UnsubscribeRequest,
)
from notify_notifications.store import unsubscribes
from notify_notifications.store.unsubscribes import Position


def unsubscribable(notification: Outgoing, template: Template) -> Unsubscribable | None:
    """Return what a link of the platform needs to know of an email; None where its template has none."""
    if notification.channel is not Channel.EMAIL or not template.has_unsubscribe_link:
        return None
    return Unsubscribable(
        notification_id=notification.id,
        service_id=notification.service_id,
        template_id=notification.template_id,
        template_version=notification.template_version,
        email_address=notification.recipient,
        send_time=notification.create_time,
    )


def record_unsubscribe_request(
    uow: UnitOfWork, links: UnsubscribeLinks, notification_id: str, token: str
) -> bool:
    """Record the request that a link stands for; return whether it is a new one.

    Idempotency key: the email, until the service has dealt with the request. Raises NotifyError LINK_INVALID,
    LINK_EXPIRED, NOTIFICATION_NOT_FOUND.
    """
    email = links.read(notification_id, token)
    with uow.begin() as tx:
        return unsubscribes.append(tx, UnsubscribeRequest(new_id(), email, clock.now()))


def get_statistics(uow: UnitOfWork, service_id: str) -> Statistics:
    """Return what a service has to deal with."""
    with uow.autocommit() as tx:
        return unsubscribes.statistics(tx, service_id)


def create_report(
    uow: UnitOfWork, report_id: str, service_id: str, earliest: datetime, latest: datetime
) -> UnsubscribeReport:
    """Make a report of the requests that are in none and came within these times, both included.

    Idempotency key: `report_id`. Raises NotifyError REQUEST_ID_REUSED.
    """
    asked = UnsubscribeReport(report_id, service_id, 0, earliest, latest, clock.now(), None)
    with uow.begin() as tx:
        made = unsubscribes.create_report(tx, asked) or unsubscribes.get_report(tx, service_id, report_id)
    if made is None or (made.earliest_time, made.latest_time) != (earliest, latest):
        raise NotifyError("REQUEST_ID_REUSED")
    return made


def get_report(uow: UnitOfWork, service_id: str, report_id: str) -> UnsubscribeReport:
    """Return one report. Raises NotifyError UNSUBSCRIBE_REPORT_NOT_FOUND."""
    with uow.autocommit() as tx:
        return _found(unsubscribes.get_report(tx, service_id, report_id))


def mark_report(uow: UnitOfWork, service_id: str, report_id: str, *, processed: bool) -> UnsubscribeReport:
    """Say whether a service has dealt with a report. Raises NotifyError UNSUBSCRIBE_REPORT_NOT_FOUND."""
    with uow.begin() as tx:
        return _found(unsubscribes.mark_report(tx, service_id, report_id, processed=processed))


def list_reports(
    uow: UnitOfWork, service_id: str, before: Position | None, limit: int
) -> list[UnsubscribeReport]:
    """Return up to `limit` reports of a service, newest first."""
    with uow.autocommit() as tx:
        return unsubscribes.reports(tx, service_id, before, limit)


def list_requests(
    uow: UnitOfWork, service_id: str, report_id: str, before: Position | None, limit: int
) -> list[UnsubscribeRequest]:
    """Return up to `limit` requests of a report, newest first; none of another service's report."""
    with uow.autocommit() as tx:
        if unsubscribes.get_report(tx, service_id, report_id) is None:
            return []
        return unsubscribes.requests(tx, report_id, before, limit)


def _found(report: UnsubscribeReport | None) -> UnsubscribeReport:
    if report is None:
        raise NotifyError("UNSUBSCRIBE_REPORT_NOT_FOUND")
    return report

"""Reading notifications back (public-api.md §3.1, §3.2)."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.errors import NotifyError
from notify_common.logging import get_logger
from notify_common.turns import in_turns
from notify_content.emails import EmailTemplate
from notify_content.letter_timings import print_deadline, timings
from notify_content.placeholders import Personalisation
from notify_content.sms import SmsTemplate
from notify_content.text import insensitive_key, text_of

from notify_notifications.clients.snapshots import Snapshots, TemplateKey
from notify_notifications.domain.cost import Cost, cost
from notify_notifications.domain.notification import State
from notify_notifications.domain.record import Notification
from notify_notifications.domain.template import Template
from notify_notifications.domain.unsubscribe import UnsubscribeLinks
from notify_notifications.store import jobs
from notify_notifications.store.notifications import (
    ActivityFilters,
    Filters,
    NotificationStore,
)
from notify_notifications.usecases.unsubscribe import unsubscribable

MOST_TEXT_BYTES: Final = 3 * 1024 * 1024
"""Size of the texts of one page; gRPC takes 4 MiB at once."""

_SHOWN_ADDRESS_KEYS: Final = {
    insensitive_key(key): key for key in (*(f"address_line_{number}" for number in range(1, 7)), "postcode")
}


@dataclass(frozen=True, slots=True)
class NotificationView:
    """A notification with what follows from its template and the rates."""

    notification: Notification
    created_by_name: str = field(repr=False)
    """Of the member who sent it; empty for what a key sent, and while admin can't say."""
    subject: str = field(repr=False)
    """Empty for texts."""
    body: str = field(repr=False)
    address: dict[str, str] = field(repr=False)
    """Letters: `address_line_1` … `address_line_6`, `postcode`, where given."""
    cost: Cost | None
    """None while it is not known."""
    estimated_delivery_time: datetime | None
    """The last of the likely days (public-api.md §3.1); letters only."""
    unsubscribe_url: str = field(repr=False)
    """Emails: the client's own, or else that of the platform where the template has one; may be empty."""

    @property
    def text_bytes(self) -> int:
        """Size of everything whose length is the client's choice."""
        texts = (self.subject, self.body, self.unsubscribe_url, *self.address.values())
        return sum(len(text.encode()) for text in texts)


def get_notification(
    store: NotificationStore,
    snapshots: Snapshots,
    links: UnsubscribeLinks,
    service_id: str,
    notification_id: str,
) -> NotificationView:
    """Read one notification, filled in anew from the template version that it was accepted with.

    Raises NotifyError NOTIFICATION_NOT_FOUND, for another service's too.
    """
    found = store.get(service_id, notification_id)
    if found is None:
        raise NotifyError("NOTIFICATION_NOT_FOUND")
    return next(_views(snapshots, links, [found]))


def list_notifications(
    store: NotificationStore,
    snapshots: Snapshots,
    links: UnsubscribeLinks,
    service_id: str,
    filters: Filters,
    before: tuple[datetime, str] | None,
    limit: int,
) -> tuple[list[NotificationView], bool]:
    """Read up to `limit` notifications, newest first, older than the position; and whether there are more.

    Fewer than `limit` where their texts, as written or filled in, would not fit into one answer.
    """
    found, more = store.page(service_id, filters, before, limit, MOST_TEXT_BYTES)
    views: list[NotificationView] = []
    size = 0
    for view in in_turns(_views(snapshots, links, found)):
        size += view.text_bytes
        if views and size > MOST_TEXT_BYTES:
            return views, True
        views.append(view)
    return views, more


def list_uploaded_letters(
    store: NotificationStore,
    snapshots: Snapshots,
    links: UnsubscribeLinks,
    service_id: str,
    template_id: str,
    print_date: date,
    page_number: int,
    size: int,
) -> tuple[list[NotificationView], int]:
    """Read a page of the letters that members uploaded for the print run of a London day, and how many there
    are on all (internal-api.md B21).
    """
    between = print_deadline(print_date - timedelta(days=1)), print_deadline(print_date)
    found, count = store.uploaded_letters(service_id, template_id, between, page_number, size)
    return list(_views(snapshots, links, found)), count


def count_uploaded_letters(
    store: NotificationStore, service_id: str, template_id: str, days: int, now: datetime
) -> list[tuple[date, int]]:
    """Count the letters that members uploaded in the last days, by the London day of their print run, the
    latest first (internal-api.md B20).
    """
    return store.uploaded_letter_counts(service_id, template_id, now - timedelta(days=days))


def list_job_notifications(
    uow: UnitOfWork,
    store: NotificationStore,
    snapshots: Snapshots,
    links: UnsubscribeLinks,
    service_id: str,
    job_id: str,
    states: Sequence[State],
    offset: int,
    limit: int,
) -> tuple[list[NotificationView], int]:
    """Read up to `limit` messages of a job in the order of its rows, after the first `offset`, and how many
    there are in all (internal-api.md B17). Raises NotifyError JOB_NOT_FOUND.
    """
    with uow.autocommit() as tx:
        if jobs.get(tx, service_id, job_id) is None:
            raise NotifyError("JOB_NOT_FOUND")
    found, count = store.rows_of_job(service_id, job_id, states, offset, limit)
    return list(_views(snapshots, links, found)), count


def get_activity(
    store: NotificationStore,
    snapshots: Snapshots,
    links: UnsubscribeLinks,
    service_id: str,
    filters: ActivityFilters,
    before: tuple[datetime, str] | None,
    offset: int,
    limit: int,
) -> tuple[list[NotificationView], bool]:
    """Read up to `limit` notifications, newest first, after the first `offset`; and whether there are more.

    Fewer than `limit` where their texts would not fit into one answer; what is left out of a page comes on
    none: such texts are seen one by one.
    """
    found, more = store.activity(service_id, filters, before, offset, limit)
    views: list[NotificationView] = []
    size = 0
    for view in in_turns(_views(snapshots, links, found)):
        size += view.text_bytes + view.notification.size_bytes
        if views and size > MOST_TEXT_BYTES:
            return views, True
        views.append(view)
    return views, more


def _views(
    snapshots: Snapshots, links: UnsubscribeLinks, found: Sequence[Notification]
) -> Iterator[NotificationView]:
    """Yield the views of notifications, each made when it is asked for: together they may be very large."""
    keys = {TemplateKey(one.service_id, one.template_id, one.template_version) for one in found}
    templates = snapshots.template_versions(keys)
    names = _names(snapshots, {one.created_by_id for one in found if one.created_by_id})
    for one in found:
        key = TemplateKey(one.service_id, one.template_id, one.template_version)
        yield _view(links, one, templates[key], names.get(one.created_by_id or "", ""))


def _names(snapshots: Snapshots, user_ids: Set[str]) -> dict[str, str]:
    """Return the names of members; what was sent is shown without them while admin can't be asked."""
    if not user_ids:
        return {}
    try:
        return {id: person.name for id, person in snapshots.people(user_ids).items()}
    except NotifyError as error:
        get_logger().warning("names of members are not known", reason=error.reason)
        return {}


def _view(
    links: UnsubscribeLinks, notification: Notification, template: Template | None, created_by_name: str
) -> NotificationView:
    if template is None:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    values = Personalisation(dict(notification.personalisation))
    subject, body = wording(template, values)
    is_letter = notification.channel is Channel.LETTER
    estimated = None
    if is_letter and notification.postage is not None:
        estimated = timings(notification.create_time, notification.postage).latest_delivery
    return NotificationView(
        notification=notification,
        created_by_name=created_by_name,
        subject=subject,
        body=body,
        address=_address(values) if is_letter else {},
        cost=cost(notification.billable),
        estimated_delivery_time=estimated,
        unsubscribe_url=notification.unsubscribe_url or _unsubscribe_url(links, notification, template),
    )


def _unsubscribe_url(links: UnsubscribeLinks, notification: Notification, template: Template) -> str:
    email = unsubscribable(notification, template)
    return "" if email is None else links.one_click(email, links.token(email))


def wording(template: Template, values: Personalisation) -> tuple[str, str]:
    """Return subject (empty for texts) and body, as the public API shows them."""
    match template.wording:
        case SmsTemplate() as sms:
            return "", sms.render(values).content
        case EmailTemplate() as email:
            message = email.render(values)
            return message.subject, message.content
        case letter:
            return letter.subject(values), letter.render(values).content


def _address(values: Personalisation) -> dict[str, str]:
    return {
        shown: text_of(values.values[key])
        for key, shown in _SHOWN_ADDRESS_KEYS.items()
        if values.values.get(key) is not None
    }

"""Reading texts that people sent (public-api.md §3.7, internal-api.md B28 to B31)."""

from datetime import datetime

from notify_common import clock
from notify_common.enums import Channel
from notify_common.errors import NotifyError
from notify_common.retention import DEFAULT_DAYS, kept_from

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.inbound_sms import SUMMARY_PERIOD, InboundSms, Summary, user_number
from notify_notifications.store.inbound_sms import InboundSmsStore, Position


def get_inbound_sms(store: InboundSmsStore, service_id: str, inbound_sms_id: str) -> InboundSms:
    """Return one text. Raises NotifyError INBOUND_SMS_NOT_FOUND, for another service's too."""
    found = store.get(service_id, inbound_sms_id)
    if found is None:
        raise NotifyError("INBOUND_SMS_NOT_FOUND")
    return found


def list_inbound_sms(
    store: InboundSmsStore,
    snapshots: Snapshots,
    service_id: str,
    written_by: str,
    before: Position | None,
    limit: int,
) -> list[InboundSms]:
    """Return up to `limit` texts of a service, newest first; of one writer, or with an empty `written_by` of
    all.
    """
    number = user_number(written_by) if written_by else ""
    return store.page(service_id, kept_since(snapshots, service_id), number, before, limit)


def list_latest_inbound_sms(
    store: InboundSmsStore, snapshots: Snapshots, service_id: str, before: Position | None, limit: int
) -> list[InboundSms]:
    """Return up to `limit` texts that are the newest of their writers, newest first."""
    return store.latest(service_id, kept_since(snapshots, service_id), before, limit)


def get_summary(store: InboundSmsStore, service_id: str) -> Summary:
    """Return how much a service receives."""
    return store.summary(service_id, kept_from(SUMMARY_PERIOD.days, clock.now()))


def kept_since(snapshots: Snapshots, service_id: str) -> datetime:
    """Return the moment before which texts are not kept: received ones as long as sent ones (public-api.md
    §8.4).
    """
    service = snapshots.service(service_id)
    days = DEFAULT_DAYS if service is None else service.retention_days(Channel.SMS)
    return kept_from(days, clock.now())

"""Taking in the texts that providers keep, each for the service whose number it was sent to (public-api.md
§9.4, pipeline.md §7.4).
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from notify.admin.v1.inbound_number_pb2 import InboundNumber
from notify.providers.v1.receipts_service_pb2 import InboundSmsEvent
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.feeds.consumer import FeedConsumer
from prometheus_client import Counter

from notify_notifications.clients.inbound_sms import PAGE_SIZE, InboundNumbers, InboundSmsFeed, inbound_sms
from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain import callback
from notify_notifications.domain.callback import CallbackEvent
from notify_notifications.domain.inbound_sms import InboundSms
from notify_notifications.store import inbound_sms as store
from notify_notifications.store.tables import feed_cursors
from notify_notifications.usecases.callbacks import enqueue

RECEIVING: Final = "inbound_sms"
"""The permission without which a service gets no texts."""

_TAKEN: Final = Counter(
    "notify_inbound_sms_total", "Texts that came, by whether a service owns their number.", ["owned"]
)


def inbound_sms_consumer(
    uow: UnitOfWork,
    feed: InboundSmsFeed,
    numbers: InboundNumbers,
    snapshots: Snapshots,
    *,
    aside: bool = False,
) -> FeedConsumer[InboundSms]:
    """Return what takes in each text of the feed once, by its id; `aside` for an Intake.

    A text belongs to the service that had its number, in use and with permission to receive, when it came.
    One that came before the number last changed hands is nobody's: whose it was is not known any more.
    """

    def fetch(cursor: str) -> tuple[Sequence[InboundSms], str]:
        events, next_cursor = feed.read(cursor)
        owners = {number: numbers.find(number) for number in {event.destination_number for event in events}}
        texts = []
        for event in events:
            owner = _owner(event, owners[event.destination_number], snapshots)
            _TAKEN.labels(str(owner is not None).lower()).inc()
            if owner is not None:
                texts.append(inbound_sms(event, owner))
        return texts, next_cursor

    record = partial(record_inbound_sms, snapshots)
    return FeedConsumer("inbound-sms", uow, feed_cursors, fetch, record, full_page=PAGE_SIZE, aside=aside)


def record_inbound_sms(snapshots: Snapshots, tx: Tx, texts: Sequence[InboundSms]) -> None:
    """Keep texts for the services that own them, and queue what these are told.

    Idempotency key: their ids.
    """
    store.append(tx, texts)
    enqueue(snapshots, tx, [_told(text) for text in texts])


def _told(text: InboundSms) -> CallbackEvent:
    return callback.inbound_sms(
        text.id,
        text.service_id,
        source_number=text.user_number,
        destination_number=text.notify_number,
        message=text.content,
        # providers that say no time are as quick as those that do
        date_received=text.provider_time or text.create_time,
    )


def _owner(event: InboundSmsEvent, number: InboundNumber | None, snapshots: Snapshots) -> str | None:
    if number is None or not number.active or not number.service_id:
        return None
    changed = number.HasField("update_time") and (
        number.update_time.ToNanoseconds() > event.receive_time.ToNanoseconds()
    )
    service = snapshots.service(number.service_id)
    if changed or service is None or not service.active or RECEIVING not in service.permissions:
        return None
    return service.id

"""Statements on the feed of texts that people send."""

import sqlalchemy as sa
from notify_common import ids
from notify_common.db.unit_of_work import Tx
from notify_common.feeds.producer import read_feed
from sqlalchemy.dialects.postgresql import insert

from notify_providers.domain.inbound import InboundSms, InboundSmsEvent
from notify_providers.store.tables import inbound_sms_events


def append(conn: Tx, text: InboundSms) -> bool:
    """Append the news of a text; return False if the same text is there already."""
    t = inbound_sms_events
    statement = insert(t).values(
        id=ids.new_id(),
        sameness=text.sameness,
        provider=text.provider,
        reference=text.reference,
        source_number=text.source_number,
        destination_number=text.destination_number,
        content=text.content,
        provider_time=text.provider_time,
    )
    # a row may be skipped, so that the driver's count is no help
    inserted = conn.execute(statement.on_conflict_do_nothing().returning(sa.literal(1))).first()
    return inserted is not None


def list_events(conn: Tx, cursor: str, limit: int) -> tuple[list[InboundSmsEvent], str]:
    """Return a page of the feed and the cursor behind it."""
    rows, next_cursor = read_feed(conn, inbound_sms_events, cursor, limit)
    events = [
        InboundSmsEvent(
            id=row.id,
            text=InboundSms(
                provider=row.provider,
                reference=row.reference,
                source_number=row.source_number,
                destination_number=row.destination_number,
                content=row.content,
                provider_time=row.provider_time,
            ),
            receive_time=row.receive_time,
        )
        for row in rows
    ]
    return events, next_cursor

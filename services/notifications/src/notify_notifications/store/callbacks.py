"""The queue of what services are told of over HTTP (design.md §3.3, §3.8 step 6)."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from notify_common import current
from notify_common.db.arrays import id_array, unnest
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.callback import CallbackEvent, Told
from notify_notifications.domain.hand_over import lane_of
from notify_notifications.domain.notification import State
from notify_notifications.store.tables import callbacks, notifications

_n = notifications.c
_c = callbacks.c
_TOLD: Final = (
    "channel",
    "reference",
    "recipient",
    "state",
    "create_time",
    "sent_time",
    "update_time",
    "template_version",
)


def add(tx: Tx, events: Sequence[CallbackEvent]) -> None:
    """Queue events, in one statement; those that are there already stay as they are."""
    if not events:
        return
    names = ("id", "type", "lane", "service_id", "subject_id", "body")
    rows = [
        (one.id, one.type, lane_of(one.service_id), one.service_id, one.subject_id, one.body)
        for one in sorted(events, key=lambda one: one.id)
    ]
    given = unnest("given", {name: _c[name].type for name in names}, rows)
    origin = (sa.literal(current.request_id.get(), sa.Text), sa.literal(current.traceparent.get(), sa.Text))
    chosen = sa.select(*(given.c[name] for name in names), *origin)
    adding = insert(callbacks).from_select([*names, "request_id", "traceparent"], chosen)
    tx.execute(adding.on_conflict_do_nothing(index_elements=["id"]))


def told(tx: Tx, notification_ids: Sequence[str]) -> list[Told]:
    """Return what services are told of their messages, as these stand in this transaction."""
    query = sa.select(
        sa.cast(_n.id, sa.Text).label("id"),
        sa.cast(_n.service_id, sa.Text).label("service_id"),
        sa.cast(_n.template_id, sa.Text).label("template_id"),
        *(_n[name] for name in _TOLD),
    ).where(_n.id == sa.any_(id_array(notification_ids)))
    return [_told(row) for row in tx.execute(query)]


def _told(row: Any) -> Told:
    facts = row._asdict()
    return Told(**facts | {"channel": Channel(row.channel), "state": State(row.state)})

"""Deleting messages whose retention is over, and counting them for good (pipeline.md §6.3)."""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel, KeyType
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.notification import State
from notify_notifications.domain.retention import is_kept_on
from notify_notifications.store import posted_letters
from notify_notifications.store.counts import london_day
from notify_notifications.store.tables import deleted_message_counts, notifications, outbox

_n = notifications.c
_FACTS: Final = ("message_count", "fragment_count")


def next_service(tx: Tx, after: str) -> str | None:
    """Return the first service after `after`, in the order of ids, that has messages; None at the end."""
    query = sa.select(_n.service_id).where(_n.service_id > after).order_by(_n.service_id).limit(1)
    found: str | None = tx.execute(query).scalar()
    return found


def next_counted_service(tx: Tx, after: str) -> str | None:
    """Return the first service after `after` that has or had messages; None at the end."""
    deleted = deleted_message_counts.c.service_id
    query = sa.select(deleted).where(deleted > after).order_by(deleted).limit(1)
    gone: str | None = tx.execute(query).scalar()
    return min((one for one in (next_service(tx, after), gone) if one), default=None)


def delete_created_before(tx: Tx, service_id: str, channel: Channel, time: datetime, limit: int) -> int:
    """Delete up to `limit` messages of a service and channel made before `time`; return how many.

    Kept are those that still wait in the outbox, those of which there is still something to come, and, for
    the moment, those that another transaction has locked: nobody waits here. All are counted in
    `deleted_message_counts`, in the same statement, so that each is a row or counted there, once; letters
    that were posted are kept in `posted_letters`. What was sent stays sent: `message_counts` and
    `usage_facts` do not change.
    """
    ended = [state for state in State if not is_kept_on(channel, state)]
    waits = sa.exists().where(outbox.c.notification_id == _n.id)
    old = (
        sa.select(_n.id)
        .where(
            _n.service_id == service_id,
            _n.key_type.in_([str(each) for each in KeyType]),
            _n.channel == channel,
            _n.state.in_([str(each) for each in ended]),
            _n.create_time < time,
            ~waits,
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    counted = _counted()
    names = {column.name for column in counted}
    kept = [_n[name] for name in posted_letters.KEPT if name not in names]
    gone = sa.delete(notifications).where(_n.id == old.c.id).returning(*counted, *kept).cte("gone")
    keys = [column.name for column in deleted_message_counts.primary_key]
    counts = (
        sa.select(
            *(gone.c[key] for key in keys),
            sa.func.count().label("message_count"),
            sa.func.coalesce(sa.func.sum(gone.c.fragment_count), 0).label("fragment_count"),
        )
        .group_by(*(gone.c[key] for key in keys))
        # all writers lock in one order
        .order_by(*(gone.c[key] for key in keys))
    )
    adding = insert(deleted_message_counts).from_select([*keys, *_FACTS], counts)
    added = adding.on_conflict_do_update(
        index_elements=keys,
        set_={name: deleted_message_counts.c[name] + adding.excluded[name] for name in _FACTS},
    ).cte("added")
    posted = posted_letters.keep(gone).cte("posted")
    return int(tx.execute(sa.select(sa.func.count()).select_from(gone).add_cte(added, posted)).scalar_one())


def _counted() -> list[sa.ColumnElement[Any]]:
    """Return what a deleted message is counted by, under the names of `deleted_message_counts`."""
    return [
        _n.service_id,
        london_day(),
        _n.channel,
        _n.template_id,
        _n.key_type,
        _n.state,
        _n.provider,
        _n.international,
        _n.rate_multiplier,
        sa.func.coalesce(_n.postage, "").label("postage"),
        sa.func.coalesce(_n.sheet_count, 0).label("sheet_count"),
        _n.fragment_count,
    ]

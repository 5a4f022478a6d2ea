"""Letters that were posted and are past their retention: what is left of them, as the post may bring one back
(pipeline.md §4.11).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.arrays import id_array, unnest
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel, KeyType, Postage
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.callback import Told
from notify_notifications.domain.notification import Progress, State
from notify_notifications.store.tables import posted_letters

_p = posted_letters.c
KEPT: Final = [column.name for column in posted_letters.columns if column.name != "delete_time"]
"""What is kept of a letter, by the names of its columns in `notifications`."""
_NOT_PROGRESS: Final = ("reference", "template_version", "created_by_id")
_TOLD: Final = (
    *("id", "service_id", "template_id", "template_version"),
    *("reference", "state", "create_time", "sent_time", "update_time", "created_by_id"),
)


def keep(gone: sa.FromClause) -> Any:
    """Return the statement that keeps those deleted messages that are letters which were posted.

    Args:
        gone: deleted messages, with `channel` and KEPT.
    """
    posted = sa.select(*(gone.c[name] for name in KEPT)).where(
        gone.c.channel == Channel.LETTER,
        sa.or_(gone.c.sent_time.is_not(None), gone.c.state == State.RETURNED_LETTER),
    )
    return insert(posted_letters).from_select(KEPT, posted).on_conflict_do_nothing()


def lock(tx: Tx, ids: Sequence[str]) -> dict[str, Progress]:
    """Return where letters stand, locked until the transaction ends; those that are none are left out."""
    query = (
        sa.select(*(_p[name] for name in KEPT if name not in _NOT_PROGRESS))
        .where(_p.id == sa.any_(id_array(ids)))
        .order_by(_p.id)
        .with_for_update()
    )
    return {row.id: _progress(row) for row in tx.execute(query)}


def save(tx: Tx, progress: Sequence[Progress]) -> None:
    """Write back where locked letters stand now."""
    names = ("id", "state", "update_time")
    types = {name: _p[name].type for name in names}
    given = unnest("given", types, [[getattr(one, name) for name in names] for one in progress])
    changes = {name: given.c[name] for name in names[1:]}
    tx.execute(sa.update(posted_letters).values(changes).where(_p.id == given.c.id))


def told(tx: Tx, ids: Collection[str]) -> list[Told]:
    """Return what services are told of their letters; nobody knows any more to whom they were sent."""
    query = sa.select(*(_p[name] for name in _TOLD)).where(_p.id == sa.any_(id_array(list(ids))))
    return [
        Told(**row._asdict() | {"channel": Channel.LETTER, "state": State(row.state), "recipient": ""})
        for row in tx.execute(query)
    ]


def delete_before(tx: Tx, time: datetime, limit: int) -> int:
    """Forget up to `limit` letters whose retention was over before `time`; return how many."""
    old = sa.select(_p.id).where(_p.delete_time < time).limit(limit).scalar_subquery()
    return int(tx.execute(sa.delete(posted_letters).where(_p.id.in_(old))).rowcount)


def _progress(row: Any) -> Progress:
    values = row._asdict()
    values |= {
        "channel": Channel.LETTER,
        "key_type": KeyType(row.key_type),
        "state": State(row.state),
        "postage": None if row.postage is None else Postage(row.postage),
        "international": False,
        "phone_prefix": "",
        "rate_multiplier": 0,
        "fragment_count": None,
    }
    return Progress(**values)

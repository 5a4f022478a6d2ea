"""Files that emails link to (public-api.md §2.5)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx

from notify_notifications.domain.files import MOST_TRIES, TRIES_WITHIN, StoredFile
from notify_notifications.store.tables import files, notifications

_f = files.c
_FIELDS: Final = [_f[name] for name in StoredFile.__dataclass_fields__]


def append(tx: Tx, file: StoredFile) -> None:
    """Keep what is known of a file, before its content is stored."""
    tx.execute(
        sa.insert(files).values({name: getattr(file, name) for name in StoredFile.__dataclass_fields__})
    )


def get(tx: Tx, service_id: str, file_id: str) -> StoredFile | None:
    """Return a file of a service; None if there is none."""
    query = sa.select(*_FIELDS).where(_f.id == file_id, _f.service_id == service_id)
    row = tx.execute(query).first()
    return None if row is None else StoredFile(*row)


def count_try(tx: Tx, file_id: str, now: datetime) -> bool:
    """Count that an address is tried for a file; return whether it still may be."""
    is_over = _f.tries_since < now - TRIES_WITHIN
    query = (
        sa.update(files)
        .where(_f.id == file_id, sa.or_(is_over, _f.tries < MOST_TRIES))
        .values(
            tries=sa.case((is_over, 1), else_=_f.tries + 1),
            tries_since=sa.case((is_over, now), else_=_f.tries_since),
        )
        .returning(_f.id)
    )
    return tx.execute(query).first() is not None


def settle(tx: Tx, file_ids: Sequence[str]) -> None:
    """Note that the messages of files were accepted."""
    tx.execute(sa.update(files).where(_f.id.in_(file_ids)).values(settled=True))


def delete(tx: Tx, file_ids: Sequence[str]) -> None:
    """Forget files, whose content is gone."""
    tx.execute(sa.delete(files).where(_f.id.in_(file_ids)))


def expired(tx: Tx, now: datetime, limit: int) -> list[tuple[str, str]]:
    """Return the service and id of files whose time is over, at most `limit`."""
    query = sa.select(_f.service_id, _f.id).where(_f.expire_time <= now).order_by(_f.expire_time).limit(limit)
    return _pairs(tx, query)


def unsettled(tx: Tx, before: datetime, limit: int) -> list[tuple[str, str, bool]]:
    """Return service and id of files stored before a time of which it was not noted whether their message was
    accepted, at most `limit`, and whether it was.
    """
    accepted = sa.exists().where(notifications.c.id == _f.notification_id)
    query = (
        sa.select(_f.service_id, _f.id, accepted)
        .where(sa.not_(_f.settled), _f.create_time < before)
        .order_by(_f.create_time)
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in tx.execute(query)]


def _pairs(tx: Tx, query: sa.Select[Any]) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in tx.execute(query)]

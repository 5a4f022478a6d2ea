"""Files that emails link to (public-api.md §2.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import sqlalchemy as sa
from notify_common.db.arrays import Types, id_array, unnest
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.files import MOST_TRIES, TRIES_WITHIN, FileCopy, StoredFile
from notify_notifications.store.tables import file_copies, files, notifications

_f, _c = files.c, file_copies.c
_FIELDS: Final = [_f[name] for name in StoredFile.__dataclass_fields__]
_COPY_FIELDS: Final = [_c[name] for name in FileCopy.__dataclass_fields__]
_KEY: Final = (_f.service_id, _f.id, _f.copy_id.is_(None))
_SPARE: Final = timedelta(days=1)


class FileKey(NamedTuple):
    """Names a file."""

    service_id: str
    id: str
    has_object: bool
    """Whether its content is its own, in an object of its own."""


def append(tx: Tx, *stored: StoredFile) -> None:
    """Keep what is known of files, before their content is stored."""
    names = StoredFile.__dataclass_fields__
    tx.execute(sa.insert(files), [{name: getattr(file, name) for name in names} for file in stored])


def copies(tx: Tx, ids: Sequence[str], now: datetime) -> dict[str, FileCopy]:
    """Return the copies of these files of templates by their ids, without those that may be removed."""
    query = sa.select(*_COPY_FIELDS).where(_c.id == sa.any_(id_array(ids)), _c.stored, _c.expire_time > now)
    return {row[0]: FileCopy(*row) for row in tx.execute(query)}


def keep_copies(tx: Tx, until: Mapping[str, datetime], now: datetime) -> None:
    """Keep copies by their ids for at least so long, unless they may be removed already.

    A day more is kept, so that most emails find nothing to change.
    """
    types: Types = {"id": id_type(), "until": sa.DateTime(timezone=True)}
    wanted = unnest("wanted", types, sorted(until.items()))
    tx.execute(
        sa.update(file_copies)
        .where(_c.id == wanted.c.id, _c.expire_time > now, _c.expire_time < wanted.c.until)
        .values(expire_time=wanted.c.until + _SPARE)
    )


def begin_copy(tx: Tx, copy: FileCopy) -> None:
    """Keep what is known of a copy, before its content is stored; one that there is stays as long as it
    would.
    """
    statement = insert(file_copies).values(**asdict(copy), stored=False)
    longer = sa.func.greatest(_c.expire_time, statement.excluded.expire_time)
    tx.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_={"expire_time": longer, "stored": False})
    )


def end_copy(tx: Tx, id: str) -> None:
    """Note that the content of a copy is stored."""
    tx.execute(sa.update(file_copies).where(_c.id == id).values(stored=True))


def lock_expired_copies(tx: Tx, now: datetime, limit: int) -> list[FileCopy]:
    """Return copies that no email links to any more, at most `limit`, and keep others off them."""
    query = sa.select(*_COPY_FIELDS).where(_c.expire_time <= now).order_by(_c.expire_time)
    return [FileCopy(*row) for row in tx.execute(query.limit(limit).with_for_update(skip_locked=True))]


def delete_copies(tx: Tx, ids: Sequence[str]) -> None:
    """Forget copies, whose content is gone."""
    tx.execute(sa.delete(file_copies).where(_c.id.in_(ids)))


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


def expired(tx: Tx, now: datetime, limit: int) -> list[FileKey]:
    """Return files whose time is over, at most `limit`."""
    query = sa.select(*_KEY).where(_f.expire_time <= now).order_by(_f.expire_time).limit(limit)
    return [FileKey(*row) for row in tx.execute(query)]


def unsettled(tx: Tx, before: datetime, limit: int) -> list[tuple[FileKey, bool]]:
    """Return files stored before a time of which it was not noted whether their message was accepted, at most
    `limit`, and whether it was.
    """
    accepted = sa.exists().where(notifications.c.id == _f.notification_id)
    query = (
        sa.select(*_KEY, accepted)
        .where(sa.not_(_f.settled), _f.create_time < before)
        .order_by(_f.create_time)
        .limit(limit)
    )
    return [(FileKey(*row[:-1]), row[-1]) for row in tx.execute(query)]

"""Contact lists: what is kept of each."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel
from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.contact_list import ContactList
from notify_notifications.store.tables import contact_lists, jobs

_c = contact_lists.c
_j = jobs.c
_COLUMNS: Final = [_c[field.name] for field in fields(ContactList)]


def add(tx: Tx, made: ContactList) -> None:
    """Store a list unless its id is taken."""
    values = {field.name: getattr(made, field.name) for field in fields(ContactList)}
    tx.execute(insert(contact_lists).values(values).on_conflict_do_nothing())


def get(tx: Tx, service_id: str, list_id: str) -> ContactList | None:
    """Return a list that is not archived, if the service has it."""
    row = tx.execute(sa.select(*_COLUMNS).where(_c.id == list_id, *_kept(service_id))).first()
    return None if row is None else _list(row)


def page(tx: Tx, service_id: str, offset: int, limit: int) -> tuple[list[ContactList], int]:
    """Return lists of a service that are not archived, the latest first; and how many there are."""
    conditions = _kept(service_id)
    count = tx.execute(sa.select(sa.func.count()).select_from(contact_lists).where(*conditions)).scalar_one()
    wanted = sa.select(*_COLUMNS).where(*conditions).order_by(_c.create_time.desc(), _c.id.desc())
    return [_list(row) for row in tx.execute(wanted.offset(offset).limit(limit))], count


def job_counts(
    tx: Tx, service_id: str, list_ids: Sequence[str], since: Mapping[Channel, datetime]
) -> dict[str, int]:
    """Return how many jobs were made of each list that has any: those that started since a time of their
    channel, or were made since then and wait.
    """
    time = sa.func.coalesce(_j.start_time, _j.create_time)
    recent = [sa.and_(_j.channel == channel, time >= first) for channel, first in since.items()]
    wanted = sa.select(_j.contact_list_id, sa.func.count()).where(
        _j.service_id == service_id, _j.contact_list_id.in_(list_ids), sa.or_(*recent)
    )
    return {row[0]: row[1] for row in tx.execute(wanted.group_by(_j.contact_list_id))}


def mark_used(tx: Tx, service_id: str, list_id: str) -> bool:
    """Note that a job is made of a list, archived or not; return whether the service has it."""
    its = (_c.id == list_id, _c.service_id == service_id)
    return bool(tx.execute(sa.update(contact_lists).values(has_jobs=True).where(*its)).rowcount)


def archive(tx: Tx, service_id: str, list_id: str, now: datetime) -> bool:
    """Archive a list; return whether it was there and not archived."""
    its = (_c.id == list_id, *_kept(service_id))
    return bool(tx.execute(sa.update(contact_lists).values(archive_time=now).where(*its)).rowcount)


def with_files(tx: Tx, limit: int) -> list[ContactList]:
    """Return archived lists whose files are still there."""
    wanted = sa.select(*_COLUMNS).where(_c.archive_time.is_not(None), _c.delete_time.is_(None))
    return [_list(row) for row in tx.execute(wanted.limit(limit))]


def mark_deleted(tx: Tx, list_ids: Sequence[str], now: datetime) -> None:
    """Note that the files of lists are gone."""
    tx.execute(sa.update(contact_lists).values(delete_time=now).where(_c.id.in_(list_ids)))


def delete_before(tx: Tx, time: datetime, limit: int) -> int:
    """Delete up to `limit` lists archived before `time` whose files are gone; return how many."""
    old = sa.select(_c.id).where(_c.archive_time < time, _c.delete_time.is_not(None)).limit(limit)
    return tx.execute(sa.delete(contact_lists).where(_c.id.in_(old))).rowcount


def _kept(service_id: str) -> "tuple[ColumnElement[bool], ...]":
    return _c.service_id == service_id, _c.archive_time.is_(None)


def _list(row: Any) -> ContactList:
    return ContactList(**{**row._asdict(), "channel": Channel(row.channel)})

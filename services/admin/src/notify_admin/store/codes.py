"""Codes by which users sign in; only what is made of them is stored."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store.tables import verify_codes

_c = verify_codes.c


def add(tx: Tx, code_id: str, user_id: str, type_: str, code_hash: bytes, expire_time: datetime) -> bool:
    """Store a code; return False if there is one of this id."""
    values = {"id": code_id, "user_id": user_id, "type": type_, "code_hash": code_hash}
    statement = insert(verify_codes).values(**values, expire_time=expire_time)
    return tx.execute(statement.on_conflict_do_nothing()).rowcount > 0


def count_unused(tx: Tx, user_id: str, now: datetime) -> int:
    """Return how many codes of a user are neither used nor expired."""
    which = sa.and_(_c.user_id == user_id, _c.use_time.is_(None), _c.expire_time > now)
    return int(tx.execute(sa.select(sa.func.count()).select_from(verify_codes).where(which)).scalar_one())


def newest(tx: Tx, user_id: str, type_: str, code_hash: bytes) -> Any:
    """Return id, expire_time and use_time of the newest code of a user that this hash is of; None if there is
    none.
    """
    which = sa.and_(_c.user_id == user_id, _c.type == type_, _c.code_hash == code_hash)
    found = sa.select(_c.id, _c.expire_time, _c.use_time).where(which).order_by(_c.expire_time.desc())
    return tx.execute(found.limit(1)).first()


def use(tx: Tx, code_id: str, now: datetime) -> None:
    """Note that a code was used."""
    tx.execute(sa.update(verify_codes).values(use_time=now).where(_c.id == code_id))


def delete_before(tx: Tx, user_id: str, time: datetime) -> None:
    """Delete codes of a user that expired before a time."""
    tx.execute(sa.delete(verify_codes).where(_c.user_id == user_id, _c.expire_time < time))

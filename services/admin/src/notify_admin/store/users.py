"""Rows of users beyond what the resource says."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from notify.admin.v1.user_pb2 import User
from notify_common.db.arrays import id_array
from notify_common.db.unit_of_work import Tx
from sqlalchemy import ColumnElement

from notify_admin.store.resources import USERS
from notify_admin.store.tables import users


def by_email_address(tx: Tx, email_address: str) -> User | None:
    """Return the user with this address, without regard to case."""
    found = USERS.find(tx, sa.func.lower(users.c.email_address) == email_address.lower())
    return found[0] if found else None


def people(tx: Tx, user_ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return id, name and email address of those users that there are."""
    query = sa.select(users.c.id, users.c.name, users.c.email_address)
    return [tuple(row) for row in tx.execute(query.where(users.c.id == sa.any_(id_array(user_ids))))]


def password_hash(tx: Tx, user_id: str) -> str | None:
    """Return the hash of the password; None for who can't sign in."""
    return tx.execute(sa.select(users.c.password_hash).where(users.c.id == user_id)).scalar()


def made_between(start: datetime | None, end: datetime | None) -> ColumnElement[bool]:
    """Return which users were made at or after `start` and before `end`; None leaves that side open."""
    return _between(users.c.create_time, start, end)


def logged_in_between(start: datetime | None, end: datetime | None) -> ColumnElement[bool]:
    """Return which users last signed in at or after `start` and before `end`, as `made_between`."""
    return _between(users.c.logged_in_time, start, end)


def _between(column: ColumnElement[Any], start: datetime | None, end: datetime | None) -> ColumnElement[bool]:
    sides = [column >= start] if start else []
    return sa.and_(sa.true(), *sides, *([column < end] if end else []))


def has_email_part(part: str) -> ColumnElement[bool]:
    """Return which users have a part of their email address, without regard to case."""
    return users.c.email_address.icontains(part, autoescape=True)


def made_by_tests(tx: Tx, name: str) -> list[tuple[str, str]]:
    """Return id and email address of the users whose address begins with a name and a plus, in order of the
    ids.
    """
    mine = users.c.email_address.istartswith(f"{name}+", autoescape=True)
    query = sa.select(sa.cast(users.c.id, sa.Text), users.c.email_address).where(mine).order_by(users.c.id)
    return [(row[0], row[1]) for row in tx.execute(query)]

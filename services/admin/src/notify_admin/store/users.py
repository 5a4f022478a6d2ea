"""Rows of users and memberships."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.dialects.postgresql import insert

from notify_admin.domain.users import User, UserFields
from notify_admin.store.rows import Position, after, id_rows, insert_once, request_hash
from notify_admin.store.tables import memberships, users

_COLUMNS = [column for column in users.c if column.name != "request_hash"]


def create(conn: Connection, user_id: UUID, fields: UserFields) -> bool:
    """Insert a user as `rows.insert_once`."""
    return insert_once(
        conn, users, {**asdict(fields), "id": user_id, "request_hash": request_hash(user=fields)}
    )


def get(conn: Connection, user_id: UUID) -> User | None:
    """The user, if there is one."""
    row = conn.execute(sa.select(*_COLUMNS).where(users.c.id == user_id)).first()
    return None if row is None else _user(row)


def add_member(conn: Connection, service_id: UUID, user_id: UUID) -> bool:
    """Make a user a member; returns False if it is one."""
    statement = insert(memberships).values(service_id=service_id, user_id=user_id)
    return conn.execute(statement.on_conflict_do_nothing()).rowcount > 0


def remove_member(conn: Connection, service_id: UUID, user_id: UUID) -> bool:
    """End a membership; returns False if there is none."""
    m = memberships.c
    statement = sa.delete(memberships).where(m.service_id == service_id, m.user_id == user_id)
    return conn.execute(statement).rowcount > 0


def list_members(conn: Connection, service_id: UUID, position: Position | None, limit: int) -> list[User]:
    """Members of a service by name. Position (name, id)."""
    order = [users.c.name, users.c.id]
    rows = conn.execute(
        sa.select(*_COLUMNS)
        .select_from(users.join(memberships, memberships.c.user_id == users.c.id))
        .where(memberships.c.service_id == service_id, after(order, position))
        .order_by(*order)
        .limit(limit)
    )
    return [_user(row) for row in rows]


def members_of_services(conn: Connection, service_ids: Sequence[UUID], most: int) -> list[tuple[UUID, User]]:
    """Up to `most` members of each service, those who joined first first, with the service's id."""
    wanted = id_rows(service_ids)
    firsts = (
        sa.select(memberships.c.user_id)
        .where(memberships.c.service_id == wanted.c.id)
        .order_by(memberships.c.create_time, memberships.c.user_id)
        .limit(most)
        .lateral("firsts")
    )
    joined = wanted.join(firsts, sa.true()).join(users, users.c.id == firsts.c.user_id)
    rows = conn.execute(sa.select(wanted.c.id.label("service_id"), *_COLUMNS).select_from(joined))
    return [(row.service_id, _user(row)) for row in rows]


def _user(row: Row[Any]) -> User:
    values = row._asdict()
    values.pop("service_id", None)
    return User(**values)

"""Rows of text senders, reply-to addresses and letter contact blocks."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Table

from notify_admin.domain.senders import Sender, SenderKind
from notify_admin.store.rows import Position, after, id_rows, insert_once
from notify_admin.store.tables import SENDER_TABLES


def create(conn: Connection, kind: SenderKind, sender: dict[str, Any]) -> bool:
    """Insert one as `rows.insert_once`."""
    return insert_once(conn, SENDER_TABLES[kind], sender)


def get(conn: Connection, kind: SenderKind, service_id: UUID, sender_id: UUID) -> Sender | None:
    """One of a service, archived or not."""
    table = SENDER_TABLES[kind]
    row = conn.execute(
        sa.select(*_columns(table)).where(table.c.id == sender_id, table.c.service_id == service_id)
    ).first()
    return None if row is None else _sender(row)


def get_default(conn: Connection, kind: SenderKind, service_id: UUID) -> Sender | None:
    """The default one of a service."""
    table = SENDER_TABLES[kind]
    row = conn.execute(
        sa.select(*_columns(table)).where(_live(table, service_id), table.c.is_default)
    ).first()
    return None if row is None else _sender(row)


def count(conn: Connection, kind: SenderKind, service_id: UUID) -> int:
    """How many unarchived ones a service has."""
    table = SENDER_TABLES[kind]
    return int(
        conn.execute(
            sa.select(sa.func.count()).select_from(table).where(_live(table, service_id))
        ).scalar_one()
    )


def make_default(conn: Connection, kind: SenderKind, service_id: UUID, sender_id: UUID) -> None:
    """Make one the default in the place of whichever was."""
    table = SENDER_TABLES[kind]
    old = sa.update(table).values(is_default=False).where(_live(table, service_id), table.c.is_default)
    conn.execute(old)
    conn.execute(sa.update(table).values(is_default=True).where(table.c.id == sender_id))


def archive(conn: Connection, kind: SenderKind, sender_id: UUID) -> None:
    """Take one out of use."""
    table = SENDER_TABLES[kind]
    conn.execute(sa.update(table).values(archived=True, is_default=False).where(table.c.id == sender_id))


def list_page(
    conn: Connection, kind: SenderKind, service_id: UUID, position: Position | None, limit: int
) -> list[Sender]:
    """Unarchived ones, the default first, then newest first; position (is_default, create_time, id)."""
    table = SENDER_TABLES[kind]
    order = [table.c.is_default, table.c.create_time, table.c.id]
    rows = conn.execute(
        sa.select(*_columns(table))
        .where(_live(table, service_id), after(order, position, descending=True))
        .order_by(*(column.desc() for column in order))
        .limit(limit)
    )
    return [_sender(row) for row in rows]


def of_services(conn: Connection, kind: SenderKind, service_ids: Sequence[UUID], most: int) -> list[Sender]:
    """Up to `most` unarchived ones of each service, the default first, then newest first."""
    table = SENDER_TABLES[kind]
    wanted = id_rows(service_ids)
    firsts = (
        sa.select(*_columns(table))
        .where(table.c.service_id == wanted.c.id, sa.not_(table.c.archived))
        .order_by(table.c.is_default.desc(), table.c.create_time.desc(), table.c.id.desc())
        .limit(most)
        .lateral("firsts")
    )
    rows = conn.execute(sa.select(*firsts.c).select_from(wanted.join(firsts, sa.true())))
    return [_sender(row) for row in rows]


def _columns(table: Table) -> list[sa.Column[Any]]:
    return [column for column in table.c if column.name != "request_hash"]


def _live(table: Table, service_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.service_id == service_id, sa.not_(table.c.archived))


def _sender(row: Row[Any]) -> Sender:
    return Sender(**row._asdict())

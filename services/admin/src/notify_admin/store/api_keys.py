"""Rows of API keys; secrets are encrypted in them."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from notify_admin.domain.api_keys import REVOKED_SHOWN_FOR, ApiKey
from notify_admin.store.rows import Position, after, insert_once
from notify_admin.store.tables import api_keys

_COLUMNS = [column for column in api_keys.c if column.name not in ("encrypted_secret", "request_hash")]
_works = api_keys.c.revoke_time.is_(None)


def create(conn: Connection, row: dict[str, Any]) -> bool:
    """Insert a key as `rows.insert_once`."""
    return insert_once(conn, api_keys, row)


def get(conn: Connection, service_id: UUID, api_key_id: UUID) -> tuple[ApiKey, bytes] | None:
    """A key of a service, revoked or not, and its encrypted secret."""
    row = conn.execute(
        sa.select(*_COLUMNS, api_keys.c.encrypted_secret).where(
            api_keys.c.id == api_key_id, api_keys.c.service_id == service_id
        )
    ).first()
    return None if row is None else _with_secret(row)


def revoke(conn: Connection, service_id: UUID, api_key_id: UUID) -> bool:
    """Revoke a key; returns False if it was revoked before, or there is none."""
    statement = sa.update(api_keys).values(revoke_time=sa.func.now())
    mine = sa.and_(api_keys.c.id == api_key_id, api_keys.c.service_id == service_id, _works)
    return conn.execute(statement.where(mine)).rowcount > 0


def revoke_all(conn: Connection, service_id: UUID) -> None:
    """Revoke every key of a service that works."""
    statement = sa.update(api_keys).values(revoke_time=sa.func.now())
    conn.execute(statement.where(api_keys.c.service_id == service_id, _works))


def list_page(conn: Connection, service_id: UUID, position: Position | None, limit: int) -> list[ApiKey]:
    """Keys newest first, revoked ones for seven days. Position (create_time, id)."""
    order = [api_keys.c.create_time, api_keys.c.id]
    rows = conn.execute(
        sa.select(*_COLUMNS)
        .where(_shown(service_id), after(order, position, descending=True))
        .order_by(*(column.desc() for column in order))
        .limit(limit)
    )
    return [ApiKey(**row._asdict()) for row in rows]


def list_with_secrets(
    conn: Connection, service_id: UUID, position: Position | None, limit: int
) -> list[tuple[ApiKey, bytes]]:
    """As `list_page`, but working keys first, with encrypted secrets. Position (works, create_time, id)."""
    order = [_works, api_keys.c.create_time, api_keys.c.id]
    rows = conn.execute(
        sa.select(*_COLUMNS, api_keys.c.encrypted_secret)
        .where(_shown(service_id), after(order, position, descending=True))
        .order_by(*(column.desc() for column in order))
        .limit(limit)
    )
    return [_with_secret(row) for row in rows]


def lock_secrets(conn: Connection, after_id: UUID | None, limit: int) -> list[tuple[UUID, bytes]]:
    """Ids and encrypted secrets of up to `limit` keys, by id, kept until the transaction ends."""
    further = sa.true() if after_id is None else api_keys.c.id > after_id
    rows = conn.execute(
        sa.select(api_keys.c.id, api_keys.c.encrypted_secret)
        .where(further)
        .order_by(api_keys.c.id)
        .limit(limit)
        .with_for_update()
    )
    return [(row.id, bytes(row.encrypted_secret)) for row in rows]


def save_secrets(conn: Connection, secrets: list[tuple[UUID, bytes]]) -> None:
    """Store encrypted secrets by id, in one statement."""
    values = sa.values(
        sa.column("id", sa.Uuid), sa.column("encrypted_secret", sa.LargeBinary), name="secrets"
    ).data(secrets)
    statement = sa.update(api_keys).values(encrypted_secret=values.c.encrypted_secret)
    conn.execute(statement.where(api_keys.c.id == values.c.id))


def _shown(service_id: UUID) -> sa.ColumnElement[bool]:
    recent = api_keys.c.revoke_time > sa.func.now() - REVOKED_SHOWN_FOR
    return sa.and_(api_keys.c.service_id == service_id, sa.or_(_works, recent))


def _with_secret(row: Row[*tuple[Any, ...]]) -> tuple[ApiKey, bytes]:
    values = row._asdict()
    return ApiKey(**{k: v for k, v in values.items() if k != "encrypted_secret"}), bytes(
        values["encrypted_secret"]
    )

"""Rows of services."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from notify_admin.domain.services import Service, ServiceFields, normalised_name
from notify_admin.store.rows import Position, after, id_array, insert_once, request_hash, update_named
from notify_admin.store.tables import services

_COLUMNS = [column for column in services.c if column.name not in ("normalised_name", "request_hash")]


def create(
    conn: Connection, service_id: UUID, fields: ServiceFields, requested: ServiceFields, sender: str
) -> bool:
    """Insert a service as `rows.insert_once`; `requested` and `sender` are what the request said."""
    return insert_once(
        conn,
        services,
        {
            **_values(fields),
            "id": service_id,
            "active": True,
            "version": 1,
            "request_hash": request_hash(service=requested, default_sms_sender=sender),
        },
    )


def get(conn: Connection, service_id: UUID) -> Service | None:
    """The service, archived or not."""
    found = get_many(conn, [service_id])
    return found[0] if found else None


def lock(conn: Connection, service_id: UUID) -> Service | None:
    """The service, kept from being changed by others until the transaction ends."""
    row = conn.execute(sa.select(*_COLUMNS).where(services.c.id == service_id).with_for_update()).first()
    return None if row is None else _service(row)


def get_many(conn: Connection, ids: Sequence[UUID]) -> list[Service]:
    """Those of the services that exist, in no order."""
    rows = conn.execute(sa.select(*_COLUMNS).where(services.c.id == sa.func.any(id_array(ids))))
    return [_service(row) for row in rows]


def list_page(conn: Connection, position: Position | None, limit: int) -> list[Service]:
    """Services by creation time, oldest first; position (create_time, id)."""
    order = [services.c.create_time, services.c.id]
    rows = conn.execute(sa.select(*_COLUMNS).where(after(order, position)).order_by(*order).limit(limit))
    return [_service(row) for row in rows]


def save(conn: Connection, service_id: UUID, fields: ServiceFields, *, active: bool = True) -> None:
    """Store changed fields as the next version. Raises NotifyError NAME_TAKEN."""
    update_named(
        conn,
        sa.update(services)
        .values(**_values(fields), active=active, version=services.c.version + 1, update_time=sa.func.now())
        .where(services.c.id == service_id),
    )


def _values(fields: ServiceFields) -> dict[str, Any]:
    values = {name: value for name, value in asdict(fields).items() if name in ServiceFields.__slots__}
    lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
    return {**values, **lists, "normalised_name": normalised_name(fields.name)}


def _service(row: Row[Any]) -> Service:
    values = row._asdict()
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Service(**{**values, **lists})

"""Rows of templates and their versions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.dialects.postgresql import ARRAY

from notify_admin.domain.templates import CURRENT, Template, VersionKey, Wording
from notify_admin.store.rows import Position, after, insert_once
from notify_admin.store.tables import template_versions, templates, users

_COPIED = (
    "name",
    "subject",
    "content",
    "archived",
    "postage",
    "letter_contact_id",
    "letter_contact_block",
    "has_unsubscribe_link",
    "welsh_subject",
    "welsh_content",
)
_JOINED = template_versions.join(templates, template_versions.c.template_id == templates.c.id).join(
    users, templates.c.created_by_id == users.c.id
)
_COLUMNS = [
    templates.c.id,
    templates.c.service_id,
    templates.c.channel,
    templates.c.hidden,
    templates.c.created_by_id,
    templates.c.create_time,
    users.c.email_address.label("created_by_email_address"),
    template_versions.c.version,
    *(template_versions.c[name] for name in _COPIED),
    sa.case((template_versions.c.version > 1, template_versions.c.make_time)).label("update_time"),
]


def create(conn: Connection, row: dict[str, Any], wording: Wording, contact_block: str) -> bool:
    """Insert a template at version 1 as `rows.insert_once`."""
    if not insert_once(conn, templates, {**row, "version": 1}):
        return False
    _insert_version(conn, row["id"], 1, wording, contact_block, row["created_by_id"], archived=False)
    return True


def add_version(
    conn: Connection, template: Template, wording: Wording, contact_block: str, made_by_id: UUID
) -> None:
    """Make the next version of a template that `lock` returned, and the current one."""
    version = template.version + 1
    _insert_version(
        conn, template.id, version, wording, contact_block, made_by_id, archived=template.archived
    )
    conn.execute(sa.update(templates).values(version=version).where(templates.c.id == template.id))


def copy_versions(
    conn: Connection,
    which: sa.ColumnElement[bool],
    changes: dict[str, Any],
    made_by_id: UUID | None = None,
) -> list[UUID]:
    """Make the next version of all templates whose current one matches, with `changes`; returns their ids.

    `made_by_id` is who makes it; None keeps who made the version before.
    """
    current = sa.and_(
        template_versions.c.template_id == templates.c.id, template_versions.c.version == templates.c.version
    )
    values: dict[str, Any] = {name: template_versions.c[name] for name in _COPIED}
    values |= {name: sa.literal(value, template_versions.c[name].type) for name, value in changes.items()}
    values |= {
        "template_id": templates.c.id,
        "version": templates.c.version + 1,
        "made_by_id": template_versions.c.made_by_id
        if made_by_id is None
        else sa.literal(made_by_id, sa.Uuid),
    }
    locked = sa.select(templates.c.id).where(
        sa.exists(sa.select(1).where(current, which)).correlate(templates)
    )
    conn.execute(locked.with_for_update())
    select = sa.select(*values.values()).select_from(templates.join(template_versions, current)).where(which)
    ids = list(
        conn.execute(
            sa.insert(template_versions)
            .from_select(list(values), select)
            .returning(template_versions.c.template_id)
        ).scalars()
    )
    if ids:
        conn.execute(
            sa.update(templates).values(version=templates.c.version + 1).where(templates.c.id.in_(ids))
        )
    return ids


def get(conn: Connection, key: VersionKey) -> Template | None:
    """A template at a version, archived and hidden ones too."""
    return get_many(conn, [key]).get(key)


def lock(conn: Connection, service_id: UUID, template_id: UUID) -> Template | None:
    """A template at its current version, kept from being changed by others until the transaction ends."""
    mine = sa.and_(templates.c.id == template_id, templates.c.service_id == service_id)
    if conn.execute(sa.select(1).select_from(templates).where(mine).with_for_update()).first() is None:
        return None
    return get(conn, VersionKey(service_id, template_id, CURRENT))


def get_many(conn: Connection, keys: Sequence[VersionKey]) -> dict[VersionKey, Template]:
    """Those that exist of the templates at their versions."""
    arrays: list[Any] = [
        sa.cast(sa.bindparam(None, list(values), type_=ARRAY(kind)), ARRAY(kind))
        for values, kind in zip(zip(*keys, strict=True), (sa.Uuid, sa.Uuid, sa.Integer), strict=True)
    ]
    wanted = (
        sa.func.unnest(*arrays)
        .table_valued(
            sa.column("service_id", sa.Uuid),
            sa.column("template_id", sa.Uuid),
            sa.column("version", sa.Integer),
            name="wanted",
        )
        .render_derived()
    )
    version = sa.case((wanted.c.version == CURRENT, templates.c.version), else_=wanted.c.version)
    rows = conn.execute(
        sa.select(*_COLUMNS, wanted.c.version.label("wanted_version"))
        .select_from(_JOINED)
        .where(
            templates.c.id == wanted.c.template_id,
            templates.c.service_id == wanted.c.service_id,
            template_versions.c.version == version,
        )
    )
    return {VersionKey(row.service_id, row.id, row.wanted_version): _template(row) for row in rows}


def list_page(
    conn: Connection, service_id: UUID, channel: str | None, position: Position | None, limit: int
) -> list[Template]:
    """Current versions by name, then channel; not archived, not hidden. Position (name, channel, id)."""
    order = [template_versions.c.name, templates.c.channel, templates.c.id]
    rows = conn.execute(
        sa.select(*_COLUMNS)
        .select_from(_JOINED)
        .where(
            templates.c.service_id == service_id,
            template_versions.c.version == templates.c.version,
            sa.not_(template_versions.c.archived),
            sa.not_(templates.c.hidden),
            sa.true() if channel is None else templates.c.channel == channel,
            after(order, position),
        )
        .order_by(*order)
        .limit(limit)
    )
    return [_template(row) for row in rows]


def list_versions(
    conn: Connection, service_id: UUID, template_id: UUID, position: Position | None, limit: int
) -> list[Template]:
    """All versions of a template, newest first. Position (version,)."""
    order = [template_versions.c.version]
    rows = conn.execute(
        sa.select(*_COLUMNS)
        .select_from(_JOINED)
        .where(
            templates.c.id == template_id,
            templates.c.service_id == service_id,
            after(order, position, descending=True),
        )
        .order_by(template_versions.c.version.desc())
        .limit(limit)
    )
    return [_template(row) for row in rows]


def _insert_version(
    conn: Connection,
    template_id: UUID,
    version: int,
    wording: Wording,
    contact_block: str,
    made_by_id: UUID,
    *,
    archived: bool,
) -> None:
    words = {name: value for name, value in asdict(wording).items() if name in Wording.__slots__}
    conn.execute(
        sa.insert(template_versions).values(
            **words,
            template_id=template_id,
            version=version,
            archived=archived,
            letter_contact_block=contact_block,
            made_by_id=made_by_id,
        )
    )


def _template(row: Row[*tuple[Any, ...]]) -> Template:
    values = row._asdict()
    values.pop("wanted_version", None)
    return Template(**values)

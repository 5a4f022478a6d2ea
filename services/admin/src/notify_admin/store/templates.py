"""Rows of templates and their versions beyond what the resources say; what changes goes into the feed."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from notify.admin.v1.template_pb2 import Template
from notify_common.db.arrays import Types, unnest
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.domain.templates import CURRENT, VersionKey
from notify_admin.store import audit, changes
from notify_admin.store.resources import TEMPLATES, VERSIONS
from notify_admin.store.tables import template_versions, templates

_KEY: Final = ("template_id", "version", "made_by_id", "make_time")
_current = sa.and_(
    template_versions.c.template_id == templates.c.id, template_versions.c.version == templates.c.version
)

LISTED: Final = sa.and_(_current, sa.not_(template_versions.c.archived), sa.not_(templates.c.hidden))
"""Templates at their current version that lists show."""


def create(tx: Tx, ask: Any, template: Template, *, hidden: bool = False) -> bool:
    """Insert a template at version 1 under the id of a request, as `Resource.add`."""
    if not TEMPLATES.add(tx, ask, template, version=1, hidden=hidden):
        return False
    made_by_id = template.created_by_id
    _insert_version(tx, template, template_id=ask.request_id, version=1, made_by_id=made_by_id)
    after = {**VERSIONS.state(template), "id": ask.request_id, "version": 1}
    audit.append(tx, template.service_id, "create", "Template", [ask.request_id], None, after)
    changes.append(tx, "template", template.service_id, [ask.request_id])
    return True


def add_version(tx: Tx, template: Template, made_by_id: str) -> None:
    """Make the next version of a template that is locked, and the current one."""
    version = template.version + 1
    _insert_version(tx, template, template_id=template.id, version=version, made_by_id=made_by_id)
    tx.execute(sa.update(templates).values(version=version).where(templates.c.id == template.id))
    after = {**VERSIONS.state(template), "version": version}
    audit.append(tx, template.service_id, "update", "Template", [template.id], {}, after)
    changes.append(tx, "template", template.service_id, [template.id])


def copy_versions(tx: Tx, changed: dict[str, Any], made_by_id: str | None = None, **keys: Any) -> list[str]:
    """Make the next version, with what is `changed`, of all live templates that have these values; return
    their ids.

    `made_by_id` is who makes it; None keeps who made the version before. Keys are columns of either table,
    the service among them.
    """
    c = template_versions.c
    which = sa.and_(*((templates.c if name in templates.c else c)[name] == keys[name] for name in keys))
    live = sa.and_(_current, sa.not_(c.archived), which)
    locked = sa.select(templates.c.id).where(
        sa.exists(sa.select(1).where(live).correlate(templates)).correlate(templates)
    )
    tx.execute(locked.with_for_update())
    values: dict[str, Any] = {column.name: column for column in c if column.name not in _KEY}
    values |= {name: sa.literal(value, c[name].type) for name, value in changed.items()}
    values |= {
        "template_id": templates.c.id,
        "version": templates.c.version + 1,
        "made_by_id": c.made_by_id if made_by_id is None else sa.literal(made_by_id, c.made_by_id.type),
    }
    select = sa.select(*values.values()).select_from(templates.join(template_versions, _current)).where(live)
    copied = sa.insert(template_versions).from_select(list(values), select).returning(c.template_id)
    ids = list(tx.execute(copied).scalars())
    if ids:
        bumped = sa.update(templates).values(version=templates.c.version + 1).where(templates.c.id.in_(ids))
        tx.execute(bumped)
        audit.append(tx, keys["service_id"], "update", "Template", ids, {}, changed)
        changes.append(tx, "template", keys["service_id"], ids)
    return ids


def redact(tx: Tx, service_id: str, template_id: str) -> None:
    """Hide what is filled into a template's placeholders."""
    tx.execute(sa.update(templates).values(redacted=True).where(templates.c.id == template_id))
    audit.append(tx, service_id, "update", "Template", [template_id], {}, {"redacted": True})
    changes.append(tx, "template", service_id, [template_id])


def one(tx: Tx, key: VersionKey) -> Template:
    """Return a template at a version, archived and hidden ones too. Raises NotifyError TEMPLATE_NOT_FOUND."""
    found = get_many(tx, [key]).get(key)
    if found is None:
        raise NotifyError("TEMPLATE_NOT_FOUND", metadata={"template_id": key.template_id})
    return found


def lock(tx: Tx, service_id: str, template_id: str) -> Template:
    """Return a template at its current version, locked until the transaction ends.

    Raises NotifyError TEMPLATE_NOT_FOUND.
    """
    mine = sa.and_(templates.c.id == template_id, templates.c.service_id == service_id)
    tx.execute(sa.select(1).select_from(templates).where(mine).with_for_update())
    return current(tx, service_id, template_id)


def current(tx: Tx, service_id: str, template_id: str) -> Template:
    """Return a template at its current version. Raises NotifyError TEMPLATE_NOT_FOUND."""
    return one(tx, VersionKey(service_id, template_id, CURRENT))


def get_many(tx: Tx, keys: Sequence[VersionKey]) -> dict[VersionKey, Template]:
    """Return those that exist of the templates at their versions."""
    types: Types = {"service_id": id_type(), "template_id": id_type(), "version": sa.Integer()}
    wanted = unnest("wanted", types, keys)
    version = sa.case((wanted.c.version == CURRENT, templates.c.version), else_=wanted.c.version)
    statement = (
        TEMPLATES.select(
            templates.c.id == wanted.c.template_id,
            templates.c.service_id == wanted.c.service_id,
            template_versions.c.version == version,
        )
        .select_from(wanted)
        .add_columns(wanted.c.version)
    )
    found = [(TEMPLATES.read(row), row[-1]) for row in tx.execute(statement)]
    return {VersionKey(template.service_id, template.id, asked): template for template, asked in found}


def _insert_version(tx: Tx, template: Template, **columns: object) -> None:
    kept = {
        "letter_contact_block": template.letter_contact_block,
        "letter_attachment_id": template.letter_attachment_id or None,
        "archived": template.archived,
    }
    tx.execute(sa.insert(template_versions).values(**{**VERSIONS.values(template), **kept, **columns}))

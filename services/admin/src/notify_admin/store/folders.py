"""Template folders beyond what the resource says."""

from collections.abc import Sequence

import sqlalchemy as sa
from notify_common.db.arrays import id_array
from notify_common.db.unit_of_work import Tx

from notify_admin.store import audit
from notify_admin.store.tables import template_folders, templates


def is_empty(tx: Tx, folder_id: str) -> bool:
    """Tell whether no folder and no template that is not archived is in it."""
    inside = sa.select(sa.literal(1)).where(template_folders.c.parent_id == folder_id)
    held = sa.select(sa.literal(1)).where(templates.c.folder_id == folder_id)
    return tx.execute(sa.union_all(inside, held).limit(1)).first() is None


def move(
    tx: Tx, service_id: str, folder_ids: Sequence[str], template_ids: Sequence[str], target_id: str | None
) -> None:
    """Put folders and templates of a service into a folder, or to the top."""
    for table, column, ids, kind in (
        (template_folders, template_folders.c.parent_id, folder_ids, "TemplateFolder"),
        (templates, templates.c.folder_id, template_ids, "Template"),
    ):
        which = sa.and_(table.c.id == sa.func.any(id_array(ids)), column.is_distinct_from(target_id))
        moved = sa.update(table).where(which).values({column: target_id}).returning(table.c.id)
        moved_ids = tx.execute(moved).scalars().all()
        audit.append(tx, service_id, "update", kind, moved_ids, {}, {column.name: target_id})


def parents(tx: Tx, service_id: str) -> dict[str, str | None]:
    """Return all folders of a service with what they are in."""
    c = template_folders.c
    rows = tx.execute(sa.select(c.id, c.parent_id).where(c.service_id == service_id))
    return {row.id: row.parent_id for row in rows}

"""Who uses brandings, and which an organisation may choose from."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store import audit
from notify_admin.store.tables import branding_pools, organisations, services

_c = branding_pools.c


def pooled(brandings: Table, kind: str, organisation_id: str) -> ColumnElement[bool]:
    """Return the condition that a branding is in the pool of an organisation."""
    mine = sa.select(_c.branding_id).where(_c.organisation_id == organisation_id, _c.kind == kind)
    return brandings.c.id.in_(mine)


def add_to_pool(tx: Tx, kind: str, organisation_id: str, branding_ids: Sequence[str]) -> None:
    """Add brandings to the pool of an organisation; those that are in it stay."""
    rows = [{"organisation_id": organisation_id, "kind": kind, "branding_id": each} for each in branding_ids]
    if not rows:
        return
    added = insert(branding_pools).values(rows).on_conflict_do_nothing().returning(_c.branding_id)
    if ids := sorted(tx.execute(added).scalars()):
        _record(tx, organisation_id, {f"{kind}_brandings_added": ids})


def remove_from_pool(tx: Tx, kind: str, organisation_id: str, branding_id: str) -> bool:
    """Take a branding out of the pool of an organisation; return False if it is not in it."""
    mine = sa.and_(_c.organisation_id == organisation_id, _c.kind == kind, _c.branding_id == branding_id)
    if not tx.execute(sa.delete(branding_pools).where(mine)).rowcount:
        return False
    _record(tx, organisation_id, {f"{kind}_brandings_removed": [branding_id]})
    return True


def leave_pools(tx: Tx, kind: str, branding_id: str) -> None:
    """Take a branding out of all pools."""
    mine = sa.and_(_c.kind == kind, _c.branding_id == branding_id)
    left = tx.execute(sa.delete(branding_pools).where(mine).returning(_c.organisation_id)).scalars()
    for organisation_id in sorted(left):
        _record(tx, organisation_id, {f"{kind}_brandings_removed": [branding_id]})


def empty_pools(tx: Tx, organisation_id: str) -> None:
    """Take everything out of the pools of an organisation."""
    tx.execute(sa.delete(branding_pools).where(_c.organisation_id == organisation_id))


def users(tx: Tx, kind: str, branding_id: str) -> tuple[list[Any], list[Any]]:
    """Return id and name of the organisations and of the services that have a branding; archived ones left
    out.
    """
    found = []
    for table in (organisations, services):
        mine = sa.and_(table.c[f"{kind}_branding_id"] == branding_id, table.c.active)
        rows = sa.select(table.c.id, table.c.name).where(mine).order_by(table.c.name, table.c.id)
        found.append(list(tx.execute(rows)))
    return found[0], found[1]


def names_like(tx: Tx, brandings: Table, name: str) -> set[str]:
    """Return the names that begin with a name, in any case, in lower case."""
    c = brandings.c
    begin = sa.select(sa.func.lower(c.name)).where(c.name.istartswith(name, autoescape=True))
    return set(tx.execute(begin).scalars())


def _record(tx: Tx, organisation_id: str, after: dict[str, Any]) -> None:
    audit.append(tx, organisation_id, "update", "Organisation", [organisation_id], {}, after)

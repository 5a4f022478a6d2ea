"""Memberships of users in services and organisations."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from notify_common.db.arrays import id_array, id_rows
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError
from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store import audit
from notify_admin.store.tables import memberships, organisation_members, users

_active = memberships.join(users, sa.and_(users.c.id == memberships.c.user_id, users.c.state == "active"))
"""Memberships of those who can sign in."""


def add(
    tx: Tx, service_id: str, user_id: str, permissions: Sequence[str] = (), folder_ids: Sequence[str] = ()
) -> bool:
    """Make a user a member; return False if it is one."""
    statement = insert(memberships).values(
        service_id=service_id,
        user_id=user_id,
        permissions=sorted(set(permissions)),
        folder_ids=sorted(set(folder_ids)),
    )
    if not tx.execute(statement.on_conflict_do_nothing()).rowcount:
        return False
    _record(tx, "create", service_id, user_id, {"permissions": sorted(set(permissions))})
    return True


def set_folders(tx: Tx, service_id: str, folder_id: str, user_ids: Sequence[str]) -> None:
    """Make these members, and no others, see a folder."""
    c = memberships.c
    folder = sa.cast(sa.literal(folder_id, id_type()), id_type())
    sees, has = c.user_id == sa.func.any(id_array(user_ids)), folder == sa.func.any(c.folder_ids)
    mine = sa.update(memberships).where(c.service_id == service_id)
    gone = mine.where(has, sa.not_(sees)).values(folder_ids=sa.func.array_remove(c.folder_ids, folder))
    come = mine.where(sees, sa.not_(has)).values(folder_ids=sa.func.array_append(c.folder_ids, folder))
    if sum(tx.execute(statement).rowcount for statement in (gone, come)):
        after = {"user_ids": sorted(user_ids)}
        audit.append(tx, service_id, "update", "TemplateFolder", [folder_id], {}, after)


def remove(tx: Tx, of: Table, parent_id: str, user_id: str) -> None:
    """End a membership of a service or organisation. Raises NotifyError MEMBER_NOT_FOUND."""
    if not tx.execute(sa.delete(of).where(_same(of, parent_id, user_id))).rowcount:
        raise NotifyError("MEMBER_NOT_FOUND")
    _record(tx, "delete", parent_id, user_id, None)


def set_permissions(
    tx: Tx,
    of: Table,
    parent_id: str,
    user_id: str,
    permissions: Iterable[str],
    folder_ids: Iterable[str] | None = None,
) -> None:
    """Set what a member may do, and which folders it sees unless None.

    Raises NotifyError MEMBER_NOT_FOUND.
    """
    values: dict[str, Any] = {"permissions": sorted(set(permissions))}
    if folder_ids is not None:
        values["folder_ids"] = sorted(set(folder_ids))
    statement = sa.update(of).where(_same(of, parent_id, user_id)).values(**values)
    if not tx.execute(statement).rowcount:
        raise NotifyError("MEMBER_NOT_FOUND")
    _record(tx, "update", parent_id, user_id, values)


def may(of: Table, permission: str) -> ColumnElement[bool]:
    """Return the condition that a member of a service or organisation is allowed something."""
    return sa.literal(permission) == sa.func.any(of.c.permissions)


def services_of(tx: Tx, user_id: str) -> list[str]:
    """Return the services, archived ones too, that a user is a member of, by id."""
    m = memberships.c
    found = sa.select(m.service_id).where(m.user_id == user_id).order_by(m.service_id)
    return list(tx.execute(found).scalars())


def leave_all(tx: Tx, user_id: str) -> None:
    """End all memberships of a user, of services and organisations."""
    for table, parent in ((memberships, "service_id"), (organisation_members, "organisation_id")):
        left = sa.delete(table).where(table.c.user_id == user_id).returning(table.c[parent])
        for parent_id in sorted(tx.execute(left).scalars()):
            _record(tx, "delete", parent_id, user_id, None)


def folders(tx: Tx, service_id: str) -> dict[str, list[str]]:
    """Return the folders that the members of a service see, by member; those who can't sign in left out."""
    c = memberships.c
    found = sa.select(c.user_id, c.folder_ids).select_from(_active).where(c.service_id == service_id)
    return {row.user_id: list(row.folder_ids) for row in tx.execute(found.order_by(c.user_id))}


def who_sees(tx: Tx, service_id: str, folder_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the members who see these folders, by folder; those who can't sign in left out."""
    c = memberships.c
    each = sa.func.unnest(c.folder_ids, type_=id_type()).label("folder_id")
    mine = sa.select(c.user_id, each).select_from(_active).where(c.service_id == service_id)
    seen = mine.subquery()
    wanted = sa.select(seen).where(seen.c.folder_id == sa.func.any(id_array(folder_ids)))
    found: dict[str, list[str]] = {}
    for user_id, folder_id in tx.execute(wanted.order_by(seen.c.user_id)):
        found.setdefault(folder_id, []).append(user_id)
    return found


def access(tx: Tx, of: Table, user_ids: Sequence[str]) -> list[Any]:
    """Return what users may do in the services or organisations that are not archived, oldest first: user_id,
    id, permissions and folder_ids, which is None in an organisation.
    """
    parent, user = of.primary_key
    (key,) = parent.foreign_keys
    parents = key.column.table.c
    folder_ids = of.c.get("folder_ids", sa.null()).label("folder_ids")
    found = sa.select(user, parent.label("id"), of.c.permissions, folder_ids).join_from(of, key.column.table)
    mine = found.where(user == sa.func.any(id_array(user_ids)), parents.active)
    return list(tx.execute(mine.order_by(parents.create_time, parents.id)))


def add_to_organisation(tx: Tx, organisation_id: str, user_id: str, permissions: Sequence[str]) -> None:
    """Make a user a member of an organisation, or set the permissions of one."""
    values: dict[str, Any] = {"permissions": sorted(set(permissions))}
    statement = insert(organisation_members).values(
        organisation_id=organisation_id, user_id=user_id, **values
    )
    keys = ["organisation_id", "user_id"]
    tx.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))
    _record(tx, "update", organisation_id, user_id, values)


def addresses(tx: Tx, service_ids: Sequence[str], most: int) -> list[Any]:
    """Return service_id, user_id, email_address and mobile_number, which may be empty, of up to `most`
    members of each service, those who joined first.
    """
    wanted = id_rows("wanted", service_ids)
    firsts = (
        sa.select(memberships.c.user_id)
        .where(memberships.c.service_id == wanted.c.id)
        .order_by(memberships.c.create_time, memberships.c.user_id)
        .limit(most)
        .lateral("firsts")
    )
    joined = wanted.join(firsts, sa.true()).join(users, users.c.id == firsts.c.user_id)
    columns = wanted.c.id.label("service_id"), firsts.c.user_id, users.c.email_address, users.c.mobile_number
    return list(tx.execute(sa.select(*columns).select_from(joined)))


def _same(of: Table, parent_id: str, user_id: str) -> ColumnElement[bool]:
    parent, user = of.primary_key
    return sa.and_(parent == parent_id, user == user_id)


def _record(tx: Tx, action: audit.Action, parent_id: str, user_id: str, after: dict[str, Any] | None) -> None:
    before: dict[str, Any] | None = None if action == "create" else {}
    audit.append(tx, parent_id, action, "Membership", [user_id], before, after)

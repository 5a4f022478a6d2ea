"""Memberships of users in services."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store.mapping import id_rows
from notify_admin.store.tables import memberships, users


class Addresses(NamedTuple):
    """What a member of a service can be written to at."""

    service_id: str
    email_address: str
    mobile_number: str
    """Or empty."""


def add(tx: Tx, service_id: str, user_id: str) -> bool:
    """Make a user a member; returns False if it is one."""
    statement = insert(memberships).values(service_id=service_id, user_id=user_id)
    return tx.execute(statement.on_conflict_do_nothing()).rowcount > 0


def remove(tx: Tx, service_id: str, user_id: str) -> bool:
    """End a membership; returns False if there is none."""
    m = memberships.c
    statement = sa.delete(memberships).where(m.service_id == service_id, m.user_id == user_id)
    return tx.execute(statement).rowcount > 0


def addresses(tx: Tx, service_ids: Sequence[str], most: int) -> list[Addresses]:
    """Of up to `most` members of each service, those who joined first."""
    wanted = id_rows(service_ids)
    firsts = (
        sa.select(memberships.c.user_id)
        .where(memberships.c.service_id == wanted.c.id)
        .order_by(memberships.c.create_time, memberships.c.user_id)
        .limit(most)
        .lateral("firsts")
    )
    joined = wanted.join(firsts, sa.true()).join(users, users.c.id == firsts.c.user_id)
    columns = wanted.c.id, users.c.email_address, users.c.mobile_number
    return [Addresses(*row) for row in tx.execute(sa.select(*columns).select_from(joined))]

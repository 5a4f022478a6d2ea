"""Which services a list is asked for."""

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from notify_admin.store.tables import memberships, services


def matching(user_id: str, name_part: str) -> list[ColumnElement[bool]]:
    """Return those with a member, and with a part of their name; either may be empty."""
    conditions: list[ColumnElement[bool]] = []
    if user_id:
        mine = sa.select(memberships.c.service_id).where(memberships.c.user_id == user_id)
        conditions.append(services.c.id.in_(mine))
    if name_part:
        conditions.append(services.c.name.icontains(name_part, autoescape=True))
    return conditions

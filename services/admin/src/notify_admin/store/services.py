"""Which services a list is asked for."""

from collections.abc import Sequence

import sqlalchemy as sa
from notify.admin.v1.services_service_pb2 import ListServicesRequest
from notify_common.db.arrays import id_array
from notify_common.db.unit_of_work import Tx
from sqlalchemy import ColumnElement

from notify_admin.store.tables import memberships, services

_live = sa.and_(services.c.active, sa.not_(services.c.restricted), services.c.count_as_live)


def of_member(tx: Tx, ask: ListServicesRequest) -> list[ColumnElement[bool]]:
    """Return the condition that a service has the member whom a request names, if any."""
    mine = sa.select(memberships.c.service_id).where(memberships.c.user_id == ask.user_id)
    return [services.c.id.in_(mine)] if ask.user_id else []


def count_live(tx: Tx, organisation_ids: Sequence[str]) -> dict[str, int]:
    """Return how many live services those organisations have that have any."""
    c = services.c
    mine = c.organisation_id == sa.func.any(id_array(organisation_ids))
    statement = sa.select(c.organisation_id, sa.func.count()).where(_live, mine).group_by(c.organisation_id)
    return {row[0]: row[1] for row in tx.execute(statement)}


def live_counts(tx: Tx) -> tuple[int, int]:
    """Return how many services are live, and how many organisations have one."""
    organisations = sa.func.count(services.c.organisation_id.distinct())
    counted, owners = tx.execute(sa.select(sa.func.count(), organisations).where(_live)).one()
    return counted, owners

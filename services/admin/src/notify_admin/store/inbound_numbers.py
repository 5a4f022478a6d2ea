"""Numbers that texts are received at: which are free, and new ones."""

from collections.abc import Mapping

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store.tables import inbound_numbers

_c = inbound_numbers.c


def lock_free(tx: Tx, inbound_number_id: str = "") -> str | None:
    """Return a number that is in use and belongs to nobody, locked until the transaction ends; None if there
    is none.

    One that is asked for is waited for; any other that somebody is about to get is passed over.
    """
    free = sa.select(_c.id).where(_c.active, _c.service_id.is_(None))
    if inbound_number_id:
        statement = free.where(_c.id == inbound_number_id).with_for_update()
    else:
        statement = free.order_by(_c.create_time, _c.id).limit(1).with_for_update(skip_locked=True)
    return tx.execute(statement).scalar()


def add(tx: Tx, values: Mapping[str, object]) -> int:
    """Insert a number; return 0 if there is one."""
    return tx.execute(insert(inbound_numbers).values(**values).on_conflict_do_nothing()).rowcount

"""Names that no text may come from."""

from collections.abc import Sequence

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store.tables import protected_sender_ids

_c = protected_sender_ids.c


def is_protected(tx: Tx, sender_id: str) -> bool:
    """Tell whether a name, as it is stored, is protected."""
    return tx.execute(sa.select(1).where(_c.sender_id == sender_id)).first() is not None


def protect(tx: Tx, sender_ids: Sequence[str]) -> int:
    """Protect names; return how many were not protected before."""
    rows = [{"sender_id": sender_id} for sender_id in sender_ids]
    if not rows:
        return 0
    return tx.execute(insert(protected_sender_ids).values(rows).on_conflict_do_nothing()).rowcount

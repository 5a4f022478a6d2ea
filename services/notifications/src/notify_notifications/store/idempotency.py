"""Idempotency keys after their time (design.md §2.7); storing messages writes them."""

from datetime import datetime

import sqlalchemy as sa
from notify_common.db.unit_of_work import UnitOfWork

from notify_notifications.store.tables import idempotency_keys


class IdempotencyKeyStore:
    """Tidies keys away."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def delete_before(self, time: datetime, limit: int) -> int:
        """Delete up to `limit` keys made at `time` or before and return how many that were."""
        k = idempotency_keys.c
        expired = sa.select(k.service_id, k.key_hash).where(k.create_time <= time).limit(limit).subquery()
        statement = sa.delete(idempotency_keys).where(
            k.service_id == expired.c.service_id, k.key_hash == expired.c.key_hash
        )
        with self._uow.begin() as conn:
            return conn.execute(statement).rowcount

"""What is encrypted at rest, wherever it stands."""

from typing import Final

import sqlalchemy as sa
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from sqlalchemy import Column

from notify_admin.store.tables import api_keys, callbacks, platform_mail

Secret = tuple["Column[str]", "Column[bytes]"]
"""The id of a row, and what is encrypted in it."""

SECRETS: Final[tuple[Secret, ...]] = (
    (api_keys.c.id, api_keys.c.encrypted_secret),
    (callbacks.c.id, callbacks.c.encrypted_bearer_token),
    (callbacks.c.id, callbacks.c.encrypted_signing_secret),
    (callbacks.c.id, callbacks.c.encrypted_previous_signing_secret),
    (platform_mail.c.message_id, platform_mail.c.encrypted_mail),
)


def lock(tx: Tx, secret: Secret, after_id: str | None, limit: int) -> list[tuple[str, bytes]]:
    """Return the ids and secrets of up to `limit` rows that have one, by id; locked."""
    id_, value = secret
    further = sa.true() if after_id is None else id_ > after_id
    rows = tx.execute(
        sa.select(id_, value).where(further, value.is_not(None)).order_by(id_).limit(limit).with_for_update()
    )
    return [(row_id, bytes(encrypted)) for row_id, encrypted in rows]


def save(tx: Tx, secret: Secret, encrypted: list[tuple[str, bytes]]) -> None:
    """Store secrets by id, in one statement."""
    if not encrypted:
        return
    id_, value = secret
    columns = sa.column("id", id_type()), sa.column("encrypted", sa.LargeBinary)
    values = sa.values(*columns, name="secrets").data(encrypted)
    statement = sa.update(id_.table).values({value.name: values.c.encrypted})
    tx.execute(statement.where(id_ == values.c.id))

"""Callbacks with their secrets, encrypted as they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from notify_common.db.arrays import unnest
from notify_common.db.unit_of_work import Tx

from notify_admin.store.tables import callbacks

PREVIOUS_SECRET_KEPT: Final = timedelta(hours=24)
"""How long calls are signed with the secret before a change as well."""

_c = callbacks.c
_PREVIOUS_IN_USE: Final = _c.previous_signing_secret_end_time > sa.func.now()


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """A callback as stored; `signing_secrets` are those in use, newest first."""

    service_id: str
    type: str
    url: str
    bearer_token: bytes = field(repr=False)
    signing_secrets: Sequence[bytes] = field(repr=False)


def targets(tx: Tx, keys: Sequence[tuple[str, str]]) -> list[StoredTarget]:
    """Return the callbacks of these services and types that there are."""
    given = unnest("given", {"service_id": _c.service_id.type, "type": _c.type.type}, keys)
    same = sa.and_(_c.service_id == given.c.service_id, _c.type == given.c.type)
    previous = sa.case((_PREVIOUS_IN_USE, _c.encrypted_previous_signing_secret))
    query = sa.select(
        sa.cast(_c.service_id, sa.Text),
        _c.type,
        _c.url,
        _c.encrypted_bearer_token,
        _c.encrypted_signing_secret,
        previous,
    ).join_from(callbacks, given, same)
    return [
        StoredTarget(service_id, type, url, bytes(token), [bytes(one) for one in secrets if one is not None])
        for service_id, type, url, token, *secrets in tx.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """The newest signing secret of a callback, encrypted, and until when the one before it is in use."""

    id: str
    encrypted: bytes = field(repr=False)
    previous_end_time: datetime | None


def signing_secret(tx: Tx, callback_id: str) -> SigningSecret | None:
    """Return the newest signing secret of a callback; None if it has none."""
    row = tx.execute(
        sa.select(
            sa.cast(_c.signing_secret_id, sa.Text),
            _c.encrypted_signing_secret,
            _c.previous_signing_secret_end_time,
        ).where(_c.id == callback_id, _c.signing_secret_id.is_not(None))
    ).one_or_none()
    return None if row is None else SigningSecret(row[0], bytes(row[1]), row[2])

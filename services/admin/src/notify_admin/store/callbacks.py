"""Callbacks with their secrets, encrypted as they are kept."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.arrays import unnest
from notify_common.db.unit_of_work import Tx

from notify_admin.store.tables import callbacks

PREVIOUS_SECRET_KEPT: Final = timedelta(hours=24)
"""How long calls are signed with the secret before a change as well."""

_c = callbacks.c
_PREVIOUS_IN_USE: Final = _c.previous_signing_secret_end_time > sa.func.now()


def targets(tx: Tx, keys: Sequence[tuple[str, str]]) -> Sequence[Any]:
    """Return service, type, URL, token, secret and the secret before that is still in use, if any, of the
    callbacks of these services and types that there are.
    """
    given = unnest("given", {"service_id": _c.service_id.type, "type": _c.type.type}, keys)
    same = sa.and_(_c.service_id == given.c.service_id, _c.type == given.c.type)
    previous = sa.case((_PREVIOUS_IN_USE, _c.encrypted_previous_signing_secret))
    stored = (_c.service_id, _c.type, _c.url, _c.encrypted_bearer_token, _c.encrypted_signing_secret)
    return tx.execute(sa.select(*stored, previous).join_from(callbacks, given, same)).all()


def signing_secret(tx: Tx, callback_id: str) -> Any:
    """Return id and secret of the newest signing secret of a callback, and until when the one before it is in
    use; None if it has none.
    """
    stored = (_c.signing_secret_id, _c.encrypted_signing_secret, _c.previous_signing_secret_end_time)
    found = sa.select(*stored).where(_c.id == callback_id, _c.signing_secret_id.is_not(None))
    return tx.execute(found).one_or_none()

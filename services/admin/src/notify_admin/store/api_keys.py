"""Rows of API keys beyond what the resource says; secrets are encrypted in them."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx

from notify_admin.store import audit
from notify_admin.store.tables import api_keys

_works = api_keys.c.revoke_time.is_(None)
_REVOKED_SHOWN_FOR: Final = timedelta(days=7)

SHOWN: Final = sa.or_(_works, api_keys.c.revoke_time > sa.func.now() - _REVOKED_SHOWN_FOR)
"""Revoked keys are known for a while, so that using one is answered as such (internal-api.md A12)."""


def revoke(tx: Tx, service_id: str, api_key_id: str | None = None) -> bool:
    """Revoke one key of a service that works, or all; return False if there was none."""
    which = sa.and_(api_keys.c.service_id == service_id, _works)
    if api_key_id is not None:
        which = sa.and_(which, api_keys.c.id == api_key_id)
    revoked = sa.update(api_keys).values(revoke_time=sa.func.now()).where(which).returning(api_keys.c.id)
    ids = list(tx.execute(revoked).scalars())
    audit.append(tx, audit.keys_chain(service_id), "update", "ApiKey", ids, {}, {"revoked": True})
    return bool(ids)

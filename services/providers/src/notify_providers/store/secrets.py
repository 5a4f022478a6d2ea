"""Statements on secrets that are changed here, encrypted by who calls."""

from datetime import timedelta

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from sqlalchemy.dialects.postgresql import insert

from notify_providers.store.tables import provider_secrets

LOCK_SECONDS = 60
"""For so long nobody else changes a secret of which a change was begun."""


def read(conn: Tx, provider: str, name: str) -> bytes | None:
    """Return the secret that counts; None if it was never changed."""
    value = conn.execute(sa.select(provider_secrets.c.value).where(*_is(provider, name))).scalar()
    return None if value is None else bytes(value)


def begin_change(conn: Tx, provider: str, name: str, days: float, candidate: bytes) -> bytes | None:
    """Lock a secret for a minute and keep a candidate as the next one, unless there is one; return the next.

    None if it was changed within these days, or is locked.
    """
    t = provider_secrets
    conn.execute(insert(t).values(provider=provider, name=name).on_conflict_do_nothing())
    begun = conn.execute(
        sa.update(t)
        .where(
            *_is(provider, name),
            sa.func.coalesce(t.c.locked_until, sa.func.now()) <= sa.func.now(),
            sa.or_(t.c.change_time.is_(None), t.c.change_time < sa.func.now() - timedelta(days=days)),
        )
        .values(
            next_value=sa.func.coalesce(t.c.next_value, candidate),
            locked_until=sa.func.now() + timedelta(seconds=LOCK_SECONDS),
        )
        .returning(t.c.next_value)
    ).scalar()
    return None if begun is None else bytes(begun)


def end_change(conn: Tx, provider: str, name: str, value: bytes) -> None:
    """Let a secret count, and unlock it."""
    conn.execute(
        sa.update(provider_secrets)
        .where(*_is(provider, name))
        .values(value=value, next_value=None, change_time=sa.func.now(), locked_until=None)
    )


def _is(provider: str, name: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return provider_secrets.c.provider == provider, provider_secrets.c.name == name

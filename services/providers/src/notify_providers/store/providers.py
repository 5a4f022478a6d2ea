"""Statements on the settings of providers."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from notify_providers.domain.routing import Provider
from notify_providers.store.tables import provider_settings


def list_all(conn: Connection) -> list[Provider]:
    """Returns all providers by channel, then name: a handful."""
    rows = conn.execute(
        sa.select(provider_settings).order_by(provider_settings.c.channel, provider_settings.c.name)
    )
    return [_provider(row) for row in rows]


def lock(conn: Connection, name: str) -> Provider | None:
    """Returns a provider and locks it until the transaction ends."""
    row = conn.execute(
        sa.select(provider_settings).where(provider_settings.c.name == name).with_for_update()
    ).one_or_none()
    return None if row is None else _provider(row)


def save(conn: Connection, provider: Provider) -> None:
    """Writes the settings that can change, and the version."""
    conn.execute(
        sa.update(provider_settings)
        .values(
            active=provider.active,
            priority=provider.priority,
            unknown_outcome_rule=provider.unknown_outcome_rule,
            version=provider.version,
        )
        .where(provider_settings.c.name == provider.name)
    )


def _provider(row: Row[Any]) -> Provider:
    return Provider(
        name=row.name,
        channel=row.channel,
        active=row.active,
        priority=row.priority,
        supports_international=row.supports_international,
        unknown_outcome_rule=row.unknown_outcome_rule,
        version=row.version,
    )

"""Statements on the settings of providers."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel
from sqlalchemy import Row
from sqlalchemy.dialects.postgresql import insert

from notify_providers.domain.routing import Provider, UnknownOutcomeRule
from notify_providers.store.tables import provider_settings


def list_all(conn: Tx) -> list[Provider]:
    """Return the settings that were ever changed, and those that the first schema came with: a handful."""
    return [_provider(row) for row in conn.execute(sa.select(provider_settings))]


def lock(conn: Tx, first: Provider) -> Provider:
    """Return the settings of a provider and lock them until the transaction ends.

    One that has no row yet gets one with the settings `first`.
    """
    row = asdict(first)
    row["unknown_outcome_wait_seconds"] = row.pop("unknown_outcome_wait")
    conn.execute(insert(provider_settings).values(row).on_conflict_do_nothing())
    return _provider(
        conn.execute(
            sa.select(provider_settings).where(provider_settings.c.name == first.name).with_for_update()
        ).one()
    )


def save(conn: Tx, provider: Provider) -> None:
    """Write the settings that can change, and the version."""
    conn.execute(
        sa.update(provider_settings)
        .values(
            active=provider.active,
            priority=provider.priority,
            unknown_outcome_rule=provider.unknown_outcome_rule,
            unknown_outcome_wait_seconds=provider.unknown_outcome_wait,
            version=provider.version,
        )
        .where(provider_settings.c.name == provider.name)
    )


def _provider(row: Row[Any]) -> Provider:
    return Provider(
        name=row.name,
        channel=Channel(row.channel),
        active=row.active,
        priority=row.priority,
        supports_international=row.supports_international,
        unknown_outcome_rule=UnknownOutcomeRule(row.unknown_outcome_rule),
        unknown_outcome_wait=row.unknown_outcome_wait_seconds,
        version=row.version,
    )

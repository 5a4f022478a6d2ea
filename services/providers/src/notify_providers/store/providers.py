"""Statements on the settings of providers."""

from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.prepared import prepared
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel
from sqlalchemy import Row
from sqlalchemy.dialects.postgresql import insert

from notify_providers.domain.routing import Condition, Mode, Provider, ProviderChange, UnknownOutcomeRule
from notify_providers.store.tables import provider_changes, provider_health, provider_settings

_h: Final = provider_health
_ALL: Final = prepared(
    sa.select(provider_settings, _h.c.provider, _h.c.condition).select_from(
        provider_settings.outerjoin(_h, _h.c.provider == provider_settings.c.name, full=True)
    )
)


def list_all(conn: Tx) -> tuple[dict[str, Provider], dict[str, Condition]]:
    """Return the settings that were ever changed, and those that the first schema came with, by provider: a
    handful; and how providers were found to do. One statement, as each claim of dispatches asks.
    """
    rows = conn.execute(_ALL).all()
    stored = {row.name: _provider(row) for row in rows if row.name is not None}
    return stored, {row.provider: Condition(row.condition) for row in rows if row.provider is not None}


def rest(conn: Tx, channel: Channel) -> None:
    """Put the shares of a channel at rest."""
    conn.execute(
        sa.update(provider_settings).values(share=None).where(provider_settings.c.channel == channel)
    )


def list_changes(conn: Tx, name: str, before: int | None, limit: int) -> list[tuple[int, ProviderChange]]:
    """Return the changes of a provider by number, last one first, from below `before` on."""
    statement = sa.select(provider_changes).where(provider_changes.c.provider == name)
    if before is not None:
        statement = statement.where(provider_changes.c.id < before)
    rows = conn.execute(statement.order_by(provider_changes.c.id.desc()).limit(limit))
    return [
        (
            row.id,
            ProviderChange(
                create_time=row.create_time,
                changed_by=row.changed_by,
                reason=row.reason,
                active=row.active,
                mode=Mode(row.mode),
                priority=row.priority,
                share=row.share,
            ),
        )
        for row in rows
    ]


def since_change(conn: Tx, channel: Channel) -> float:
    """Return the seconds since settings or shares of a channel changed; infinite if they never did."""
    age = sa.func.extract("epoch", sa.func.now() - sa.func.max(provider_changes.c.create_time))
    found = conn.execute(
        sa.select(age).where(
            provider_changes.c.provider.in_(
                sa.select(provider_settings.c.name).where(provider_settings.c.channel == channel)
            )
        )
    ).scalar()
    return float("inf") if found is None else float(found)


def lock(conn: Tx, first: Provider) -> Provider:
    """Return the settings of a provider and lock them until the transaction ends.

    One that has no row yet gets one with the settings `first`.
    """
    row = asdict(first)
    row["unknown_outcome_wait_seconds"] = row.pop("unknown_outcome_wait")
    del row["condition"]
    conn.execute(insert(provider_settings).values(row).on_conflict_do_nothing())
    return _provider(
        conn.execute(
            sa.select(provider_settings).where(provider_settings.c.name == first.name).with_for_update()
        ).one()
    )


def save(conn: Tx, provider: Provider, changed_by: str, reason: str) -> None:
    """Write the settings that can change, the share and the version, and note who changed them and why."""
    conn.execute(
        sa.insert(provider_changes).values(
            provider=provider.name,
            changed_by=changed_by,
            reason=reason,
            active=provider.active,
            mode=provider.mode,
            priority=provider.priority,
            share=provider.share,
        )
    )
    conn.execute(
        sa.update(provider_settings)
        .values(
            active=provider.active,
            priority=provider.priority,
            unknown_outcome_rule=provider.unknown_outcome_rule,
            unknown_outcome_wait_seconds=provider.unknown_outcome_wait,
            version=provider.version,
            mode=provider.mode,
            share=provider.share,
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
        mode=Mode(row.mode),
        share=row.share,
    )

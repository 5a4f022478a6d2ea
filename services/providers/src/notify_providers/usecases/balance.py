"""Moving shares between the providers of a channel (pipeline.md §3.6)."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.enums import Channel
from notify_common.logging import get_logger

from notify_providers.clients.base import SendsReceipts
from notify_providers.clients.registry import BY_NAME
from notify_providers.domain.health import (
    ERRORS_A_MINUTE,
    LATE_SHARE,
    QUIET_AFTER_ERRORS,
    QUIET_AFTER_LATENESS,
    QUIET_BEFORE_DRIFT,
    Calls,
    as_points,
    drift,
    shift,
)
from notify_providers.domain.routing import Mode, Provider
from notify_providers.store import health, providers
from notify_providers.usecases.settings import settings_in_force

ROUTING: Final = "routing"
"""Who changes shares, in the versions of providers."""


def balance_shares(uow: UnitOfWork, available: AbstractSet[str]) -> int:
    """Move 10 points of share from providers that do worse to the others, or back towards rest.

    Return how many shares changed.

    Only among those of a channel that are configured, active, drawn by share and weigh something at rest, of
    which there must be two. It is safe to do twice at once: who comes second finds that shares have just
    changed.
    """
    changed = 0
    for channel in Channel:
        with uow.begin() as conn:
            changed += _balance(conn, channel, available)
    return changed


def _balance(conn: Tx, channel: Channel, available: AbstractSet[str]) -> int:
    names = [
        p.name
        for p in settings_in_force(conn)
        if p.channel is channel
        and p.name in available
        and p.active
        and p.mode is Mode.SHARED
        and p.priority > 0
    ]
    if len(names) < 2:
        return 0
    locked = [providers.lock(conn, BY_NAME[name].first_row()) for name in sorted(names)]
    quiet = providers.since_change(conn, channel)
    weights = {p.name: p.weight for p in locked}
    if quiet >= QUIET_AFTER_ERRORS:
        minute = health.recent_calls(conn, 60, since_found=False)
        worse = [name for name in names if minute.get(name, Calls()).failed > ERRORS_A_MINUTE]
        if _some_not_all(worse, names):
            return _save(conn, locked, shift(weights, worse), f"errors: {', '.join(worse)}")
    if quiet >= QUIET_AFTER_LATENESS:
        late = health.late_receipts(
            conn, [name for name in names if isinstance(BY_NAME[name], SendsReceipts)]
        )
        worse = [name for name, (n, of) in late.items() if of and n / of >= LATE_SHARE]
        if _some_not_all(worse, names):
            return _save(conn, locked, shift(weights, worse), f"late receipts: {', '.join(worse)}")
    if quiet >= QUIET_BEFORE_DRIFT and any(p.share is not None for p in locked):
        resting = {p.name: float(p.priority) for p in locked}
        return _save(conn, locked, drift(weights, resting), "back towards rest")
    return 0


def _some_not_all(some: Collection[str], all_: Collection[str]) -> bool:
    return 0 < len(some) < len(all_)


def _save(conn: Tx, locked: Sequence[Provider], points: Mapping[str, float], reason: str) -> int:
    """Write shares; those that are all as at rest are at rest."""
    at_rest = points == as_points({p.name: float(p.priority) for p in locked})
    before = as_points({p.name: p.weight for p in locked})
    if points == before and not at_rest:
        return 0
    for provider in locked:
        share = None if at_rest else points[provider.name]
        providers.save(conn, replace(provider, share=share), ROUTING, reason)
    get_logger().warning("shares changed", reason=reason, shares={n: round(v) for n, v in points.items()})
    return len(locked)

"""Which providers are used, and how."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.enums import Channel
from notify_common.errors import NotifyError

from notify_providers.clients.registry import ADAPTERS, BY_NAME
from notify_providers.domain.routing import Provider, ProviderChange
from notify_providers.store import countries, health, providers

OPERATOR: Final = "operator"
"""Who changes settings, in the versions of providers."""
_SHARED_OUT: Final = frozenset({"active", "mode", "priority"})


def list_providers(uow: UnitOfWork) -> list[Provider]:
    """Return the settings of all providers by channel, then name."""
    with uow.autocommit() as conn:
        return settings_in_force(conn)


def settings_in_force(conn: Tx) -> list[Provider]:
    """List providers in the caller's transaction. A provider begins with what its adapter says."""
    stored, conditions = providers.list_all(conn)
    known = [stored.get(adapter.name) or adapter.first_row() for adapter in ADAPTERS]
    known = [replace(p, condition=conditions[p.name]) if p.name in conditions else p for p in known]
    return sorted(known, key=lambda provider: (provider.channel, provider.name))


def update_provider(uow: UnitOfWork, wanted: Provider, fields: Collection[str], reason: str) -> Provider:
    """Change the named fields of a provider to the wanted values and return it as stored.

    `name` and `version` of `wanted` say which provider, and which state of it, is meant. Workers follow with
    their next claim.

    Args:
        fields: names of attributes of `Provider` that an operator may change. A change of who gets how much
            puts the shares of the channel at rest.
        reason: for its versions; may be empty.

    Raises:
        NotifyError: PROVIDER_NOT_FOUND; STALE_VERSION, it was changed since.
    """
    adapter = BY_NAME.get(wanted.name)
    if adapter is None:
        raise NotifyError("PROVIDER_NOT_FOUND")
    with uow.begin() as conn:
        current = providers.lock(conn, adapter.first_row())
        if current.version != wanted.version:
            raise NotifyError("STALE_VERSION")
        changed = replace(
            current, version=current.version + 1, **{field: getattr(wanted, field) for field in fields}
        )
        if not _SHARED_OUT.isdisjoint(fields):
            providers.rest(conn, changed.channel)
            changed = replace(changed, share=None)
        providers.save(conn, changed, OPERATOR, reason)
        found = health.list_all(conn).get(changed.name)
    return replace(changed, condition=found.condition) if found else changed


def list_versions(
    uow: UnitOfWork, name: str, before: int | None, limit: int
) -> list[tuple[int, ProviderChange]]:
    """Return what a provider's settings became, last change first, from below the number `before` on.

    Raises:
        NotifyError: PROVIDER_NOT_FOUND.
    """
    if name not in BY_NAME:
        raise NotifyError("PROVIDER_NOT_FOUND")
    with uow.autocommit() as conn:
        return providers.list_changes(conn, name, before, limit)


def list_country_routes(uow: UnitOfWork) -> dict[str, dict[str, int]]:
    """Return the weights by provider, by prefix of numbers."""
    with uow.autocommit() as conn:
        return countries.list_all(conn)


def set_country_route(uow: UnitOfWork, prefix: str, weights: Mapping[str, int]) -> None:
    """Put a table in place of the one of its prefix; an empty one ends it. Doing it again changes nothing.

    Raises:
        NotifyError: PROVIDER_NOT_FOUND, one of them is none that takes texts.
    """
    for name in weights:
        adapter = BY_NAME.get(name)
        if adapter is None or adapter.channel is not Channel.SMS:
            raise NotifyError("PROVIDER_NOT_FOUND")
    with uow.begin() as conn:
        countries.replace(conn, prefix, weights)

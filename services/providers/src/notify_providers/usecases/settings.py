"""Which providers are used, and how."""

from collections.abc import Collection
from dataclasses import replace

from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.errors import NotifyError

from notify_providers.clients.registry import ADAPTERS, BY_NAME
from notify_providers.domain.routing import Provider
from notify_providers.store import providers


def list_providers(uow: UnitOfWork) -> list[Provider]:
    """Return the settings of all providers by channel, then name."""
    with uow.autocommit() as conn:
        return settings_in_force(conn)


def settings_in_force(conn: Tx) -> list[Provider]:
    """List providers in the caller's transaction. A provider begins with what its adapter says."""
    stored = {provider.name: provider for provider in providers.list_all(conn)}
    known = [stored.get(adapter.name) or adapter.first_row() for adapter in ADAPTERS]
    return sorted(known, key=lambda provider: (provider.channel, provider.name))


def update_provider(uow: UnitOfWork, wanted: Provider, fields: Collection[str]) -> Provider:
    """Change the named fields of a provider to the wanted values and return it as stored.

    `name` and `version` of `wanted` say which provider, and which state of it, is meant. Workers follow with
    their next claim.

    Args:
        fields: names of attributes of `Provider` that an operator may change.

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
        providers.save(conn, changed)
    return changed

"""Which providers are used, and how."""

from collections.abc import Collection
from dataclasses import replace

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError

from notify_providers.domain.routing import Provider
from notify_providers.store import providers


def list_providers(uow: UnitOfWork) -> list[Provider]:
    """Returns all providers by channel, then name."""
    with uow.autocommit() as conn:
        return providers.list_all(conn)


def update_provider(uow: UnitOfWork, wanted: Provider, fields: Collection[str]) -> Provider:
    """Changes the named fields of a provider to the wanted values and returns it as stored.

    `name` and `version` of `wanted` say which provider, and which state of it, is meant. Workers follow with
    their next claim.

    Raises:
        NotifyError: PROVIDER_NOT_FOUND; STALE_VERSION, it was changed since.
    """
    with uow.begin() as conn:
        current = providers.lock(conn, wanted.name)
        if current is None:
            raise NotifyError("PROVIDER_NOT_FOUND")
        if current.version != wanted.version:
            raise NotifyError("STALE_VERSION")
        changed = replace(
            current,
            active=wanted.active if "active" in fields else current.active,
            priority=wanted.priority if "priority" in fields else current.priority,
            unknown_outcome_rule=(
                wanted.unknown_outcome_rule
                if "unknown_outcome_rule" in fields
                else current.unknown_outcome_rule
            ),
            version=current.version + 1,
        )
        providers.save(conn, changed)
    return changed

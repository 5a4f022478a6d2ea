"""Configuration as other processes cache it (design.md §3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.feeds.producer import read_feed
from sqlalchemy import Row

from notify_admin.domain.senders import Sender, SenderKind
from notify_admin.domain.services import Service
from notify_admin.domain.templates import Template, VersionKey
from notify_admin.domain.users import User
from notify_admin.store import senders, services, templates, users
from notify_admin.store.tables import config_changes
from notify_admin.usecases.senders import MOST_SENDERS

MOST_MEMBERS: Final = 1000


@dataclass
class ServiceSnapshot:
    """All that is needed to check and dress the messages of a service."""

    service: Service
    sms_senders: list[Sender] = field(default_factory=list)
    """Unarchived, the default first."""
    reply_to_addresses: list[Sender] = field(default_factory=list)
    members: list[User] = field(default_factory=list)


def get_service_snapshots(uow: UnitOfWork, ids: Sequence[UUID]) -> dict[UUID, ServiceSnapshot]:
    """Return the snapshots of those services that exist, in four statements however many they are."""
    if not ids:
        return {}
    with uow.autocommit() as conn:
        found = {service.id: ServiceSnapshot(service) for service in services.get_many(conn, ids)}
        if not found:
            return {}
        existing = list(found)
        for sender in senders.of_services(conn, SenderKind.SMS, existing, MOST_SENDERS):
            found[sender.service_id].sms_senders.append(sender)
        for sender in senders.of_services(conn, SenderKind.REPLY_TO, existing, MOST_SENDERS):
            found[sender.service_id].reply_to_addresses.append(sender)
        for service_id, user in users.members_of_services(conn, existing, MOST_MEMBERS):
            found[service_id].members.append(user)
    return found


def get_template_versions(uow: UnitOfWork, keys: Sequence[VersionKey]) -> dict[VersionKey, Template]:
    """Return those of the templates that exist at their versions, in one statement."""
    if not keys:
        return {}
    with uow.autocommit() as conn:
        return templates.get_many(conn, keys)


def list_config_changes(uow: UnitOfWork, cursor: str, limit: int) -> tuple[list[Row[Any]], str]:
    """Return up to `limit` changes after `cursor` and the next cursor, as `read_feed`."""
    with uow.autocommit() as conn:
        return read_feed(conn, config_changes, cursor, limit)

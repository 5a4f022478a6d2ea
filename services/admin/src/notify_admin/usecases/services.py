"""Creating, changing and archiving services."""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import uuid8
from sqlalchemy import Connection

from notify_admin.domain import services as rules
from notify_admin.domain.senders import SenderKind, checked_value
from notify_admin.domain.services import Service, ServiceFields
from notify_admin.store import api_keys, changes, senders, services, templates
from notify_admin.store.rows import Position, request_hash
from notify_admin.store.tables import template_versions
from notify_admin.store.tables import templates as templates_table


def create_service(
    uow: UnitOfWork, service_id: UUID, requested: ServiceFields, default_sms_sender: str
) -> Service:
    """Create a service with its default text sender and return it.

    Idempotency key: `service_id`. The sender's id is made from it.

    Raises:
        NotifyError: INVALID_FIELD; NAME_TAKEN; REQUEST_ID_REUSED.
    """
    fields = rules.checked(requested)
    sender = checked_value(SenderKind.SMS, default_sms_sender, "default_sms_sender")
    with uow.begin() as conn:
        if services.create(conn, service_id, fields, requested, sender):
            row = {
                "id": uuid8(service_id, "default text sender"),
                "service_id": service_id,
                "value": sender,
                "is_default": True,
                "request_hash": request_hash(value=sender),
            }
            senders.create(conn, SenderKind.SMS, row)
            changes.append(conn, "service", service_id)
        return _required(services.get(conn, service_id))


def get_service(uow: UnitOfWork, service_id: UUID) -> Service:
    """Return a service, archived or not. Raises NotifyError SERVICE_NOT_FOUND."""
    with uow.autocommit() as conn:
        return _required(services.get(conn, service_id))


def list_services(uow: UnitOfWork, position: Position | None, limit: int) -> list[Service]:
    """Return services by creation time, oldest first."""
    with uow.autocommit() as conn:
        return services.list_page(conn, position, limit)


def update_service(
    uow: UnitOfWork, service_id: UUID, version: int, wanted: ServiceFields, changed: Collection[str]
) -> Service:
    """Set the `changed` fields to their wanted values and return the service; no difference changes nothing.

    Raises:
        NotifyError: SERVICE_NOT_FOUND; STALE_VERSION; INVALID_FIELD; NAME_TAKEN.
    """
    with uow.begin() as conn:
        current = lock_service(conn, service_id)
        if current.version != version:
            raise NotifyError("STALE_VERSION")
        fields = rules.merged(current, wanted, changed)
        if fields != _fields(current):
            services.save(conn, service_id, fields)
            changes.append(conn, "service", service_id)
        return _required(services.get(conn, service_id))


def archive_service(uow: UnitOfWork, service_id: UUID) -> Service:
    """Archive a service with its templates, revoke its keys, free its name; return it (internal-api.md §4.6).

    Idempotency key: the service's state; archiving twice changes nothing.

    Raises:
        NotifyError: SERVICE_NOT_FOUND.
    """
    with uow.begin() as conn:
        current = lock_service(conn, service_id, archived_too=True)
        if current.active:
            name = rules.archived_name(current.name, clock.now())
            local_part = rules.local_part(current.custom_email_sender_name or name)
            services.save(
                conn,
                service_id,
                replace(_fields(current), name=name, email_sender_local_part=local_part),
                active=False,
            )
            api_keys.revoke_all(conn, service_id)
            live = sa.and_(templates_table.c.service_id == service_id, sa.not_(template_versions.c.archived))
            archived = templates.copy_versions(conn, live, {"archived": True})
            changes.append(conn, "service", service_id)
            changes.append(conn, "api-keys", service_id)
            if archived:
                changes.append(conn, "template", service_id, archived)
        return _required(services.get(conn, service_id))


def lock_service(conn: Connection, service_id: UUID, *, archived_too: bool = False) -> Service:
    """Return a service that nobody else changes, or adds to, until the transaction ends.

    Everything that belongs to a service is written under this lock, except that a key is revoked.

    Raises:
        NotifyError: SERVICE_NOT_FOUND; SERVICE_ARCHIVED, unless `archived_too`.
    """
    service = _required(services.lock(conn, service_id))
    if not service.active and not archived_too:
        raise NotifyError("SERVICE_ARCHIVED")
    return service


def _required(service: Service | None) -> Service:
    if service is None:
        raise NotifyError("SERVICE_NOT_FOUND")
    return service


def _fields(service: Service) -> ServiceFields:
    return ServiceFields(**{name: getattr(service, name) for name in ServiceFields.__slots__})

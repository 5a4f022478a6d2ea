"""Text senders, reply-to addresses and letter contact blocks: one set of rules, three kinds."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from sqlalchemy import Connection

from notify_admin.domain.senders import Sender, SenderKind, checked_value
from notify_admin.store import changes, senders, templates
from notify_admin.store.rows import Position, request_hash
from notify_admin.store.tables import template_versions
from notify_admin.store.tables import templates as templates_table
from notify_admin.usecases.services import get_service, lock_service

MOST_SENDERS: Final = 250
"""Unarchived ones of a kind that a service may have: as many as a snapshot holds."""


def create_sender(
    uow: UnitOfWork, kind: SenderKind, sender_id: UUID, service_id: UUID, value: str, is_default: bool
) -> Sender:
    """Add one and return it; a new default takes the place of the old.

    The first reply-to address of a service becomes its default. Idempotency key: `sender_id`.

    Raises:
        NotifyError: INVALID_FIELD; SERVICE_NOT_FOUND; SERVICE_ARCHIVED; REQUEST_ID_REUSED; TOO_MANY.
    """
    stored = checked_value(kind, value)
    asked = request_hash(service_id=service_id, value=stored, is_default=is_default)
    with uow.begin() as conn:
        lock_service(conn, service_id)
        count = senders.count(conn, kind, service_id)
        first_reply_to = kind is SenderKind.REPLY_TO and count == 0
        row = {
            "id": sender_id,
            "service_id": service_id,
            "value": stored,
            "is_default": False,
            "request_hash": asked,
        }
        if senders.create(conn, kind, row):
            if count >= MOST_SENDERS:
                raise NotifyError("TOO_MANY", metadata={"limit": str(MOST_SENDERS)})
            if is_default or first_reply_to:
                senders.make_default(conn, kind, service_id, sender_id)
            changes.append(conn, "service", service_id)
        return _required(senders.get(conn, kind, service_id, sender_id))


def list_senders(
    uow: UnitOfWork, kind: SenderKind, service_id: UUID, position: Position | None, limit: int
) -> list[Sender]:
    """Return unarchived ones, the default first, then newest first. Raises NotifyError SERVICE_NOT_FOUND."""
    with uow.autocommit() as conn:
        found = senders.list_page(conn, kind, service_id, position, limit)
    if not found:
        get_service(uow, service_id)
    return found


def archive_sender(uow: UnitOfWork, kind: SenderKind, service_id: UUID, sender_id: UUID) -> Sender:
    """Take one out of use and return it; archiving twice changes nothing.

    Templates that use an archived contact block get a new version without one (internal-api.md §4.7).

    Raises:
        NotifyError: SENDER_NOT_FOUND; DEFAULT_SENDER, the default text sender, or the default reply-to
            address while there are others; SERVICE_NOT_FOUND; SERVICE_ARCHIVED.
    """
    with uow.begin() as conn:
        lock_service(conn, service_id)
        sender = _required(senders.get(conn, kind, service_id, sender_id))
        if not sender.archived:
            _refuse_needed_default(conn, kind, sender)
            senders.archive(conn, kind, sender_id)
            changes.append(conn, "service", service_id)
            if kind is SenderKind.LETTER_CONTACT:
                _clear_contact(conn, service_id, sender_id)
        return _required(senders.get(conn, kind, service_id, sender_id))


def _refuse_needed_default(conn: Connection, kind: SenderKind, sender: Sender) -> None:
    match kind:
        case SenderKind.SMS:
            needed = True
        case SenderKind.REPLY_TO:
            needed = senders.count(conn, kind, sender.service_id) > 1
        case SenderKind.LETTER_CONTACT:
            needed = False
    if sender.is_default and needed:
        raise NotifyError("DEFAULT_SENDER")


def _clear_contact(conn: Connection, service_id: UUID, contact_id: UUID) -> None:
    uses_it = sa.and_(
        templates_table.c.service_id == service_id, template_versions.c.letter_contact_id == contact_id
    )
    cleared = templates.copy_versions(conn, uses_it, {"letter_contact_id": None, "letter_contact_block": ""})
    if cleared:
        changes.append(conn, "template", service_id, cleared)


def _required(sender: Sender | None) -> Sender:
    if sender is None:
        raise NotifyError("SENDER_NOT_FOUND")
    return sender

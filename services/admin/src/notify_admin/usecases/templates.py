"""Templates and their versions."""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from sqlalchemy import Connection

from notify_admin.domain import templates as rules
from notify_admin.domain.senders import SenderKind
from notify_admin.domain.services import Service
from notify_admin.domain.templates import CURRENT, Template, VersionKey, Wording
from notify_admin.store import changes, senders, templates, users
from notify_admin.store.rows import Position, request_hash
from notify_admin.store.tables import templates as templates_table
from notify_admin.usecases.services import get_service, lock_service


def create_template(
    uow: UnitOfWork,
    template_id: UUID,
    service_id: UUID,
    channel: str,
    requested: Wording,
    created_by_id: UUID,
) -> Template:
    """Create a template at version 1 and return it; a letter without a contact block gets the default one.

    Idempotency key: `template_id`.

    Raises:
        NotifyError: INVALID_FIELD, MESSAGE_TOO_LONG, QR_CODE_TOO_LONG; SERVICE_NOT_FOUND, SERVICE_ARCHIVED;
            CHANNEL_NOT_ALLOWED; USER_NOT_FOUND; SENDER_NOT_FOUND; REQUEST_ID_REUSED.
    """
    wording = rules.checked(channel, requested)
    with uow.begin() as conn:
        service = lock_service(conn, service_id)
        _require_channel(service, channel)
        _require_user(conn, created_by_id)
        wording, block = _with_contact(conn, service_id, channel, wording)
        row = {
            "id": template_id,
            "service_id": service_id,
            "channel": channel,
            "created_by_id": created_by_id,
            "request_hash": request_hash(
                service_id=service_id, channel=channel, wording=requested, created_by_id=created_by_id
            ),
        }
        if templates.create(conn, row, wording, block):
            changes.append(conn, "template", service_id, [template_id])
        return _required(templates.get(conn, VersionKey(service_id, template_id, CURRENT)))


def get_template(uow: UnitOfWork, key: VersionKey) -> Template:
    """Return a template at a version (0: the current one), archived or not.

    Raises:
        NotifyError: TEMPLATE_NOT_FOUND.
    """
    with uow.autocommit() as conn:
        return _required(templates.get(conn, key))


def list_templates(
    uow: UnitOfWork, service_id: UUID, channel: str | None, position: Position | None, limit: int
) -> list[Template]:
    """Return current versions by name, then channel. Raises NotifyError SERVICE_NOT_FOUND."""
    with uow.autocommit() as conn:
        found = templates.list_page(conn, service_id, channel, position, limit)
    if not found:
        get_service(uow, service_id)
    return found


def list_template_versions(
    uow: UnitOfWork, service_id: UUID, template_id: UUID, position: Position | None, limit: int
) -> list[Template]:
    """Return all versions, newest first. Raises NotifyError TEMPLATE_NOT_FOUND."""
    with uow.autocommit() as conn:
        found = templates.list_versions(conn, service_id, template_id, position, limit)
        if not found:
            _required(templates.get(conn, VersionKey(service_id, template_id, CURRENT)))
    return found


def update_template(
    uow: UnitOfWork,
    service_id: UUID,
    template_id: UUID,
    version: int,
    wanted: Wording,
    changed: Collection[str],
    updated_by_id: UUID,
) -> Template:
    """Make a version with the `changed` fields at their wanted values and return it.

    No difference makes no version (internal-api.md A116).

    Raises:
        NotifyError: TEMPLATE_NOT_FOUND; TEMPLATE_ARCHIVED; STALE_VERSION; INVALID_FIELD, MESSAGE_TOO_LONG,
            QR_CODE_TOO_LONG; CHANNEL_NOT_ALLOWED; USER_NOT_FOUND; SENDER_NOT_FOUND; SERVICE_NOT_FOUND,
            SERVICE_ARCHIVED.
    """
    with uow.begin() as conn:
        service = lock_service(conn, service_id)
        current = _required(templates.lock(conn, service_id, template_id))
        if current.archived:
            raise NotifyError("TEMPLATE_ARCHIVED")
        if current.version != version:
            raise NotifyError("STALE_VERSION")
        _require_channel(service, current.channel)
        _require_user(conn, updated_by_id)
        wording = rules.merged(current, wanted, changed)
        if wording == rules.wording_of(current):
            return current
        block = _contact_block(conn, service_id, wording.letter_contact_id)
        templates.add_version(conn, current, wording, block, updated_by_id)
        changes.append(conn, "template", service_id, [template_id])
        return _required(templates.get(conn, VersionKey(service_id, template_id, CURRENT)))


def archive_template(uow: UnitOfWork, service_id: UUID, template_id: UUID, archived_by_id: UUID) -> Template:
    """Make an archived version of a template and return it; archiving twice makes one.

    Raises:
        NotifyError: TEMPLATE_NOT_FOUND; USER_NOT_FOUND; SERVICE_NOT_FOUND.
    """
    with uow.begin() as conn:
        lock_service(conn, service_id, archived_too=True)
        _require_user(conn, archived_by_id)
        current = _required(templates.lock(conn, service_id, template_id))
        if not current.archived:
            which = templates_table.c.id == template_id
            templates.copy_versions(conn, which, {"archived": True}, archived_by_id)
            changes.append(conn, "template", service_id, [template_id])
        return _required(templates.get(conn, VersionKey(service_id, template_id, CURRENT)))


def _with_contact(conn: Connection, service_id: UUID, channel: str, wording: Wording) -> tuple[Wording, str]:
    """A new letter's wording with the contact block that it uses, and that block's lines."""
    if channel == "letter" and wording.letter_contact_id is None:
        default = senders.get_default(conn, SenderKind.LETTER_CONTACT, service_id)
        if default is not None:
            return replace(wording, letter_contact_id=default.id), default.value
    return wording, _contact_block(conn, service_id, wording.letter_contact_id)


def _contact_block(conn: Connection, service_id: UUID, contact_id: UUID | None) -> str:
    if contact_id is None:
        return ""
    contact = senders.get(conn, SenderKind.LETTER_CONTACT, service_id, contact_id)
    if contact is None or contact.archived:
        raise NotifyError("SENDER_NOT_FOUND")
    return contact.value


def _require_channel(service: Service, channel: str) -> None:
    if channel not in service.permissions:
        raise NotifyError("CHANNEL_NOT_ALLOWED", metadata={"channel": channel})


def _require_user(conn: Connection, user_id: UUID) -> None:
    if users.get(conn, user_id) is None:
        raise NotifyError("USER_NOT_FOUND")


def _required(template: Template | None) -> Template:
    if template is None:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    return template

"""Users and their memberships."""

from uuid import UUID

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError

from notify_admin.domain import users as rules
from notify_admin.domain.users import User, UserFields
from notify_admin.store import changes, users
from notify_admin.store.rows import Position
from notify_admin.usecases.services import get_service, lock_service


def create_user(uow: UnitOfWork, user_id: UUID, fields: UserFields) -> User:
    """Create a user and return it. Idempotency key: `user_id`.

    Raises:
        NotifyError: INVALID_FIELD; NAME_TAKEN, the email address is another user's; REQUEST_ID_REUSED.
    """
    checked = rules.checked(fields)
    with uow.begin() as conn:
        users.create(conn, user_id, checked)
        return _required(users.get(conn, user_id))


def get_user(uow: UnitOfWork, user_id: UUID) -> User:
    """Return a user. Raises NotifyError USER_NOT_FOUND."""
    with uow.autocommit() as conn:
        return _required(users.get(conn, user_id))


def add_member(uow: UnitOfWork, service_id: UUID, user_id: UUID) -> User:
    """Make a user a member of a service and return the user; doing it twice changes nothing.

    Raises:
        NotifyError: SERVICE_NOT_FOUND, SERVICE_ARCHIVED; USER_NOT_FOUND.
    """
    with uow.begin() as conn:
        lock_service(conn, service_id)
        user = _required(users.get(conn, user_id))
        if users.add_member(conn, service_id, user_id):
            changes.append(conn, "service", service_id)
    return user


def remove_member(uow: UnitOfWork, service_id: UUID, user_id: UUID) -> None:
    """End a membership; ending none changes nothing. Raises NotifyError SERVICE_NOT_FOUND."""
    with uow.begin() as conn:
        lock_service(conn, service_id, archived_too=True)
        if users.remove_member(conn, service_id, user_id):
            changes.append(conn, "service", service_id)


def list_members(uow: UnitOfWork, service_id: UUID, position: Position | None, limit: int) -> list[User]:
    """Return the members of a service by name. Raises NotifyError SERVICE_NOT_FOUND."""
    with uow.autocommit() as conn:
        found = users.list_members(conn, service_id, position, limit)
    if not found:
        get_service(uow, service_id)
    return found


def _required(user: User | None) -> User:
    if user is None:
        raise NotifyError("USER_NOT_FOUND")
    return user

"""Rows of users beyond what the resource says."""

from datetime import UTC

import sqlalchemy as sa
from notify.admin.v1.user_pb2 import User
from notify.admin.v1.users_service_pb2 import ListUsersRequest
from notify_common.db.unit_of_work import Tx
from sqlalchemy import ColumnElement

from notify_admin.store.resources import USERS
from notify_admin.store.tables import users


def by_email_address(tx: Tx, email_address: str) -> User | None:
    """Return the user with this address, without regard to case."""
    found = USERS.find(tx, sa.func.lower(users.c.email_address) == email_address.lower())
    return found[0] if found else None


def in_times(tx: Tx, ask: ListUsersRequest) -> list[ColumnElement[bool]]:
    """Return which users were made, and last signed in, at or after and before the times of a request."""
    made, logged_in = users.c.create_time, users.c.logged_in_time
    sides = {
        "created_from_time": made.__ge__,
        "created_before_time": made.__lt__,
        "logged_in_from_time": logged_in.__ge__,
        "logged_in_before_time": logged_in.__lt__,
    }
    return [is_at(getattr(ask, name).ToDatetime(UTC)) for name, is_at in sides.items() if ask.HasField(name)]


def made_by_tests(tx: Tx, name: str) -> list[User]:
    """Return the users whose address begins with a name and a plus, in order of their ids."""
    return USERS.find(tx, users.c.email_address.istartswith(f"{name}+", autoescape=True), order="id")

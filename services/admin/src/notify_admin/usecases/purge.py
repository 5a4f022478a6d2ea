"""Clearing away what functional tests left behind."""

import re
from typing import Final

from notify.admin.v1.services_service_pb2 import ArchiveServiceRequest
from notify.admin.v1.users_service_pb2 import ArchiveUserRequest
from notify_common.db.unit_of_work import UnitOfWork

from notify_admin.store import users
from notify_admin.store.resources import SERVICES
from notify_admin.usecases.services import archive_service
from notify_admin.usecases.users import archive_user

_MADE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}@.*", re.IGNORECASE)
"""What follows the plus in addresses that tests make: no person has such a one."""


def purge_functional_test_data(uow: UnitOfWork, archive_domain: str, name: str) -> tuple[int, int]:
    """Archive the users whose address is `name`, a plus and a UUID before the @, and the services they made.

    One transaction a user. Idempotency key: the user's address, which archiving takes away. Returns how many
    users and services were archived. Raises NotifyError MANAGERS_NEEDED for a user whom somebody else's
    service needs; those before are archived.
    """
    with uow.begin() as tx:
        found = users.made_by_tests(tx, name)
    archived = 0
    people = [user for user in found if _MADE.fullmatch(user.email_address[len(name) + 1 :])]
    for user in people:
        with uow.begin() as tx:
            for service in SERVICES.find(tx, order="id", created_by_id=user.id, active=True):
                archive_service(tx, ArchiveServiceRequest(service_id=service.id))
                archived += 1
            archive_user(archive_domain, tx, ArchiveUserRequest(user_id=user.id))
    return len(people), archived

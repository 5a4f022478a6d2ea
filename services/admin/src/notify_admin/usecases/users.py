"""Users and their memberships."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from notify.admin.v1 import people_service_pb2 as people_pb
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.invitations_service_pb2 import DecideJoinRequestRequest
from notify.admin.v1.service_pb2 import Service
from notify.admin.v1.user_pb2 import User, UserAccess
from notify_common import clock
from notify_common.db.unit_of_work import Tx
from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.ids import new_id
from notify_content import email_address

from notify_admin.domain import services as rules
from notify_admin.domain.mail import MailTemplate
from notify_admin.store import changes, folders, members, organisations, users
from notify_admin.store.resources import MEMBERS, SERVICES, USERS
from notify_admin.store.tables import memberships, organisation_members
from notify_admin.usecases.mail import Mailer
from notify_admin.usecases.passwords import PasswordHasher
from notify_admin.usecases.reads import Lists
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.violations import Violations

MAX_NAME_LENGTH: Final = 255
MAX_EMAIL_ADDRESS_LENGTH: Final = 255
AUTH_TYPES: Final = frozenset({"sms_auth", "email_auth", "webauthn_auth"})
_NO_SESSION: Final = str(UUID(int=0))
"""Session of an archived user, which none can have."""
STATES: Final = frozenset({"pending", "active", "inactive"})


def create_user(hasher: PasswordHasher, tx: Tx, ask: pb.CreateUserRequest) -> User:
    """Create a user. Raises NotifyError NAME_TAKEN where the email address is another user's."""
    user = checked(ask.user)
    user.ClearField("current_session_id")
    user.take_part_in_research = user.receives_new_features_email = True
    hashed = hasher.hash(ask.password) if ask.password else None
    USERS.add(tx, ask, user, password_hash=hashed)
    return get_user(tx, pb.GetUserRequest(user_id=ask.request_id))


def make_platform_admin(tx: Tx, user_id: str) -> None:
    """Let a user run the platform, which no call can do."""
    USERS.change(tx, {"id": user_id}, platform_admin=True)


def get_user(tx: Tx, ask: pb.GetUserRequest) -> User:
    """Return a user with what it may do where."""
    return with_access(tx, [USERS.one(tx, id=ask.user_id)])[0]


def get_people(tx: Tx, ask: people_pb.GetPeopleRequest) -> people_pb.GetPeopleResponse:
    """Return who users are; those that there are not are left out."""
    answer = people_pb.GetPeopleResponse()
    for user in USERS.of_ids(tx, ask.user_ids):
        answer.people.add(user_id=user.id, name=user.name, email_address=user.email_address)
    return answer


def get_user_by_email(hasher: PasswordHasher, tx: Tx, ask: pb.GetUserByEmailRequest) -> User:
    """Return the user with an email address.

    That there is none takes as long as a wrong password, which the web app asks about next: it answers both
    with the same words.
    """
    user = users.by_email_address(tx, ask.email_address)
    if user is None:
        hasher.matches("", None)
        raise NotifyError("USER_NOT_FOUND")
    return with_access(tx, [user])[0]


def set_user(mailer: Mailer, tx: Tx, ask: pb.SetUserRequest) -> User:
    """Set the masked fields of a user, who is told where somebody else changed the addresses."""
    current = USERS.one(tx, locked=True, id=ask.user.id)
    wanted = checked(USERS.merge(current, ask.user, ask.update_mask))
    if ask.updated_by_id:
        _tell(mailer, tx, current, wanted, USERS.one(tx, id=ask.updated_by_id).name)
    return with_access(tx, [USERS.save(tx, wanted)])[0]


def _tell(mailer: Mailer, tx: Tx, before: User, user: User, changed_by: str) -> None:
    """Tell a user at the new address, or else at the new number, who changed it."""
    values = {"name": user.name, "servicemanagername": changed_by, "email address": user.email_address}
    if user.email_address != before.email_address:
        mailer.write(tx, new_id(), MailTemplate.EMAIL_CHANGED, user.email_address, values)
    elif user.mobile_number not in ("", before.mobile_number):
        values = {"servicemanagername": changed_by}
        mailer.write(tx, new_id(), MailTemplate.MOBILE_NUMBER_CHANGED, user.mobile_number, values)


def activate_user(tx: Tx, ask: pb.ActivateUserRequest) -> User:
    """Make a pending user active."""
    if USERS.one(tx, locked=True, id=ask.user_id).state == "active":
        raise NotifyError("USER_ACTIVE")
    return with_access(tx, USERS.change(tx, {"id": ask.user_id}, state="active"))[0]


def reset_failed_logins(tx: Tx, ask: pb.ResetFailedLoginsRequest) -> User:
    """Forget failed attempts to sign in."""
    USERS.one(tx, locked=True, id=ask.user_id)
    return with_access(tx, USERS.change(tx, {"id": ask.user_id}, failed_login_count=0))[0]


def new_session() -> dict[str, Any]:
    """Return what is set of a user who signs in."""
    return {"failed_login_count": 0, "current_session_id": new_id(), "logged_in_time": clock.now()}


def add_member(tx: Tx, ask: pb.AddMemberRequest) -> User:
    """Make a user a member of a service; doing it twice changes nothing, unless it must be a new one."""
    require_known(ask.permissions)
    lock_service(tx, ask.service_id)
    USERS.one(tx, id=ask.user_id)
    if not join(tx, ask.service_id, ask.user_id, ask) and ask.must_be_new:
        raise NotifyError("ALREADY_MEMBER")
    return get_user(tx, pb.GetUserRequest(user_id=ask.user_id))


def join(tx: Tx, service_id: str, user_id: str, ask: pb.AddMemberRequest | DecideJoinRequestRequest) -> bool:
    """Make a user a member as a request says, who sees those of its folders that there are; return False if
    it is one.
    """
    known = folders.parents(tx, service_id)
    made = members.add(tx, service_id, user_id, ask.permissions, [x for x in ask.folder_ids if x in known])
    if made:
        changes.append(tx, "service", service_id)
    return made


def remove_member(tx: Tx, ask: pb.RemoveMemberRequest) -> None:
    """End a membership, of an archived service too.

    Raises:
        NotifyError: SERVICE_NOT_FOUND; MEMBER_NOT_FOUND; MANAGERS_NEEDED.
    """
    service = lock_service(tx, ask.service_id, archived_too=True)
    _require_managers_without(tx, service, ask.user_id, stays=False)
    members.remove(tx, memberships, ask.service_id, ask.user_id)
    changes.append(tx, "service", ask.service_id)


def set_member_permissions(tx: Tx, ask: pb.SetMemberPermissionsRequest) -> User:
    """Set all that a member may do, and all folders it sees where that is asked for."""
    service = lock_service(tx, ask.service_id)
    require_known(ask.permissions)
    if ask.set_folders and not set(ask.folder_ids) <= folders.parents(tx, service.id).keys():
        raise NotifyError("FOLDER_NOT_FOUND")
    if rules.MANAGING not in ask.permissions:
        _require_managers_without(tx, service, ask.user_id, stays=True)
    seen = ask.folder_ids if ask.set_folders else None
    members.set_permissions(tx, memberships, service.id, ask.user_id, ask.permissions, seen)
    changes.append(tx, "service", service.id)
    return get_user(tx, pb.GetUserRequest(user_id=ask.user_id))


def require_known(permissions: Iterable[str]) -> None:
    """Raise NotifyError INVALID_FIELD unless members may have all of these permissions."""
    if not rules.MEMBER_PERMISSIONS.issuperset(permissions):
        raise invalid_field(FieldViolation("permissions", "holds a permission that there is not"))


def archive_user(archive_domain: str, tx: Tx, ask: pb.ArchiveUserRequest) -> User:
    """Take a user out of everything; name and addresses are forgotten (internal-api.md §4.6).

    Idempotency key: the user's state; archiving twice changes nothing. Services are locked before the user,
    and in the order of their ids, so that none who does the same waits in a circle.
    """
    for service_id in members.services_of(tx, ask.user_id):
        service = lock_service(tx, service_id, archived_too=True)
        _require_managers_without(tx, service, ask.user_id, stays=False)
        changes.append(tx, "service", service_id)
    user = USERS.one(tx, locked=True, id=ask.user_id)
    if user.state == "inactive":
        return with_access(tx, [user])[0]
    members.leave_all(tx, user.id)
    values = {
        "name": "Archived user",
        "email_address": f"_archived_{clock.now():%Y-%m-%d-%H:%M:%S}_{user.id}@{archive_domain}",
        "mobile_number": "",
        "auth_type": "email_auth",
        "state": "inactive",
        "password_hash": None,
        "platform_admin": False,
        "current_session_id": _NO_SESSION,
    }
    return with_access(tx, USERS.change(tx, {"id": user.id}, **values))[0]


def _require_managers_without(tx: Tx, service: Service, user_id: str, *, stays: bool) -> None:
    """Raise NotifyError MANAGERS_NEEDED where a service can't do without this member's managing it.

    It is called under the lock of the service: of the last two who leave at once, one stays.
    """
    if not service.active:
        return
    found = [member.id for member in MEMBERS.find(tx, service_id=service.id, state="active")]
    if user_id not in found:
        return
    if not stays and len(found) == 1:
        raise NotifyError("MANAGERS_NEEDED")
    managers = [member.id for member in who_manage(tx, service.id) if _is_official(tx, member)]
    needed = rules.managers_needed(
        restricted=service.restricted, has_active_go_live_request=service.has_active_go_live_request
    )
    if user_id in managers and len(managers) - 1 < needed:
        raise NotifyError("MANAGERS_NEEDED")


def who_manage(tx: Tx, service_id: str) -> list[User]:
    """Return the members of a service who can sign in and may manage it."""
    may = members.may(memberships, rules.MANAGING)
    return MEMBERS.find(tx, may, service_id=service_id, state="active")


def _is_official(tx: Tx, user: User) -> bool:
    domains = rules.domains_above(user.email_address.rpartition("@")[2].lower())
    return not rules.GOVERNMENT_DOMAINS.isdisjoint(domains) or bool(organisations.of_domain(tx, domains))


def with_access(tx: Tx, found: Iterable[User]) -> list[User]:
    """Return the same users, filled with what they may do where, in two statements however many they are."""
    of_id = {user.id: user for user in found}
    for user in of_id.values():
        user.access.CopyFrom(UserAccess())
    for field, table in (("services", memberships), ("organisations", organisation_members)):
        for one in members.access(tx, table, list(of_id)) if of_id else ():
            held = getattr(of_id[one.user_id].access, field)
            held.add(id=one.id, permissions=one.permissions, folder_ids=one.folder_ids)
    return list(of_id.values())


list_users = Lists(USERS, asked=users.in_times, fill=with_access)
list_members = Lists(MEMBERS, parent=SERVICES, fill=with_access)


def checked(given: User) -> User:
    """Return a user in the form in which it is stored.

    Raises:
        NotifyError: INVALID_FIELD, with all violations.
    """
    stored = User()
    stored.CopyFrom(given)
    stored.state, stored.auth_type = given.state or "active", given.auth_type or "sms_auth"
    with Violations("user") as violations:
        violations.require_known(stored.state, STATES, "state")
        violations.require_known(stored.auth_type, AUTH_TYPES, "auth_type")
        violations.require(bool(given.name.strip()), "name", "is required")
        violations.require_short(given.name, MAX_NAME_LENGTH, "name")
        try:
            stored.email_address = email_address.parse(given.email_address).validated
            fits = len(stored.email_address) <= MAX_EMAIL_ADDRESS_LENGTH
        except email_address.InvalidEmailAddress:
            fits = False
        violations.require(fits, "email_address", "is not a valid email address")
        if given.mobile_number:
            valid = rules.international(given.mobile_number) is not None
            violations.require(valid, "mobile_number", "is not a valid phone number")
    return stored

"""Users and their memberships."""

from notify.admin.v1 import user_pb2
from notify.admin.v1 import users_service_pb2 as pb
from notify_common.db.unit_of_work import Tx
from notify_content import email_address, phone

from notify_admin.store import changes, members
from notify_admin.store.resources import USERS
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.violations import Violations

MAX_NAME_LENGTH = 255
MAX_EMAIL_ADDRESS_LENGTH = 255


def create_user(tx: Tx, ask: pb.CreateUserRequest) -> user_pb2.User:
    """Create a user. Raises NotifyError NAME_TAKEN where the email address is another user's."""
    USERS.add(tx, ask, checked(ask.user))
    return USERS.one(tx, id=ask.request_id)


def add_member(tx: Tx, ask: pb.AddMemberRequest) -> user_pb2.User:
    """Make a user a member of a service; doing it twice changes nothing."""
    lock_service(tx, ask.service_id)
    user = USERS.one(tx, id=ask.user_id)
    if members.add(tx, ask.service_id, ask.user_id):
        changes.append(tx, "service", ask.service_id)
    return user


def remove_member(tx: Tx, ask: pb.RemoveMemberRequest) -> pb.RemoveMemberResponse:
    """End a membership; ending none changes nothing."""
    lock_service(tx, ask.service_id, archived_too=True)
    if members.remove(tx, ask.service_id, ask.user_id):
        changes.append(tx, "service", ask.service_id)
    return pb.RemoveMemberResponse()


def checked(given: user_pb2.User) -> user_pb2.User:
    """Return a user in the form in which it is stored: `+447700900123`.

    Raises:
        NotifyError: INVALID_FIELD, with all violations.
    """
    violations = Violations("user")
    stored = user_pb2.User()
    stored.CopyFrom(given)
    violations.require(bool(given.name.strip()), "name", "is required")
    short = len(given.name) <= MAX_NAME_LENGTH
    violations.require(short, "name", f"is longer than {MAX_NAME_LENGTH} characters")
    try:
        stored.email_address = email_address.parse(given.email_address).validated
        fits = len(stored.email_address) <= MAX_EMAIL_ADDRESS_LENGTH
    except email_address.InvalidEmailAddress:
        fits = False
    violations.require(fits, "email_address", "is not a valid email address")
    if given.mobile_number:
        try:
            number = phone.parse(given.mobile_number, allow_international=True)
            stored.mobile_number = f"+{number.normalised}"
        except phone.InvalidPhoneNumber:
            violations.require(False, "mobile_number", "is not a valid phone number")
    violations.end()
    return stored

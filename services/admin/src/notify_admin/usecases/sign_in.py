"""Proofs of who a user is: passwords and security keys (internal-api.md §4.8)."""

from collections.abc import Sequence
from typing import Any, Final

from notify.admin.v1 import sign_in_service_pb2 as pb
from notify.admin.v1.user_pb2 import User
from notify.admin.v1.webauthn_credential_pb2 import WebauthnCredential
from notify_common import clock
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.store.resources import CREDENTIALS, USERS
from notify_admin.usecases.passwords import PasswordHasher
from notify_admin.usecases.reads import Lists
from notify_admin.usecases.users import new_session, with_access

MOST_REFUSED_KEYS: Final = 5
"""Failed attempts after which no security key is tried any more."""
MOST_CREDENTIALS: Final = 50


def verify_password(
    hasher: PasswordHasher, tx: Tx, ask: pb.VerifyPasswordRequest
) -> pb.VerifyPasswordResponse:
    """Say whether a password is right.

    A wrong one is an answer, not an error, so that its counting is kept. Attempts of one user wait for one
    another: nobody guesses in parallel without being counted.
    """
    user = USERS.one(tx, locked=True, id=ask.user_id)
    correct = hasher.matches(ask.password, USERS.value(tx, "password_hash", id=user.id))
    count = 0 if correct else user.failed_login_count + 1
    USERS.change(tx, {"id": user.id}, failed_login_count=count)
    return pb.VerifyPasswordResponse(correct=correct)


def set_password(hasher: PasswordHasher, tx: Tx, ask: pb.SetPasswordRequest) -> User:
    """Set a password."""
    USERS.one(tx, locked=True, id=ask.user_id)
    values = {"password_hash": hasher.hash(ask.password), "password_change_time": clock.now()}
    return with_access(tx, USERS.change(tx, {"id": ask.user_id}, **values))[0]


def complete_webauthn_login(tx: Tx, ask: pb.CompleteWebauthnLoginRequest) -> User:
    """Note that a security key was accepted, which begins a session, or refused."""
    user = USERS.one(tx, locked=True, id=ask.user_id)
    if user.failed_login_count >= MOST_REFUSED_KEYS:
        raise NotifyError("LOGINS_EXCEEDED")
    values: dict[str, Any] = {"failed_login_count": user.failed_login_count + 1}
    if ask.successful:
        if ask.webauthn_credential_id:
            CREDENTIALS.one(tx, id=ask.webauthn_credential_id, user_id=user.id)
            CREDENTIALS.change(tx, {"id": ask.webauthn_credential_id}, logged_in_time=clock.now())
        values = new_session()
    return with_access(tx, USERS.change(tx, {"id": user.id}, **values))[0]


def create_webauthn_credential(tx: Tx, ask: pb.CreateWebauthnCredentialRequest) -> WebauthnCredential:
    """Add a security key."""
    given = ask.webauthn_credential
    USERS.one(tx, locked=True, id=given.user_id)
    before = CREDENTIALS.count(tx, user_id=given.user_id)
    if CREDENTIALS.add(tx, ask, given) and before >= MOST_CREDENTIALS:
        raise NotifyError("TOO_MANY", metadata={"limit": str(MOST_CREDENTIALS)})
    return CREDENTIALS.one(tx, id=ask.request_id)


def without_registration(tx: Tx, found: Sequence[WebauthnCredential]) -> None:
    """Leave out what lists of security keys don't show."""
    for credential in found:
        credential.ClearField("registration_response")


list_webauthn_credentials = Lists(CREDENTIALS, parent=USERS, fill=without_registration)


def set_webauthn_credential(tx: Tx, ask: pb.SetWebauthnCredentialRequest) -> WebauthnCredential:
    """Rename a security key."""
    given = ask.webauthn_credential
    current = CREDENTIALS.one(tx, locked=True, id=given.id, user_id=given.user_id)
    return CREDENTIALS.save(tx, CREDENTIALS.merge(current, given, ask.update_mask))


def delete_webauthn_credential(tx: Tx, ask: pb.DeleteWebauthnCredentialRequest) -> None:
    """Delete a security key, but not the last: its user could not sign in any more."""
    USERS.one(tx, locked=True, id=ask.user_id)
    CREDENTIALS.one(tx, id=ask.webauthn_credential_id, user_id=ask.user_id)
    if CREDENTIALS.count(tx, user_id=ask.user_id) == 1:
        raise NotifyError("LAST_CREDENTIAL")
    CREDENTIALS.delete(tx, id=ask.webauthn_credential_id)

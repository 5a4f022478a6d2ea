"""Sign-in codes and mail about accounts (internal-api.md A58, A60 to A63, A68)."""

import hashlib
import hmac
import json
from uuid import uuid4

from notify.admin.v1 import sign_in_service_pb2 as pb
from notify.admin.v1.user_pb2 import User
from notify_common import clock
from notify_common.db.unit_of_work import Tx
from notify_common.errors import FieldViolation, invalid_field

from notify_admin.domain import codes as rules
from notify_admin.domain.mail import MailTemplate
from notify_admin.domain.services import international
from notify_admin.store import codes
from notify_admin.store.resources import USERS
from notify_admin.usecases.mail import Mailer
from notify_admin.usecases.users import new_session

_TYPES = {pb.CODE_TYPE_SMS: "sms", pb.CODE_TYPE_EMAIL: "email"}
_OUTCOME = pb.VerifyCodeResponse
_KIND = pb.SendAccountMailRequest


def send_code(mailer: Mailer, pepper: bytes, tx: Tx, ask: pb.SendCodeRequest) -> None:
    """Send a code, unless enough are on their way.

    Idempotency key: the request's id. Requests of one user wait for one another, so that none passes the
    limit.
    """
    user = USERS.one(tx, locked=True, id=ask.user_id)
    by_text = ask.type == pb.CODE_TYPE_SMS
    recipient = (ask.recipient or user.mobile_number) if by_text else user.email_address
    if by_text and international(recipient) is None:
        raise invalid_field(FieldViolation("recipient", "is not a valid phone number"))
    now = clock.now()
    if codes.count_unused(tx, user.id, now) >= rules.MOST_UNUSED:
        return
    code = rules.new_digits() if by_text else str(uuid4())
    expire_time = now + rules.LIFETIME
    hashed = _hash(pepper, user.id, code)
    if not codes.add(tx, ask.request_id, user.id, _TYPES[ask.type], hashed, expire_time):
        return
    codes.delete_before(tx, user.id, now - rules.KEPT)
    if by_text:
        values = {"verify_code": code}
        mailer.write(tx, ask.request_id, MailTemplate.SIGN_IN_CODE, recipient, values)
    else:
        payload = json.dumps({"user_id": user.id, "secret_code": code})
        values = {
            "name": user.name,
            "url": mailer.links.token("email-auth", payload, ask.link_host, ask.next),
        }
        mailer.write(tx, ask.request_id, MailTemplate.SIGN_IN_LINK, recipient, values)


def verify_code(pepper: bytes, tx: Tx, ask: pb.VerifyCodeRequest) -> pb.VerifyCodeResponse:
    """Say whether a code is right, and begin a session if so.

    A wrong one is an answer, not an error, so that its counting is kept. Attempts of one user wait for one
    another: nobody guesses in parallel without being counted.
    """
    user = USERS.one(tx, locked=True, id=ask.user_id)
    now = clock.now()
    if user.failed_login_count >= rules.MOST_FAILURES:
        return pb.VerifyCodeResponse(outcome=_OUTCOME.OUTCOME_UNKNOWN)
    code = codes.newest(tx, user.id, _TYPES[ask.type], _hash(pepper, user.id, ask.code))
    if code is None or code.use_time is not None or code.expire_time <= now:
        USERS.change(tx, {"id": user.id}, failed_login_count=user.failed_login_count + 1)
        outcome = _OUTCOME.OUTCOME_UNKNOWN if code is None else _OUTCOME.OUTCOME_EXPIRED
        return pb.VerifyCodeResponse(outcome=outcome)
    codes.use(tx, code.id, now)
    validated = {"email_access_validated_time": now} if ask.type == pb.CODE_TYPE_EMAIL else {}
    USERS.change(tx, {"id": user.id}, **new_session(), **validated)
    return pb.VerifyCodeResponse(outcome=_OUTCOME.OUTCOME_ACCEPTED)


def send_account_mail(mailer: Mailer, tx: Tx, ask: pb.SendAccountMailRequest) -> None:
    """Send a user mail about the account. Idempotency key: the request's id."""
    user = USERS.one(tx, id=ask.user_id)
    recipient = ask.email_address or user.email_address
    template, values = _account_mail(mailer, user, recipient, ask)
    mailer.write(tx, ask.request_id, template, recipient, values)


def _account_mail(
    mailer: Mailer, user: User, recipient: str, ask: pb.SendAccountMailRequest
) -> tuple[MailTemplate, dict[str, str]]:
    """Return template and values of a mail; times and ids in tokens are as the admin web app reads them."""
    links, host = mailer.links, ask.link_host
    claim = json.dumps({"user_id": user.id, "email": recipient})
    match ask.kind:
        case _KIND.KIND_EMAIL_VERIFICATION:
            url = links.token("verify-email", claim, host)
            return MailTemplate.EMAIL_VERIFICATION, {"name": user.name, "url": url}
        case _KIND.KIND_EMAIL_CHANGE:
            url = links.token("your-account/email/confirm", claim, host)
            feedback = links.page("support", host)
            values = {"name": user.name, "url": url, "feedback_url": feedback}
            return MailTemplate.EMAIL_CHANGE, values
        case _KIND.KIND_PASSWORD_RESET:
            made = clock.now().replace(tzinfo=None)
            claim = json.dumps({"email": recipient, "created_at": str(made)})
            url = links.token("new-password", claim, host, ask.next)
            return MailTemplate.PASSWORD_RESET, {"user_name": user.name, "url": url}
        case _:
            pages = {"signin_url": "sign-in", "forgot_password_url": "forgot-password"}
            pages["feedback_url"] = "support"
            return MailTemplate.ALREADY_REGISTERED, {k: links.page(path, host) for k, path in pages.items()}


def _hash(pepper: bytes, user_id: str, code: str) -> bytes:
    """Return what is stored of a code: with few digits, only a key that is in no database protects it."""
    return hmac.digest(pepper, f"code {user_id} {code}".encode(), hashlib.sha256)

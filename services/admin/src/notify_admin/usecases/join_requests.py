"""Requests to join a service (internal-api.md A89 to A91)."""

from typing import Any, Final

from notify.admin.v1 import invitations_service_pb2 as pb
from notify.admin.v1.join_request_pb2 import JoinRequest
from notify.admin.v1.service_pb2 import Service
from notify.admin.v1.user_pb2 import User
from notify_common import clock, ids
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.domain import services as rules
from notify_admin.domain.mail import MailTemplate
from notify_admin.store.resources import JOIN_REQUESTS, MEMBERS, USERS
from notify_admin.usecases.mail import Mailer
from notify_admin.usecases.reads import Gets
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.users import AUTH_TYPES, join, who_manage
from notify_admin.usecases.violations import Violations

APPROVED: Final = "approved"
STATUSES: Final = frozenset({"pending", APPROVED, "rejected", "cancelled"})


get_join_request = Gets(JOIN_REQUESTS)


def create_join_request(mailer: Mailer, tx: Tx, ask: pb.CreateJoinRequestRequest) -> JoinRequest:
    """Ask members by mail to let somebody join, who gets a receipt. Idempotency key: the request's id."""
    given = ask.join_request
    service = lock_service(tx, given.service_id)
    requester = USERS.one(tx, id=given.requester_id)
    if MEMBERS.count(tx, service_id=service.id, id=requester.id):
        raise NotifyError("ALREADY_MEMBER")
    contacted = set(given.contacted_user_ids)
    managing = [user for user in who_manage(tx, service.id) if user.id in contacted]
    if not managing:
        raise NotifyError("MANAGERS_NOT_FOUND")
    if JOIN_REQUESTS.add(tx, ask, given, contacted_user_ids=sorted(user.id for user in managing)):
        _tell(mailer, tx, ask, service, requester, managing)
    return JOIN_REQUESTS.one(tx, id=ask.request_id)


def decide_join_request(mailer: Mailer, tx: Tx, ask: pb.DecideJoinRequestRequest) -> JoinRequest:
    """Decide on a request; approval makes the requester a member.

    Of two who decide at once the later one counts, but a member is made and told once.
    """
    with Violations("request") as violations:
        violations.require_known(ask.status, STATUSES, "status")
        violations.require_known(ask.auth_type, {"", *AUTH_TYPES}, "auth_type")
        violations.require_permissions(ask.permissions, rules.MEMBER_PERMISSIONS)
    service = lock_service(tx, ask.service_id)
    found = JOIN_REQUESTS.one(tx, id=ask.join_request_id, service_id=service.id)
    decider = USERS.one(tx, id=ask.decided_by_id)
    decided: dict[str, Any] = {"status_changed_time": clock.now(), "status_changed_by_id": decider.id}
    if ask.status == APPROVED:
        _admit(mailer, tx, ask, service, found, decider)
        others = {"service_id": service.id, "requester_id": found.requester_id, "status": "pending"}
        JOIN_REQUESTS.change(tx, others, status="cancelled", **decided)
    reason = {"reason": ask.reason} if ask.reason else {}
    return JOIN_REQUESTS.change(tx, {"id": found.id}, status=ask.status, **decided, **reason)[0]


def _admit(
    mailer: Mailer,
    tx: Tx,
    ask: pb.DecideJoinRequestRequest,
    service: Service,
    found: JoinRequest,
    decider: User,
) -> None:
    requester = USERS.one(tx, locked=True, id=found.requester_id)
    if not join(tx, service.id, requester.id, ask):
        return
    # a key is the stronger proof, and codes need a number
    can = requester.auth_type != "webauthn_auth" and (ask.auth_type != "sms_auth" or requester.mobile_number)
    if ask.auth_type and can and ask.auth_type != requester.auth_type:
        USERS.change(tx, {"id": requester.id}, auth_type=ask.auth_type)
    values = {
        "requester_name": requester.name,
        "approver_name": decider.name,
        "service_name": service.name,
        "dashboard_url": mailer.links.page(f"services/{service.id}"),
    }
    mail_id = ids.child_id(found.id, "approved")
    mailer.write(tx, mail_id, MailTemplate.JOIN_APPROVED, requester.email_address, values)


def _tell(
    mailer: Mailer,
    tx: Tx,
    ask: pb.CreateJoinRequestRequest,
    service: Service,
    requester: User,
    managing: list[User],
) -> None:
    page = f"services/{service.id}"
    reason = ask.join_request.reason
    for manager in managing:
        values = {
            "approver_name": manager.name,
            "requester_name": requester.name,
            "requester_email_address": requester.email_address,
            "service_name": service.name,
            "reason_given": "yes" if reason else "no",
            "reason": "\n".join(f"^ {line}" for line in reason.splitlines()),
            "url": mailer.links.page(f"{page}/join-request/{ask.request_id}/approve", ask.link_host),
        }
        mail_id = ids.child_id(ask.request_id, manager.id)
        address, answers_to = manager.email_address, requester.email_address
        mailer.write(tx, mail_id, MailTemplate.JOIN_REQUEST, address, values, answers_to)
    receipt = {
        "requester_name": requester.name,
        "service_name": service.name,
        "service_admin_names": "\n".join(f"* {manager.name}" for manager in managing),
        "url_ask_to_join_page": mailer.links.page(f"{page}/join/ask", ask.link_host),
    }
    mail_id = ids.child_id(ask.request_id, "receipt")
    mailer.write(tx, mail_id, MailTemplate.JOIN_RECEIPT, requester.email_address, receipt)

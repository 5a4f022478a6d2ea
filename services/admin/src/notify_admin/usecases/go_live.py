"""Mail about services that ask to go live (internal-api.md §4.3, A110 to A112)."""

from notify.admin.v1 import organisations_service_pb2 as pb
from notify.admin.v1.service_pb2 import Service
from notify_common import ids
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.domain import services as rules
from notify_admin.domain.mail import MailTemplate
from notify_admin.domain.senders import reply_to_address
from notify_admin.store import members
from notify_admin.store.resources import ORGANISATION_MEMBERS, ORGANISATIONS, SERVICES, USERS
from notify_admin.store.tables import organisation_members
from notify_admin.usecases.mail import Mailer
from notify_admin.usecases.violations import settled


def send_go_live_request(mailer: Mailer, tx: Tx, ask: pb.SendGoLiveRequestRequest) -> None:
    """Tell those of the organisation who may decide, and who asked. Idempotency key: the request's id."""
    service = _asking(tx, ask.service_id)
    organisation = ORGANISATIONS.one(tx, id=service.organisation_id)
    requester = USERS.one(tx, id=service.go_live_user_id)
    may = members.may(organisation_members, rules.MAKING_LIVE)
    deciding = ORGANISATION_MEMBERS.find(
        tx, may, order="join_time id", organisation_id=organisation.id, state="active"
    )
    shared = {"service_name": service.name, "organisation_name": organisation.name}
    for member in deciding:
        values = {
            **shared,
            "name": member.name,
            "requester_name": requester.name,
            "requester_email_address": requester.email_address,
            "make_service_live_link": mailer.links.page(f"services/{service.id}/make-service-live"),
            "support_page_link": mailer.links.page("support"),
        }
        mail_id = ids.child_id(ask.request_id, member.id)
        address, answers_to = member.email_address, requester.email_address
        mailer.write(tx, mail_id, MailTemplate.GO_LIVE_REQUEST, address, values, answers_to)
    names = "\n".join(f"* {member.name}" for member in deciding)
    receipt = {**shared, "name": requester.name, "organisation_team_member_names": names}
    mail_id = ids.child_id(ask.request_id, "receipt")
    mailer.write(tx, mail_id, MailTemplate.GO_LIVE_RECEIPT, requester.email_address, receipt)


def send_go_live_next_steps(mailer: Mailer, tx: Tx, ask: pb.SendGoLiveNextStepsRequest) -> None:
    """Tell somebody of the organisation how to go on. Idempotency key: the request's id."""
    _asking(tx, ask.service_id)
    address = settled(reply_to_address, ask.email_address, "email_address")
    values = {"service_name": ask.service_name, "body": ask.body}
    mailer.write(tx, ask.request_id, MailTemplate.GO_LIVE_NEXT_STEPS, address, values)


def send_go_live_refusal(mailer: Mailer, tx: Tx, ask: pb.SendGoLiveRefusalRequest) -> None:
    """Tell who asked that it was refused, and why. Idempotency key: the request's id."""
    requester = USERS.one(tx, id=_asking(tx, ask.service_id).go_live_user_id)
    answers_to = settled(reply_to_address, ask.member_email_address, "member_email_address")
    values = {
        "name": ask.name,
        "service_name": ask.service_name,
        "organisation_name": ask.organisation_name,
        "reason": "\n".join(f"^ {line}" for line in ask.reason.splitlines()),
        "organisation_team_member_name": ask.member_name,
        "organisation_team_member_email": answers_to,
    }
    address = requester.email_address
    mailer.write(tx, ask.request_id, MailTemplate.GO_LIVE_REFUSED, address, values, answers_to)


def _asking(tx: Tx, service_id: str) -> Service:
    """Return a service that asks to go live. Raises NotifyError GO_LIVE_NOT_REQUESTED."""
    service = SERVICES.one(tx, locked=True, id=service_id)
    if not service.has_active_go_live_request or not service.go_live_user_id:
        raise NotifyError("GO_LIVE_NOT_REQUESTED")
    return service

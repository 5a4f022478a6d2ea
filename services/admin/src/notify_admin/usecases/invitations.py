"""Invitations to services and organisations (internal-api.md A75 to A88)."""

from datetime import timedelta
from typing import Any, Final

from notify.admin.v1 import invitations_service_pb2 as pb
from notify.admin.v1.invitation_pb2 import Invitation
from notify_common import ids
from notify_common.db.unit_of_work import Tx
from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.rpc.paging import Pager

from notify_admin.domain.mail import MailTemplate
from notify_admin.domain.senders import reply_to_address
from notify_admin.store.resources import INVITATIONS, ORGANISATIONS, USERS
from notify_admin.usecases.mail import Mailer
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.users import AUTH_TYPES
from notify_admin.usecases.violations import Violations, settled

LIFETIME: Final = timedelta(days=2)
STATUSES: Final = frozenset({"pending", "accepted", "cancelled"})
_PLATFORM_TEAM: Final = "The GOV.UK Notify team"
"""Who invites where that is one who runs the platform."""


def create_invitation(mailer: Mailer, tx: Tx, ask: pb.CreateInvitationRequest) -> Invitation:
    """Invite somebody by email. Answers to it go to who invites; the link works for two days."""
    given = ask.invitation
    given.status, given.auth_type = given.status or "pending", given.auth_type or "sms_auth"
    given.email_address = settled(reply_to_address, given.email_address, "invitation.email_address")
    _check(given)
    inviter = USERS.one(tx, id=given.invited_by_id)
    values = {"user_name": inviter.name}
    if given.service_id:
        values["service_name"] = lock_service(tx, given.service_id).name
        template, path = MailTemplate.INVITATION, "invitation"
    else:
        values["organisation_name"] = ORGANISATIONS.one(tx, id=given.organisation_id).name
        template, path = MailTemplate.ORGANISATION_INVITATION, "organisation-invitation"
        if inviter.platform_admin:
            values["user_name"] = _PLATFORM_TEAM
    if INVITATIONS.add(tx, ask, given):
        values["url"] = mailer.links.token(path, ask.request_id, ask.link_host)
        message_id = ids.child_id(ask.request_id, "mail")
        mailer.write(tx, message_id, template, given.email_address, values, inviter.email_address)
    return INVITATIONS.one(tx, id=ask.request_id)


def get_invitation(tx: Tx, ask: pb.GetInvitationRequest) -> Invitation:
    """Return an invitation of a service or organisation, or by its id alone one of either kind."""
    return _one(tx, ask.invitation_id, ask.service_id, ask.organisation_id, ask.of_organisation)


def get_invitation_by_token(mailer: Mailer, tx: Tx, ask: pb.GetInvitationByTokenRequest) -> Invitation:
    """Return the invitation of a link; tokens of other links are none of these."""
    invitation_id = mailer.links.read(ask.token, LIFETIME)
    if not ids.is_uuid(invitation_id):
        raise NotifyError("LINK_INVALID")
    return _one(tx, invitation_id, "", "", ask.of_organisation)


def list_invitations(pager: Pager, tx: Tx, ask: pb.ListInvitationsRequest) -> pb.ListInvitationsResponse:
    """Return the invitations of one parent, whatever became of them."""
    if bool(ask.service_id) == bool(ask.organisation_id):
        raise invalid_field(FieldViolation("service_id", "or organisation_id is required"))
    return INVITATIONS.page(tx, pager, ask, pb.ListInvitationsResponse)


def set_invitation(tx: Tx, ask: pb.SetInvitationRequest) -> Invitation:
    """Set the masked fields."""
    given = ask.invitation
    parent = {"service_id": given.service_id or None, "organisation_id": given.organisation_id or None}
    current = INVITATIONS.one(tx, locked=True, id=given.id, **parent)
    wanted = INVITATIONS.merge(current, given, ask.update_mask)
    _check(wanted)
    return INVITATIONS.save(tx, wanted)


def _one(
    tx: Tx, invitation_id: str, service_id: str, organisation_id: str, of_organisation: bool
) -> Invitation:
    keys: dict[str, Any] = {"service_id": service_id, "organisation_id": organisation_id}
    found = INVITATIONS.one(tx, id=invitation_id, **{k: v for k, v in keys.items() if v})
    if bool(found.organisation_id) != (of_organisation or bool(organisation_id)):
        raise NotifyError("INVITATION_NOT_FOUND")
    return found


def _check(given: Invitation) -> None:
    with Violations("invitation") as violations:
        one_parent = bool(given.service_id) != bool(given.organisation_id)
        violations.require(one_parent, "service_id", "or organisation_id is required, not both")
        violations.require_known(given.status, STATUSES, "status")
        violations.require_known(given.auth_type, AUTH_TYPES, "auth_type")

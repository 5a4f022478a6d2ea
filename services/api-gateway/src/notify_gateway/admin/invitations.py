"""Invitations to services and organisations (internal-api.md A75 to A88)."""

from typing import Any, Final

from notify.admin.v1 import invitations_service_pb2 as pb
from notify.admin.v1.invitation_pb2 import Invitation

from notify_gateway.admin import forms
from notify_gateway.admin.forms import EMAIL, STRING, UUID, fields, schema
from notify_gateway.admin.routes import Answer, Call, Routes, by_key, data, every, new_id
from notify_gateway.admin.shapes import Shape, as_
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import InternalClients
from notify_gateway.errors import TABLE, Row

INVITATION = Shape(
    Invitation,
    "id email_address status auth_type",
    service="service_id",
    from_user="invited_by_id",
    permissions=as_("permissions", ",".join),
    folder_permissions="folder_ids",
    created_at="create_time",
)
ORGANISATION_INVITATION = Shape(
    Invitation,
    "id email_address status permissions",
    organisation="organisation_id",
    invited_by="invited_by_id",
    created_at="create_time",
)
_STATUSES: Final = ("pending", "accepted", "cancelled")


def _status(value: Any) -> str:
    if value not in _STATUSES:
        raise ValueError(f"Must be one of: {', '.join(_STATUSES)}.")
    return str(value)


def _permissions(value: Any) -> list[str]:
    return [name for name in forms.string(value).split(",") if name]


_RULES: Final[dict[str, Any]] = {
    "permissions": _permissions,
    "auth_type": forms.string,
    "folder_permissions": forms.list_of(forms.uuid),
}
CREATE = fields(
    "email_address from_user permissions",
    **_RULES,
    email_address=forms.email,
    from_user=forms.uuid,
    invite_link_host=forms.string,
)
SET = fields(**_RULES, status=_status)
CREATE_TO_ORGANISATION = schema(
    "email_address invited_by",
    email_address=EMAIL,
    invited_by=UUID,
    permissions={"type": "array", "items": STRING},
    invite_link_host=STRING,
)
SET_TO_ORGANISATION = schema("status", status={"enum": list(_STATUSES)})


def _told_of_link(reason: str) -> Row:
    row = TABLE[reason]
    assert isinstance(row, Row)  # noqa: S101 - of the table
    return by_key("invitation", row.sentence)


LINK_ERRORS: Final = {reason: _told_of_link(reason) for reason in ("LINK_INVALID", "LINK_EXPIRED")}


def routes(clients: InternalClients, client: ClientAuthenticator) -> Routes:
    """Return the routes of both kinds."""
    made = Routes("invitations", client)
    _kind(made, clients, "service", INVITATION, CREATE, SET)
    _kind(made, clients, "organisation", ORGANISATION_INVITATION, CREATE_TO_ORGANISATION, SET_TO_ORGANISATION)
    return made


def _kind(
    made: Routes,
    clients: InternalClients,
    kind: str,
    shape: Shape[Invitation],
    create_form: Any,
    set_form: Any,
) -> None:
    """Add the routes of one kind, which differ in their shapes and forms."""
    parent = f"{kind}_id"
    all_, one = f"/{kind}/<uuid:{parent}>/invite", f"/{kind}/<uuid:{parent}>/invite/<invitation_id>"
    direct, of_organisation = f"/invite/{kind}", kind == "organisation"

    def of(call: Call) -> dict[str, Any]:
        return {parent: call.id(parent)}

    def answer(made: Any, status: int = 200) -> Answer:
        return data(shape.json(made.invitation), status)

    @made.post(all_, create_form)
    def create(call: Call) -> Answer:
        form = dict(call.form)
        host = form.pop("invite_link_host", "")
        given = shape.message(form, **of(call))
        ask = pb.CreateInvitationRequest(request_id=new_id(), invitation=given, link_host=host)
        return answer(clients.invitations.CreateInvitation(ask), 201)

    @made.get(all_)
    def list_(call: Call) -> Answer:
        ask = pb.ListInvitationsRequest(**of(call))
        return data(shape.list(every(clients.invitations.ListInvitations, ask)))

    @made.get(one)
    def get(call: Call) -> Answer:
        ask = pb.GetInvitationRequest(invitation_id=call.id("invitation_id"), **of(call))
        return answer(clients.invitations.GetInvitation(ask))

    @made.post(one, set_form)
    def set_(call: Call) -> Answer:
        mask = shape.mask(call.form)
        if not mask.paths:
            return get(call)
        given = shape.message(call.form, id=call.id("invitation_id"), **of(call))
        ask = pb.SetInvitationRequest(invitation=given, update_mask=mask)
        return answer(clients.invitations.SetInvitation(ask))

    @made.get(f"{direct}/<uuid:invitation_id>")
    def get_directly(call: Call) -> Answer:
        keys: dict[str, Any] = {"invitation_id": call.id("invitation_id"), "of_organisation": of_organisation}
        return answer(clients.invitations.GetInvitation(pb.GetInvitationRequest(**keys)))

    @made.get(f"{direct}/check/<token>", LINK_ERRORS)
    def check(call: Call) -> Answer:
        ask = pb.GetInvitationByTokenRequest(token=call.id("token"), of_organisation=of_organisation)
        return answer(clients.invitations.GetInvitationByToken(ask))

    made.get(f"{direct}/<token>", LINK_ERRORS)(check)

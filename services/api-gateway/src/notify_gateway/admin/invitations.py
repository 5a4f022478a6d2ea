"""Invitations to services and organisations (internal-api.md A75 to A88)."""

from typing import Any, Final

from notify.admin.v1 import invitations_service_pb2 as pb
from notify.admin.v1.invitation_pb2 import Invitation

from notify_gateway.admin import forms
from notify_gateway.admin.forms import EMAIL, STRING, UUID, fields, schema
from notify_gateway.admin.routes import Routes, by_key
from notify_gateway.admin.shapes import Shape, as_
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


def routes(clients: InternalClients) -> Routes:
    """Return the routes of both kinds."""
    made = Routes("invitations", clients)
    _kind(made, "service", INVITATION, CREATE, SET)
    _kind(made, "organisation", ORGANISATION_INVITATION, CREATE_TO_ORGANISATION, SET_TO_ORGANISATION)
    return made


def _kind(made: Routes, kind: str, shape: Shape[Invitation], create_form: Any, set_form: Any) -> None:
    """Add the routes of one kind, which differ in their shapes and forms."""
    parent = f"{kind}_id"
    all_, one = f"/{kind}/<uuid:{parent}>/invite", f"/{kind}/<uuid:{parent}>/invite/<invitation_id>"
    direct = f"/invite/{kind}"

    host = {"invite_link_host": "link_host"}
    made.call("POST", all_, pb.CreateInvitationRequest, shape, form=create_form, names=host)
    made.call("GET", all_, pb.ListInvitationsRequest, shape)
    made.call("GET", one, pb.GetInvitationRequest, shape)
    made.call("POST", one, pb.SetInvitationRequest, shape, form=set_form)
    fixed: dict[str, Any] = {"of_organisation": kind == "organisation"}
    made.call("GET", f"{direct}/<uuid:invitation_id>", pb.GetInvitationRequest, shape, **fixed)
    for rule in (f"{direct}/check/<token>", f"{direct}/<token>"):
        made.call("GET", rule, pb.GetInvitationByTokenRequest, shape, errors=LINK_ERRORS, **fixed)

"""Users and the teams that they are in (internal-api.md A9 to A11, A51 to A56, A64 to A67, A70, A146)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf.field_mask_pb2 import FieldMask
from notify.admin.v1 import organisations_service_pb2 as organisations_pb
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.organisation_pb2 import Organisation
from notify.admin.v1.service_pb2 import Service
from notify.admin.v1.services_service_pb2 import GetServiceRequest, ListServicesRequest
from notify.admin.v1.user_pb2 import Membership, User
from notify_common.errors import NotifyError
from notify_content import phone

from notify_gateway.admin import forms
from notify_gateway.admin.forms import InvalidForm, fields, schema
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data, new_id, nothing, plain
from notify_gateway.admin.services import SERVICE
from notify_gateway.admin.shapes import Shape, as_, db_time, nullable, whole
from notify_gateway.clients import InternalClients
from notify_gateway.errors import NO_RESULT, Rows

NOTIFY_SERVICE_ID: Final = "d6aa2c68-a2d9-4437-ab19-3ae8eb202553"


def _ids(memberships: list[Membership]) -> list[str]:
    return [one.id for one in memberships]


def _permissions(memberships: list[Membership]) -> dict[str, list[str]]:
    return {one.id: list(one.permissions) for one in memberships}


def _can_use_webauthn(user: User) -> bool:
    trusted = user.platform_admin or user.auth_type == "webauthn_auth"
    return trusted or NOTIFY_SERVICE_ID in _ids(list(user.access.services))


USER = Shape(
    User,
    "id name email_address auth_type state platform_admin failed_login_count take_part_in_research "
    "receives_new_features_email",
    mobile_number=nullable("mobile_number"),
    current_session_id=nullable("current_session_id"),
    created_at="create_time",
    password_changed_at=as_("password_change_time", db_time),
    logged_in_at="logged_in_time",
    email_access_validated_at="email_access_validated_time",
    can_use_webauthn=whole(_can_use_webauthn),
    services=as_("access.services", _ids),
    permissions=as_("access.services", lambda found: {k: v for k, v in _permissions(found).items() if v}),
    organisations=as_("access.organisations", _ids),
    organisation_permissions=as_("access.organisations", _permissions),
)


def _name(value: Any) -> str:
    if not forms.string(value):
        raise ValueError("Invalid name")
    return str(value)


def _mobile_number(value: Any) -> str | None:
    try:
        return None if value is None else _checked_number(forms.string(value))
    except phone.InvalidPhoneNumber as error:
        raise ValueError(f"Invalid phone number: {error.api_message}") from None


def _checked_number(value: str) -> str:
    phone.parse(value, allow_international=True)
    return value


_RULES: Final[Mapping[str, Any]] = {
    "name": _name,
    "email_address": forms.email,
    "mobile_number": _mobile_number,
    "auth_type": forms.string,
}
CREATE = fields("name email_address password", **_RULES, password=forms.string)
UPDATE = fields(
    refuse_unknown=True,
    **_RULES,
    current_session_id=forms.nullable(forms.uuid),
    email_access_validated_at=forms.moment,
    take_part_in_research=forms.boolean,
    receives_new_features_email=forms.boolean,
    platform_admin=forms.boolean,
    updated_by=forms.uuid,
)
EMAIL = fields("email", email=forms.email)
_PERMISSION = {
    "type": "array",
    "items": {"type": "object", "properties": {"permission": forms.STRING}, "required": ["permission"]},
}
MEMBER = schema(
    "permissions",
    closed=True,
    permissions=_PERMISSION,
    folder_permissions={"type": "array", "items": forms.UUID},
)


_PERIODS: Final = {
    "created_start": "created_from_time",
    "created_end": "created_before_time",
    "logged_in_start": "logged_in_from_time",
    "logged_in_end": "logged_in_before_time",
}
_DATES: Final[dict[str, Any]] = dict.fromkeys(_PERIODS, forms.DATE)
REPORT = schema(
    closed=True,
    first={"minProperties": 1},
    **_DATES,
    take_part_in_research={"type": ["boolean", "null"]},
)
FOUND = Shape(User, "id name email_address", mobile_number=nullable("mobile_number"))
FIND = fields("email", email=forms.string)
ORGANISATION = Shape(Organisation, "id name", count_of_live_services="live_service_count")
SERVICE_OF_USER = Shape(Service, "id name restricted", organisation=nullable("organisation_id"))
ORGANISATION_MEMBER = schema("permissions", closed=True, permissions=_PERMISSION)
_MOST_FOUND: Final = 250
_TOO_FEW = "Cannot change user permissions - service would have too few users with manage_settings"
PERMISSION_ERRORS: Rows = {"MANAGERS_NEEDED": plain(_TOO_FEW), "MEMBER_NOT_FOUND": NO_RESULT}
ARCHIVE_ERRORS: Rows = {"MANAGERS_NEEDED": plain("User cannot be removed from a service")}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("users", clients)
    users = "/user/<uuid:user_id>"

    @made.post("/user", CREATE)
    def create_user(call: Call) -> Answer:
        form = dict(call.form)
        if form.get("auth_type", "sms_auth") == "sms_auth" and not form.get("mobile_number"):
            raise InvalidForm("Mobile number must be set if auth_type is set to sms_auth")
        password = form.pop("password")
        user = USER.message(form, state="pending")
        ask = pb.CreateUserRequest(request_id=new_id(), user=user, password=password)
        return data(USER.json(clients.ask(ask).user), 201)

    made.call("GET", users, pb.GetUserRequest, USER)
    made.call("POST", f"{users}/activate", pb.ActivateUserRequest, USER)
    made.call("POST", f"{users}/reset-failed-login-count", pb.ResetFailedLoginsRequest, USER)
    made.call("POST", f"{users}/archive", pb.ArchiveUserRequest, errors=ARCHIVE_ERRORS)
    by_email: dict[str, Any] = {"form": EMAIL, "names": {"email": "email_address"}}
    made.call("POST", "/user/email", pb.GetUserByEmailRequest, USER, **by_email)
    made.call("GET", "/service/<uuid:service_id>/users", pb.ListMembersRequest, USER)
    member = "/service/<uuid:service_id>/users/<uuid:user_id>"
    made.call("DELETE", member, pb.RemoveMemberRequest)

    @made.post(users, UPDATE)
    def set_user(call: Call) -> Answer:
        form = dict(call.form)
        if form.pop("platform_admin", False):
            raise InvalidForm({"platform_admin": ["Cannot set platform_admin to True"]})
        updated_by_id = form.pop("updated_by", "")
        mask: FieldMask = USER.mask(form)
        if not mask.paths:
            return data(USER.json(clients.ask(pb.GetUserRequest(**call.path)).user))
        user = USER.message(form, id=call.id("user_id"))
        ask = pb.SetUserRequest(user=user, update_mask=mask, updated_by_id=updated_by_id)
        return data(USER.json(clients.ask(ask).user))

    already = {"ALREADY_MEMBER": plain("User id: {user_id} already part of service id: {service_id}")}

    def refuse_member(call: Call) -> None:
        user = clients.ask(pb.GetUserRequest(user_id=call.id("user_id"))).user
        if call.id("service_id") in _ids(list(user.access.services)):
            raise NotifyError("ALREADY_MEMBER")

    def wanted(call: Call) -> dict[str, Any]:
        folder_ids = call.form.get("folder_permissions", [])
        return {**call.path, "permissions": permissions_of(call), "folder_ids": folder_ids}

    @made.post(member, MEMBER, already, refuse_member)
    def add_member(call: Call) -> Answer:
        clients.ask(pb.AddMemberRequest(**wanted(call), must_be_new=True))
        service = clients.ask(GetServiceRequest(service_id=call.id("service_id"))).service
        return data(SERVICE.json(service), 201)

    @made.post(f"{users}/service/<uuid:service_id>/permission", MEMBER, PERMISSION_ERRORS)
    def set_permissions(call: Call) -> Answer:
        sets = "folder_permissions" in call.form
        clients.ask(pb.SetMemberPermissionsRequest(**wanted(call), set_folders=sets))
        return nothing()

    @made.post(
        f"{users}/organisation/<uuid:organisation_id>/permissions", ORGANISATION_MEMBER, PERMISSION_ERRORS
    )
    def set_organisation_permissions(call: Call) -> Answer:
        ask = organisations_pb.SetOrganisationPermissionsRequest
        clients.ask(ask(**call.path, permissions=permissions_of(call)))
        return nothing()

    @made.post("/user/find-users-by-email", FIND)
    def find_users(call: Call) -> Answer:
        ask = pb.ListUsersRequest(email_part=call.form["email"], page_size=_MOST_FOUND)
        return data(FOUND.list(clients.ask(ask).users))

    @made.get(f"{users}/organisations-and-services")
    def list_organisations_and_services(call: Call) -> Answer:
        user = clients.ask(pb.GetUserRequest(**call.path)).user
        mine = ListServicesRequest(**call.path, only_active=True)
        organisations = [
            clients.ask(organisations_pb.GetOrganisationRequest(organisation_id=one.id)).organisation
            for one in user.access.organisations
        ]
        services = SERVICE_OF_USER.list(clients.all(mine))
        return bare({"organisations": ORGANISATION.list(organisations), "services": services})

    @made.post("/platform-admin/users-list", REPORT)
    def list_users(call: Call) -> Answer:
        ask = pb.ListUsersRequest(
            only_active=True, take_part_in_research=call.form.get("take_part_in_research")
        )
        for name, field in _PERIODS.items():
            if day := call.form.get(name):
                # the last day belongs to the period
                later = timedelta(days=name.endswith("_end"))
                getattr(ask, field).FromDatetime(datetime.fromisoformat(day) + later)
        names = {service.id: service.name for service in clients.all(ListServicesRequest(only_active=True))}
        found = USER.list(clients.all(ask))
        for user in found:
            user["services"] = [
                {"id": each, "name": names[each]} for each in user["services"] if each in names
            ]
        return data(found)

    return made


def permissions_of(call: Call) -> list[str]:
    """Return the permissions that a form of MEMBER names."""
    return [item["permission"] for item in call.form["permissions"]]

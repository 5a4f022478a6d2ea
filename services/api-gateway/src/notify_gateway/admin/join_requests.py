"""Requests to join a service (internal-api.md A89 to A91)."""

from notify.admin.v1 import invitations_service_pb2 as pb
from notify.admin.v1.join_request_pb2 import JoinRequest
from notify.admin.v1.users_service_pb2 import GetUserRequest

from notify_gateway.admin.forms import NULLABLE_TEXT, STRING, UUID, schema
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare, new_id, plain
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.clients import InternalClients

JOIN_REQUEST = Shape(
    JoinRequest,
    "id service_id status",
    created_at="create_time",
    reason=nullable("reason"),
    status_changed_at="status_changed_time",
    contacted_service_users="contacted_user_ids",
)
_IDS = {"type": "array", "items": UUID}
CREATE = schema(
    "requester_id contacted_user_ids invite_link_host",
    closed=True,
    requester_id=UUID,
    contacted_user_ids={**_IDS, "minItems": 1},
    invite_link_host=STRING,
    reason=NULLABLE_TEXT,
)
DECIDE = schema(
    "status_changed_by_id status",
    closed=True,
    more={"minProperties": 2},
    status={"enum": ["pending", "approved", "rejected", "cancelled"]},
    status_changed_by_id=UUID,
    permissions={"type": "array", "items": STRING},
    folder_permissions=_IDS,
    auth_type={"enum": ["sms_auth", "email_auth"]},
    reason=NULLABLE_TEXT,
)
ERRORS = {"ALREADY_MEMBER": plain("user-already-in-service")}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("join_requests", clients, ERRORS)
    all_ = "/service/<uuid:service_id>/service-join-request"
    one = f"{all_}/<uuid:join_request_id>"

    def shown(found: JoinRequest) -> Answer:
        requester = clients.ask(GetUserRequest(user_id=found.requester_id)).user
        decider: Json = None
        if found.status_changed_by_id:
            user = clients.ask(GetUserRequest(user_id=found.status_changed_by_id)).user
            decider = {"id": user.id, "name": user.name}
        asking = {
            "id": requester.id,
            "name": requester.name,
            "email_address": requester.email_address,
            "belongs_to_service": [each.id for each in requester.access.services],
        }
        return bare({**JOIN_REQUEST.json(found), "requester": asking, "status_changed_by": decider})

    @made.post(all_, CREATE)
    def create(call: Call) -> Answer:
        form = dict(call.form)
        host = form.pop("invite_link_host")
        form["reason"] = form.get("reason") or ""
        given = JoinRequest(service_id=call.id("service_id"), **form)
        ask = pb.CreateJoinRequestRequest(request_id=new_id(), join_request=given, link_host=host)
        made = clients.ask(ask).join_request
        return bare({"service_join_request_id": made.id}, 201)

    @made.get(one)
    def get(call: Call) -> Answer:
        found = clients.ask(pb.GetJoinRequestRequest(**call.path)).join_request
        return shown(found)

    @made.post(one, DECIDE)
    def decide(call: Call) -> Answer:
        form = dict(call.form)
        ask = pb.DecideJoinRequestRequest(
            **call.path,
            status=form["status"],
            decided_by_id=form["status_changed_by_id"],
            permissions=form.get("permissions", ()),
            folder_ids=form.get("folder_permissions", ()),
            auth_type=form.get("auth_type", ""),
            reason=form.get("reason") or "",
        )
        return shown(clients.ask(ask).join_request)

    return made

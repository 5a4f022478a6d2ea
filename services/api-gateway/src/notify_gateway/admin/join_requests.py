"""Requests to join a service (internal-api.md A89 to A91)."""

from typing import Any

from notify.admin.v1 import invitations_service_pb2 as pb
from notify.admin.v1.join_request_pb2 import JoinRequest
from notify.admin.v1.user_pb2 import User
from notify.admin.v1.users_service_pb2 import GetUserRequest

from notify_gateway.admin.forms import NULLABLE_TEXT, STRING, UUID, schema
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare, plain
from notify_gateway.admin.shapes import Shape, as_, nullable
from notify_gateway.clients import InternalClients

JOIN_REQUEST = Shape(
    JoinRequest,
    "id service_id status",
    created_at="create_time",
    reason=nullable("reason"),
    status_changed_at="status_changed_time",
    contacted_service_users="contacted_user_ids",
)
ASKING = Shape(JoinRequest, "requester_id contacted_user_ids reason")
CREATED = Shape(JoinRequest, service_join_request_id="id")
DECISION = Shape(
    pb.DecideJoinRequestRequest,
    "status permissions auth_type reason",
    status_changed_by_id="decided_by_id",
    folder_permissions="folder_ids",
)
REQUESTER = Shape(
    User,
    "id name email_address",
    belongs_to_service=as_("access.services", lambda found: [one.id for one in found]),
)
DECIDER = Shape(User, "id name")
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

    def user(user_id: str, shape: Shape[User]) -> Json:
        return shape.json(clients.ask(GetUserRequest(user_id=user_id)).user) if user_id else None

    def shown(found: JoinRequest) -> Answer:
        requester = user(found.requester_id, REQUESTER)
        decider = user(found.status_changed_by_id, DECIDER)
        return bare({**JOIN_REQUEST.json(found), "requester": requester, "status_changed_by": decider})

    create: dict[str, Any] = {"given": ASKING, "form": CREATE, "names": {"invite_link_host": "link_host"}}
    made.call("POST", all_, pb.CreateJoinRequestRequest, CREATED, bare, **create)

    @made.get(one)
    def get(call: Call) -> Answer:
        return shown(clients.ask(pb.GetJoinRequestRequest(**call.path)).join_request)

    @made.post(one, DECIDE)
    def decide(call: Call) -> Answer:
        return shown(clients.ask(DECISION.message(call.form, **call.path)).join_request)

    return made

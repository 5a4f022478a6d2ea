"""API keys (internal-api.md A12 to A15)."""

from typing import Any

from notify.admin.v1 import api_keys_service_pb2 as pb
from notify.admin.v1.api_key_pb2 import ApiKey
from notify_common.errors import NotifyError

from notify_gateway.admin import forms
from notify_gateway.admin.forms import fields, schema
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data, new_id, plain, under
from notify_gateway.admin.shapes import Shape, whole
from notify_gateway.clients import InternalClients

API_KEY = Shape(
    ApiKey,
    "id name key_type",
    created_by="created_by_id",
    created_at="create_time",
    updated_at="revoke_time",
    expiry_date="revoke_time",
    version=whole(lambda key: 2 if key.HasField("revoke_time") else 1),
)


def _key_type(value: Any) -> str:
    if value not in ("normal", "team", "test"):
        raise ValueError("Must be one of: normal, team, test.")
    return str(value)


CREATE = fields("name key_type created_by", name=forms.string, key_type=_key_type, created_by=forms.uuid)
REVOKE = schema(closed=True, created_by=forms.UUID)


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("api_keys", clients, {"API_KEY_NOT_FOUND": plain("No result found", 404)})
    service = "/service/<uuid:service_id>"

    made.call("GET", f"{service}/api-keys", pb.ListApiKeysRequest, API_KEY, under("apiKeys"))
    missing = {"API_KEY_NOT_FOUND": plain("API key not found for id: {service_id}", 404)}

    @made.get(f"{service}/api-keys/<uuid:key_id>", missing)
    def get_api_key(call: Call) -> Answer:
        all_ = clients.all(pb.ListApiKeysRequest(service_id=call.id("service_id")))
        found = [k for k in all_ if k.id == call.id("key_id") and not k.HasField("revoke_time")]
        if not found:
            raise NotifyError("API_KEY_NOT_FOUND")
        return bare({"apiKeys": API_KEY.list(found)})

    taken = {"NAME_TAKEN": plain("Duplicate API key name '{name}'")}

    @made.post(f"{service}/api-key", CREATE, taken)
    def create_api_key(call: Call) -> Answer:
        key = API_KEY.message(call.form, service_id=call.id("service_id"))
        return data(clients.ask(pb.CreateApiKeyRequest(request_id=new_id(), api_key=key)).secret, 201)

    revoke = f"{service}/api-key/revoke/<uuid:api_key_id>"
    made.call("POST", revoke, pb.RevokeApiKeyRequest, form=REVOKE, names={"created_by": ""}, status=202)
    return made

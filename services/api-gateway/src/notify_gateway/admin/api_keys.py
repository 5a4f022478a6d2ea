"""API keys (internal-api.md A12 to A15)."""

from typing import Any

from notify.admin.v1 import api_keys_service_pb2 as pb
from notify.admin.v1.api_key_pb2 import ApiKey
from notify_common.errors import NotifyError

from notify_gateway.admin import forms
from notify_gateway.admin.forms import fields, schema
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data, every, new_id, plain
from notify_gateway.admin.shapes import Shape, whole
from notify_gateway.auth import ClientAuthenticator
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


def routes(clients: InternalClients, client: ClientAuthenticator) -> Routes:
    """Return the routes."""
    made = Routes("api_keys", client, {"API_KEY_NOT_FOUND": plain("No result found", 404)})
    service = "/service/<uuid:service_id>"

    def list_(call: Call) -> Any:
        return every(clients.api_keys.ListApiKeys, pb.ListApiKeysRequest(service_id=call.id("service_id")))

    @made.get(f"{service}/api-keys")
    def list_api_keys(call: Call) -> Answer:
        return bare({"apiKeys": API_KEY.list(list_(call))})

    missing = {"API_KEY_NOT_FOUND": plain("API key not found for id: {service_id}", 404)}

    @made.get(f"{service}/api-keys/<uuid:key_id>", missing)
    def get_api_key(call: Call) -> Answer:
        found = [k for k in list_(call) if k.id == call.id("key_id") and not k.HasField("revoke_time")]
        if not found:
            raise NotifyError("API_KEY_NOT_FOUND")
        return bare({"apiKeys": API_KEY.list(found)})

    taken = {"NAME_TAKEN": plain("Duplicate API key name '{name}'")}

    @made.post(f"{service}/api-key", CREATE, taken)
    def create_api_key(call: Call) -> Answer:
        key = API_KEY.message(call.form, service_id=call.id("service_id"))
        ask = pb.CreateApiKeyRequest(request_id=new_id(), api_key=key)
        return data(clients.api_keys.CreateApiKey(ask).secret, 201)

    @made.post(f"{service}/api-key/revoke/<uuid:api_key_id>", REVOKE)
    def revoke_api_key(call: Call) -> Answer:
        ask = pb.RevokeApiKeyRequest(service_id=call.id("service_id"), api_key_id=call.id("api_key_id"))
        clients.api_keys.RevokeApiKey(ask)
        return bare(None, 202)

    return made

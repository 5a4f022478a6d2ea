"""Events of the web app, protected names, live counts (internal-api.md A16, A28, X3)."""

import json
from typing import Any

from notify.admin.v1 import platform_service_pb2 as pb

from notify_gateway.admin import forms
from notify_gateway.admin.forms import InvalidForm, fields
from notify_gateway.admin.routes import Answer, Call, Routes, bare
from notify_gateway.admin.shapes import Shape, as_
from notify_gateway.clients import InternalClients


def _object(value: Any) -> str:
    if not isinstance(value, dict):
        raise ValueError("Not a valid mapping type.")
    return json.dumps(value)


LIVE_COUNTS = Shape(pb.LiveCounts, "services organisations")
EVENT = Shape(pb.Event, "id", event_type="type", data=as_("data", json.loads), created_at="create_time")
RECORD = fields("event_type data", event_type=forms.string, data=_object)


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("platform", clients)

    @made.get("/protected-sender-id/check")
    def check_sender_id(call: Call) -> Answer:
        if not (sender_id := call.query("sender_id")):
            raise InvalidForm("sender_id must be passed in")
        ask = pb.GetSenderIdProtectionRequest(sender_id=sender_id)
        return bare(clients.ask(ask).sender_id_protection.protected)

    made.call("POST", "/events", pb.RecordEventRequest, EVENT, form=RECORD, status=201)
    return made


def open_routes(clients: InternalClients) -> Routes:
    """Return the route that needs no token (public-api.md §10)."""
    made = Routes("platform_open", clients)

    path = "/_status/live-service-and-organisation-counts"
    made.call("GET", path, pb.GetLiveCountsRequest, LIVE_COUNTS, bare)
    return made

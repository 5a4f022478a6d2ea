"""What services were told of over HTTP, telling them again, and what calls are signed with.

The original has none of it; shapes follow those of its other internal routes.
"""

from typing import Final

from notify.admin.v1 import service_settings_service_pb2 as settings_pb
from notify.notifications.v1 import callbacks_service_pb2 as pb
from notify_common.rpc import enums

from notify_gateway.admin import forms
from notify_gateway.admin.forms import InvalidForm, fields, list_of
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data
from notify_gateway.admin.shapes import Shape, each, nullable
from notify_gateway.clients import InternalClients
from notify_gateway.errors import BAD_REQUEST

_KEYS: Final = {
    **{name: name for name in forms.words("id service_id subject_id state attempt_count")},
    "callback_type": "type",
    "created_at": "create_time",
    "completed_at": "end_time",
    "next_attempt_at": "next_attempt_time",
}
ATTEMPT = Shape(
    pb.CallbackAttempt,
    "number",
    started_at="start_time",
    completed_at="end_time",
    status=nullable("status"),
    failure=nullable("failure"),
)
CALLBACKS = Shape(
    pb.ListCallbacksResponse, "next_page_token", callbacks=each("callbacks", Shape(pb.Callback, **_KEYS))
)
CALLBACK = Shape(
    pb.GetCallbackResponse,
    attempts=each("attempts", ATTEMPT),
    **{name: f"callback.{path}" for name, path in _KEYS.items()},
)
REPLAY = Shape(
    pb.ReplayCallbacksRequest,
    "callback_ids with_delivered page_token",
    start="start_time",
    end="end_time",
    callback_type="type",
)
REPLAYED = Shape(pb.ReplayCallbacksResponse, "replayed_count next_page_token")
SECRET = Shape(settings_pb.RotateCallbackSecretResponse, "signing_secret", previous_until="previous_end_time")
_MOST_IDS: Final = 500

REPLAY_FORM = fields(
    callback_ids=list_of(forms.uuid),
    start=forms.moment,
    end=forms.moment,
    callback_type=forms.string,
    with_delivered=forms.boolean,
    page_token=forms.string,
)
SECRET_FORM = fields("callback_type updated_by_id", callback_type=forms.string, updated_by_id=forms.uuid)


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("callbacks", clients)
    all_ = "/service/<uuid:service_id>/callbacks"

    @made.get(all_)
    def list_callbacks(call: Call) -> Answer:
        state = call.query("state")
        try:
            ask = pb.ListCallbacksRequest(
                service_id=call.id("service_id"),
                type=call.query("callback_type"),
                subject_id=call.query("subject_id"),
                state=enums.from_text(pb.Callback.State, state) if state else 0,  # type: ignore[arg-type] # of the enum
                page_token=call.query("page_token"),
            )
        except ValueError:
            raise InvalidForm(BAD_REQUEST) from None
        return bare(CALLBACKS.json(clients.ask(ask)))

    made.call("GET", f"{all_}/<uuid:id>", pb.GetCallbackRequest, CALLBACK, names={"id": "callback_id"})

    @made.post(f"{all_}/replay", REPLAY_FORM)
    def replay_callbacks(call: Call) -> Answer:
        form = call.form
        ids = form.get("callback_ids", [])
        if len(ids) > _MOST_IDS or not (ids or {"start", "end"} <= form.keys()):
            raise InvalidForm({"_schema": [f"Give at most {_MOST_IDS} callback_ids, or start and end."]})
        ask = REPLAY.message(form, service_id=call.id("service_id"))
        return data(REPLAYED.json(clients.ask(ask)))

    rotation = "/service/<uuid:service_id>/callback-api/<uuid:id>/signing-secret"
    ask, names = settings_pb.RotateCallbackSecretRequest, {"id": "callback_id", "callback_type": "type"}
    made.call("POST", rotation, ask, SECRET, form=SECRET_FORM, names=names, status=201)
    return made

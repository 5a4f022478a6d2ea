"""What services were told of over HTTP, telling them again, and what calls are signed with.

The original has none of it; shapes follow those of its other internal routes.
"""

from datetime import datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from notify.admin.v1 import service_settings_service_pb2 as settings_pb
from notify.notifications.v1 import callbacks_service_pb2 as pb
from notify_common.rpc import enums

from notify_gateway.admin import forms
from notify_gateway.admin.forms import InvalidForm, fields, list_of
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data, new_id
from notify_gateway.admin.shapes import z_time
from notify_gateway.clients import InternalClients
from notify_gateway.errors import BAD_REQUEST

_STATES: Final = pb.Callback.State
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
                state=enums.from_text(_STATES, state) if state else 0,  # type: ignore[arg-type] # of the enum
                page_token=call.query("page_token"),
            )
        except ValueError:
            raise InvalidForm(BAD_REQUEST) from None
        page = clients.ask(ask)
        return bare(
            {"callbacks": list(map(_callback, page.callbacks)), "next_page_token": page.next_page_token}
        )

    @made.get(f"{all_}/<uuid:id>")
    def get_callback(call: Call) -> Answer:
        ask = pb.GetCallbackRequest(service_id=call.id("service_id"), callback_id=call.id("id"))
        found = clients.ask(ask)
        return data({**_callback(found.callback), "attempts": list(map(_attempt, found.attempts))})

    @made.post(f"{all_}/replay", REPLAY_FORM)
    def replay_callbacks(call: Call) -> Answer:
        form = call.form
        ids = form.get("callback_ids", [])
        if len(ids) > _MOST_IDS or not (ids or {"start", "end"} <= form.keys()):
            raise InvalidForm({"_schema": [f"Give at most {_MOST_IDS} callback_ids, or start and end."]})
        ask = pb.ReplayCallbacksRequest(
            service_id=call.id("service_id"),
            callback_ids=ids,
            start_time=_timestamp(form.get("start")),
            end_time=_timestamp(form.get("end")),
            type=form.get("callback_type", ""),
            with_delivered=form.get("with_delivered", False),
            page_token=form.get("page_token", ""),
        )
        done = clients.ask(ask)
        return data({"replayed_count": done.replayed_count, "next_page_token": done.next_page_token})

    @made.post("/service/<uuid:service_id>/callback-api/<uuid:id>/signing-secret", SECRET_FORM)
    def rotate_signing_secret(call: Call) -> Answer:
        ask = settings_pb.RotateCallbackSecretRequest(
            request_id=new_id(),
            service_id=call.id("service_id"),
            callback_id=call.id("id"),
            type=call.form["callback_type"],
            updated_by_id=call.form["updated_by_id"],
        )
        made = clients.ask(ask)
        secret = {"signing_secret": made.signing_secret, "previous_until": _time(made, "previous_end_time")}
        return data(secret, 201)

    return made


def _callback(found: pb.Callback) -> dict[str, Any]:
    return {
        "id": found.id,
        "service_id": found.service_id,
        "callback_type": found.type,
        "subject_id": found.subject_id,
        "state": enums.to_text(_STATES, found.state),
        "created_at": _time(found, "create_time"),
        "completed_at": _time(found, "end_time"),
        "next_attempt_at": _time(found, "next_attempt_time"),
        "attempt_count": found.attempt_count,
    }


def _attempt(found: pb.CallbackAttempt) -> dict[str, Any]:
    return {
        "number": found.number,
        "started_at": _time(found, "start_time"),
        "completed_at": _time(found, "end_time"),
        "status": found.status or None,
        "failure": found.failure or None,
    }


def _time(message: Any, name: str) -> str | None:
    return z_time(getattr(message, name)) if message.HasField(name) else None


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made

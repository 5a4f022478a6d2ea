"""What services send from, and what else is set up (internal-api.md A17 to A20, A23 to A44)."""

from typing import Any, Final

from notify.admin.v1 import service_pb2, service_setting_pb2
from notify.admin.v1 import service_settings_service_pb2 as setting_pb
from notify.admin.v1 import services_service_pb2 as pb
from notify_common.errors import NotifyError

from notify_gateway.admin import forms
from notify_gateway.admin.forms import BOOLEAN, EMAIL, HTTPS, INTEGER, STRING, UUID, Form, fields, schema
from notify_gateway.admin.routes import Answer, Call, Routes, Wrap, bare, data, new_id, nothing, plain
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.clients import InternalClients
from notify_gateway.errors import Choice, Rows

_TIMES = {"created_at": "create_time", "updated_at": "update_time"}

SMS_SENDER = Shape(
    service_pb2.SmsSender,
    "id service_id is_default archived",
    sms_sender="sender",
    inbound_number_id=nullable("inbound_number_id"),
    **_TIMES,
)
REPLY_TO = Shape(service_pb2.ReplyToAddress, "id service_id email_address is_default archived", **_TIMES)
LETTER_CONTACT = Shape(service_pb2.LetterContact, "id service_id contact_block is_default archived", **_TIMES)

SMS_SENDER_FORM = schema("sms_sender is_default", sms_sender=STRING, is_default=BOOLEAN)
REPLY_TO_FORM = schema("email_address is_default", email_address=EMAIL, is_default=BOOLEAN)
VERIFY_FORM = fields("email", email=forms.email)
VERIFICATION = Shape(setting_pb.VerifyReplyToResponse, id="notification_id")
LETTER_CONTACT_FORM = schema("contact_block is_default", contact_block=STRING, is_default=BOOLEAN)

SMS_SENDER_ERRORS: Rows = {
    "INBOUND_NUMBER_FIXED": plain("You can not change the inbound number for service {service_id}"),
    "DEFAULT_NEEDED": plain("You must have at least one SMS sender as the default."),
}
ARCHIVE_ERRORS: Rows = {
    "INBOUND_NUMBER_FIXED": plain("You cannot delete an inbound number"),
    "DEFAULT_SENDER": plain("You cannot delete a default sms sender"),
}
REPLY_TO_ERRORS: Rows = {
    "NAME_TAKEN": plain("‘{email_address}’ is already a reply-to email address for this service.", 409),
    "DEFAULT_NEEDED": plain("You must have at least one reply to email address as the default."),
    "DEFAULT_SENDER": plain("You cannot delete a default email reply to address"),
}

VERIFY_ERRORS: Rows = {
    "NAME_TAKEN": plain("‘{email}’ is already a reply-to email address for this service.", 409)
}

DATA_RETENTION = Shape(
    service_setting_pb2.DataRetention,
    "id service_id",
    notification_type="channel",
    days_of_retention="days",
    **_TIMES,
)
_CHANNEL = {"enum": ["sms", "letter", "email"]}
DATA_RETENTION_FORM = schema(
    "notification_type days_of_retention", days_of_retention=INTEGER, notification_type=_CHANNEL
)
DAYS_FORM = schema("days_of_retention", days_of_retention=INTEGER)
_NO_RETENTION = "The service data retention for id: {id} was not found for service: {service_id}"
DATA_RETENTION_ERRORS: Rows = {
    "NAME_TAKEN": plain("Service already has data retention for {notification_type} notification type"),
    "SETTING_NOT_FOUND": plain(_NO_RETENTION, 404),
}

CALLBACK_SHAPE = Shape(service_setting_pb2.Callback, "id service_id url updated_by_id", **_TIMES)
CALLBACK = Shape(service_setting_pb2.Callback, "url updated_by_id", callback_type="type")
_CALLBACK_KEYS: dict[str, Any] = {
    "url": HTTPS,
    "bearer_token": {"type": "string", "minLength": 10},
    "updated_by_id": UUID,
    "callback_type": {"enum": ["delivery_status", "inbound_sms", "returned_letter", "complaint"]},
}
CALLBACK_FORM = schema("url bearer_token updated_by_id", **_CALLBACK_KEYS)
CALLBACK_UPDATE_FORM = schema("updated_by_id callback_type", **_CALLBACK_KEYS)
DEFAULT_CALLBACK_TYPE: Final = "delivery_status"
CALLBACK_ERRORS: Rows = {"NAME_TAKEN": plain("Service already has a {callback_type} callback")}
DELETE_CALLBACK_ERRORS: Rows = {
    "SETTING_NOT_FOUND": Choice(
        "type",
        {
            "inbound_sms": plain("Service inbound API not found", 404),
            "returned_letter": plain("Service returned letter API not found", 404),
        },
        plain("Service delivery receipt API not found", 404),
    )
}


def routes(clients: InternalClients) -> Routes:
    """Return the routes of the three kinds."""
    made = Routes("settings", clients)
    _setting(made, "sms-sender", SMS_SENDER, SMS_SENDER_FORM, bare, SMS_SENDER_ERRORS, ARCHIVE_ERRORS)
    _setting(made, "email-reply-to", REPLY_TO, REPLY_TO_FORM, data, REPLY_TO_ERRORS, REPLY_TO_ERRORS)
    _setting(made, "letter-contact", LETTER_CONTACT, LETTER_CONTACT_FORM, data)
    verify = "/service/<uuid:service_id>/email-reply-to/verify"
    more: dict[str, Any] = {"errors": VERIFY_ERRORS, "names": {"email": "email_address"}, "status": 201}
    made.call("POST", verify, setting_pb.VerifyReplyToRequest, VERIFICATION, form=VERIFY_FORM, **more)
    _data_retention(made, clients)
    _callbacks(made, clients)
    return made


def _data_retention(made: Routes, clients: InternalClients) -> None:
    all_ = "/service/<uuid:service_id>/data-retention"
    one = f"{all_}/<uuid:id>"

    def of_service(call: Call) -> list[Any]:
        service_id = call.id("service_id")
        found = clients.all(setting_pb.ListDataRetentionRequest(service_id=service_id))
        name = clients.ask(pb.GetServiceRequest(service_id=service_id)).service.name
        return [{**DATA_RETENTION.json(each), "service_name": name} for each in found]

    @made.get(all_)
    def list_data_retention(call: Call) -> Answer:
        return bare(of_service(call))

    def first(call: Call, **wanted: str) -> Answer:
        return bare(next((each for each in of_service(call) if wanted.items() <= each.items()), {}))

    @made.get(one)
    def get_data_retention(call: Call) -> Answer:
        return first(call, id=call.id("id"))

    @made.get(f"{all_}/notification-type/<channel>")
    def get_of_channel(call: Call) -> Answer:
        return first(call, notification_type=call.id("channel"))

    @made.post(all_, DATA_RETENTION_FORM, DATA_RETENTION_ERRORS)
    def create_data_retention(call: Call) -> Answer:
        given = DATA_RETENTION.message(call.form, service_id=call.id("service_id"))
        ask = setting_pb.CreateDataRetentionRequest(request_id=new_id(), data_retention=given)
        created = clients.ask(ask).data_retention
        return bare({"result": next(each for each in of_service(call) if each["id"] == created.id)}, 201)

    days: dict[str, Any] = {"given": DATA_RETENTION, "form": DAYS_FORM, "errors": DATA_RETENTION_ERRORS}
    made.call("POST", one, setting_pb.SetDataRetentionRequest, **days)


def _callbacks(made: Routes, clients: InternalClients) -> None:
    all_ = "/service/<uuid:service_id>/callback-api"
    one = f"{all_}/<uuid:id>"

    def keys(call: Call) -> dict[str, str]:
        kind = call.query("callback_type")
        return {"service_id": call.id("service_id"), "callback_id": call.id("id"), "type": kind}

    def given(call: Call, **ids: str) -> dict[str, Any]:
        form = {"callback_type": DEFAULT_CALLBACK_TYPE, **call.form}
        token = form.pop("bearer_token", None) or ""
        callback = CALLBACK.message(form, service_id=call.id("service_id"), **ids)
        return {"callback": callback, "bearer_token": token}

    @made.post(all_, CALLBACK_FORM, CALLBACK_ERRORS)
    def create_callback(call: Call) -> Answer:
        ask = setting_pb.CreateCallbackRequest(request_id=new_id(), **given(call))
        return data(CALLBACK_SHAPE.json(clients.ask(ask).callback), 201)

    @made.post(one, CALLBACK_UPDATE_FORM, CALLBACK_ERRORS)
    def set_callback(call: Call) -> Answer:
        ask = setting_pb.SetCallbackRequest(**given(call, id=call.id("id")))
        return data(CALLBACK_SHAPE.json(clients.ask(ask).callback))

    @made.get(one)
    def get_callback(call: Call) -> Answer:
        return data(CALLBACK_SHAPE.json(clients.ask(setting_pb.GetCallbackRequest(**keys(call))).callback))

    @made.delete(one, DELETE_CALLBACK_ERRORS)
    def delete_callback(call: Call) -> Answer:
        try:
            clients.ask(setting_pb.DeleteCallbackRequest(**keys(call)))
        except NotifyError as error:
            error.metadata = {"type": call.query("callback_type"), **error.metadata}
            raise
        return nothing()


def _setting(
    made: Routes,
    name: str,
    shape: Shape[Any],
    form: Form,
    wrap: Wrap,
    errors: Rows | None = None,
    archive_errors: Rows | None = None,
) -> None:
    """Add the routes that list, get, create, change and archive one kind; `wrap` answers the created and the
    changed one.
    """
    kind = shape.descriptor.name
    plural = f"{kind}es" if kind.endswith("s") else f"{kind}s"
    key = {"SmsSender": "sms_sender", "ReplyToAddress": "reply_to_address"}.get(kind, "letter_contact")
    all_ = f"/service/<uuid:service_id>/{name}"
    one = f"{all_}/<uuid:{key}_id>"

    def request(verb: str, noun: str = kind) -> Any:
        return getattr(pb, f"{verb}{noun}Request")

    made.call("GET", all_, request("List", plural), shape, bare)
    made.call("GET", one, request("Get"), shape, bare)
    made.call("POST", all_, request("Create"), shape, wrap, form=form, errors=errors)
    made.call("POST", one, request("Set"), shape, wrap, form=form, errors=errors)
    made.call("POST", f"{one}/archive", request("Archive"), shape, errors=archive_errors)

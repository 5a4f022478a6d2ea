"""What services send from: reply-to addresses, contact blocks, text senders (internal-api.md A29 to A44)."""

from collections.abc import Callable
from typing import Any

from notify.admin.v1 import service_pb2
from notify.admin.v1 import services_service_pb2 as pb

from notify_gateway.admin.forms import BOOLEAN, EMAIL, STRING, Form, schema
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data, every, new_id, plain
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import Clients
from notify_gateway.errors import Rows

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

Wrap = Callable[[Any, int], Answer]


def routes(clients: Clients, client: ClientAuthenticator) -> Routes:
    """The routes of the three kinds."""
    made = Routes("settings", client)
    _setting(
        made, clients, "sms-sender", SMS_SENDER, SMS_SENDER_FORM, bare, SMS_SENDER_ERRORS, ARCHIVE_ERRORS
    )
    _setting(made, clients, "email-reply-to", REPLY_TO, REPLY_TO_FORM, data, REPLY_TO_ERRORS, REPLY_TO_ERRORS)
    _setting(made, clients, "letter-contact", LETTER_CONTACT, LETTER_CONTACT_FORM, data)
    return made


def _setting(
    made: Routes,
    clients: Clients,
    name: str,
    shape: Shape[Any],
    form: Form,
    wrap: Wrap,
    errors: Rows | None = None,
    archive_errors: Rows | None = None,
) -> None:
    """List, get, create, change and archive one kind; `wrap` answers the created and the changed one."""
    kind = shape.descriptor.name
    plural = f"{kind}es" if kind.endswith("s") else f"{kind}s"
    snake = {"SmsSender": "sms_sender", "ReplyToAddress": "reply_to_address"}.get(kind, "letter_contact")
    all_, one = f"/service/<uuid:service_id>/{name}", f"/service/<uuid:service_id>/{name}/<uuid:id>"

    def rpc(verb: str, **fields: Any) -> Any:
        answer = getattr(clients.services, f"{verb}{kind}")(getattr(pb, f"{verb}{kind}Request")(**fields))
        return shape.json(getattr(answer, snake))

    @made.get(all_)
    def list_(call: Call) -> Answer:
        ask = getattr(pb, f"List{plural}Request")(service_id=call.id("service_id"))
        return bare(shape.list(every(getattr(clients.services, f"List{plural}"), ask)))

    @made.get(one)
    def get(call: Call) -> Answer:
        return bare(rpc("Get", **{"service_id": call.id("service_id"), f"{snake}_id": call.id("id")}))

    @made.post(all_, form, errors)
    def create(call: Call) -> Answer:
        given = shape.message(call.form, service_id=call.id("service_id"))
        return wrap(rpc("Create", request_id=new_id(), **{snake: given}), 201)

    @made.post(one, form, errors)
    def change(call: Call) -> Answer:
        given = shape.message(call.form, service_id=call.id("service_id"), id=call.id("id"))
        return wrap(rpc("Set", **{snake: given}), 200)

    @made.post(f"{one}/archive", errors=archive_errors)
    def archive(call: Call) -> Answer:
        return data(rpc("Archive", **{"service_id": call.id("service_id"), f"{snake}_id": call.id("id")}))

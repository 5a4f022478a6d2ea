"""Numbers that services receive texts at (internal-api.md A45 to A50)."""

from notify.admin.v1 import inbound_numbers_service_pb2 as pb
from notify.admin.v1 import services_service_pb2
from notify.admin.v1.inbound_number_pb2 import InboundNumber

from notify_gateway.admin.forms import BOOLEAN, fields, nullable, schema, uuid
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare, data, every, nothing
from notify_gateway.admin.settings import SMS_SENDER
from notify_gateway.admin.shapes import Shape
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import Clients

ASSIGN = fields(inbound_number_id=nullable(lambda value: value and uuid(value)))
RELEASE = schema("archive", closed=True, archive=BOOLEAN)
NUMBER = Shape(InboundNumber, "id number provider active", created_at="create_time", updated_at="update_time")


def routes(clients: Clients, client: ClientAuthenticator) -> Routes:
    """Return the routes."""
    made = Routes("inbound", client)

    def found(**asked: object) -> list[Json]:
        ask = pb.ListInboundNumbersRequest(**asked)  # type: ignore[arg-type] # of its fields
        numbers = every(clients.inbound_numbers.ListInboundNumbers, ask)
        return [
            {**NUMBER.json(number), "service": _service(clients, number.service_id)} for number in numbers
        ]

    @made.get("/inbound-number")
    def list_numbers(call: Call) -> Answer:
        return data(found())

    @made.get("/inbound-number/available")
    def list_available(call: Call) -> Answer:
        return data(found(only_available=True))

    @made.get("/inbound-number/service/<uuid:service_id>")
    def get_of_service(call: Call) -> Answer:
        return data(next(iter(found(service_id=call.id("service_id"))), {}))

    @made.post("/inbound-number/service/<uuid:service_id>", ASSIGN)
    def assign(call: Call) -> Answer:
        ask = pb.AssignInboundNumberRequest(
            service_id=call.id("service_id"),
            inbound_number_id=call.form.get("inbound_number_id") or "",
        )
        return bare(SMS_SENDER.json(clients.inbound_numbers.AssignInboundNumber(ask).sms_sender), 201)

    @made.post("/inbound-number/service/<uuid:service_id>/off")
    def disable(call: Call) -> Answer:
        ask = pb.DisableInboundNumberRequest(service_id=call.id("service_id"))
        clients.inbound_numbers.DisableInboundNumber(ask)
        return nothing()

    @made.post("/service/<uuid:service_id>/inbound-sms/remove", RELEASE)
    def release(call: Call) -> Answer:
        ask = pb.ReleaseInboundNumberRequest(service_id=call.id("service_id"), retire=call.form["archive"])
        clients.inbound_numbers.ReleaseInboundNumber(ask)
        return bare({})

    return made


def _service(clients: Clients, service_id: str) -> Json:
    if not service_id:
        return None
    ask = services_service_pb2.GetServiceRequest(service_id=service_id)
    return {"id": service_id, "name": clients.services.GetService(ask).service.name}

"""Numbers that services receive texts at (internal-api.md A45 to A47)."""

from notify.admin.v1 import inbound_numbers_service_pb2 as pb
from notify.admin.v1 import services_service_pb2
from notify.admin.v1.inbound_number_pb2 import InboundNumber

from notify_gateway.admin.routes import Answer, Call, Json, Routes, data, every
from notify_gateway.admin.shapes import Shape
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import Clients

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

    return made


def _service(clients: Clients, service_id: str) -> Json:
    if not service_id:
        return None
    ask = services_service_pb2.GetServiceRequest(service_id=service_id)
    return {"id": service_id, "name": clients.services.GetService(ask).service.name}

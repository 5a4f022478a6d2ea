"""Numbers that services receive texts at, and the texts (internal-api.md A45 to A50, B28 to B32)."""

from typing import Any, Final

from flask import abort
from notify.admin.v1 import inbound_numbers_service_pb2 as pb
from notify.admin.v1 import services_service_pb2
from notify.admin.v1.inbound_number_pb2 import InboundNumber
from notify.notifications.v1 import inbound_sms_service_pb2 as texts_pb

from notify_gateway.admin.forms import BOOLEAN, STRING, fields, nullable, schema, uuid
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare, data
from notify_gateway.admin.settings import SMS_SENDER
from notify_gateway.admin.shapes import Shape, http_time
from notify_gateway.admin.usage import naive_time
from notify_gateway.clients import InternalClients
from notify_gateway.public.received_texts import received_text

ASSIGN = fields(inbound_number_id=nullable(lambda value: value and uuid(value)))
OF_ONE = schema(phone_number=STRING)
TEXTS_OF_A_PAGE: Final = 50
MOST_PAGES: Final = 200
RELEASE = schema("archive", closed=True, archive=BOOLEAN)
NUMBER = Shape(InboundNumber, "id number provider active", created_at="create_time", updated_at="update_time")


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("inbound", clients)

    def found(**asked: Any) -> list[Json]:
        numbers = clients.all(pb.ListInboundNumbersRequest(**asked))
        return [
            {**NUMBER.json(number), "service": _service(clients, number.service_id)} for number in numbers
        ]

    def summary(call: Call) -> Any:
        ask = texts_pb.GetInboundSmsSummaryRequest(service_id=call.id("service_id"))
        return clients.ask(ask).inbound_sms_summary

    @made.get("/inbound-number")
    def list_numbers(call: Call) -> Answer:
        return data(found())

    @made.get("/inbound-number/available")
    def list_available(call: Call) -> Answer:
        return data(found(only_available=True))

    @made.get("/inbound-number/service/<uuid:service_id>")
    def get_of_service(call: Call) -> Answer:
        return data(next(iter(found(service_id=call.id("service_id"))), {}))

    of_number = "/inbound-number/service/<uuid:service_id>"
    assigned: dict[str, Any] = {"form": ASSIGN, "status": 201}
    made.call("POST", of_number, pb.AssignInboundNumberRequest, SMS_SENDER, bare, **assigned)
    made.call("POST", f"{of_number}/off", pb.DisableInboundNumberRequest)

    @made.post("/service/<uuid:service_id>/inbound-sms/remove", RELEASE)
    def release(call: Call) -> Answer:
        ask = pb.ReleaseInboundNumberRequest(service_id=call.id("service_id"), retire=call.form["archive"])
        clients.ask(ask)
        return bare({})

    of_service = "/service/<uuid:service_id>/inbound-sms"

    @made.post(of_service, OF_ONE)
    def list_texts(call: Call) -> Answer:
        ask = texts_pb.ListInboundSmsRequest(
            service_id=call.id("service_id"), user_number=call.form.get("phone_number", "")
        )
        return data([received_text(text) for text in clients.all(ask)])

    @made.get(f"{of_service}/most-recent")
    def list_latest(call: Call) -> Answer:
        number = call.query("page") or "1"
        if not (number.isascii() and number.isdecimal() and 1 <= int(number) <= MOST_PAGES):
            abort(404)
        ask = texts_pb.ListLatestInboundSmsRequest(
            service_id=call.id("service_id"), page_size=TEXTS_OF_A_PAGE
        )
        for _ in range(int(number) - 1):
            ask.page_token = clients.ask(ask).next_page_token
            if not ask.page_token:
                abort(404)
        page = clients.ask(ask)
        return bare(
            {
                "data": [received_text(text) for text in page.inbound_sms],
                "has_next": bool(page.next_page_token),
            }
        )

    @made.get(f"{of_service}/summary")
    def get_summary(call: Call) -> Answer:
        found = summary(call)
        latest = naive_time(found.latest_time) if found.HasField("latest_time") else None
        return bare({"count": found.count, "most_recent": latest})

    @made.get(f"{of_service}/most-recent-usage")
    def get_latest_use(call: Call) -> Answer:
        if not found(service_id=call.id("service_id")):
            return bare({"message": "inbound not found"}, 404)
        texts = summary(call)
        latest = http_time(texts.latest_time) if texts.HasField("latest_time") else None
        return bare({"most_recent_date": latest})

    @made.get(f"{of_service}/<uuid:inbound_sms_id>")
    def get_text(call: Call) -> Answer:
        ask = texts_pb.GetInboundSmsRequest(
            service_id=call.id("service_id"), inbound_sms_id=call.id("inbound_sms_id")
        )
        return bare(received_text(clients.ask(ask).inbound_sms))

    return made


def _service(clients: InternalClients, service_id: str) -> Json:
    if not service_id:
        return None
    ask = services_service_pb2.GetServiceRequest(service_id=service_id)
    return {"id": service_id, "name": clients.ask(ask).service.name}

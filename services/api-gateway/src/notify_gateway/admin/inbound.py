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
from notify_gateway.admin.shapes import Shape, as_, http_time
from notify_gateway.admin.usage import naive_time
from notify_gateway.clients import InternalClients

ASSIGN = fields(inbound_number_id=nullable(lambda value: value and uuid(value)))
OF_ONE = schema(phone_number=STRING)
TEXTS_OF_A_PAGE: Final = 50
MOST_PAGES: Final = 200
RELEASE = schema("archive", closed=True, archive=BOOLEAN)
RELEASED = Shape(pb.ReleaseInboundNumberResponse)
TEXT = Shape(texts_pb.InboundSms, "id service_id notify_number user_number content", created_at="create_time")
SUMMARY = Shape(texts_pb.InboundSmsSummary, "count", most_recent=as_("latest_time", naive_time))
LATEST_USE = Shape(texts_pb.InboundSmsSummary, most_recent_date=as_("latest_time", http_time))
NUMBER = Shape(InboundNumber, "id number provider active", created_at="create_time", updated_at="update_time")


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("inbound", clients)

    def found(**asked: Any) -> list[Json]:
        numbers = clients.all(pb.ListInboundNumbersRequest(**asked))
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

    of_number = "/inbound-number/service/<uuid:service_id>"
    assigned: dict[str, Any] = {"form": ASSIGN, "status": 201}
    made.call("POST", of_number, pb.AssignInboundNumberRequest, SMS_SENDER, bare, **assigned)
    made.call("POST", f"{of_number}/off", pb.DisableInboundNumberRequest)

    of_service, summary = "/service/<uuid:service_id>/inbound-sms", texts_pb.GetInboundSmsSummaryRequest
    texts: dict[str, Any] = {"form": OF_ONE, "names": {"phone_number": "user_number"}}
    release: dict[str, Any] = {"form": RELEASE, "names": {"archive": "retire"}}
    made.call("POST", of_service, texts_pb.ListInboundSmsRequest, TEXT, **texts)
    made.call("GET", f"{of_service}/<uuid:inbound_sms_id>", texts_pb.GetInboundSmsRequest, TEXT, bare)
    made.call("GET", f"{of_service}/summary", summary, SUMMARY, bare)
    made.call("POST", f"{of_service}/remove", pb.ReleaseInboundNumberRequest, RELEASED, bare, **release)

    @made.get(f"{of_service}/most-recent")
    def list_latest(call: Call) -> Answer:
        number = call.query("page") or "1"
        if not (number.isascii() and number.isdecimal() and 1 <= int(number) <= MOST_PAGES):
            abort(404)
        ask = texts_pb.ListLatestInboundSmsRequest(**call.path, page_size=TEXTS_OF_A_PAGE)
        for _ in range(int(number) - 1):
            ask.page_token = clients.ask(ask).next_page_token
            if not ask.page_token:
                abort(404)
        page = clients.ask(ask)
        return bare({"data": TEXT.list(page.inbound_sms), "has_next": bool(page.next_page_token)})

    @made.get(f"{of_service}/most-recent-usage")
    def get_latest_use(call: Call) -> Answer:
        if not found(service_id=call.id("service_id")):
            return bare({"message": "inbound not found"}, 404)
        return bare(LATEST_USE.json(clients.ask(summary(**call.path)).inbound_sms_summary))

    return made


def _service(clients: InternalClients, service_id: str) -> Json:
    if not service_id:
        return None
    ask = services_service_pb2.GetServiceRequest(service_id=service_id)
    return {"id": service_id, "name": clients.ask(ask).service.name}

"""GET /v2/received-text-messages: texts that people sent to a service (public-api.md §3.7)."""

from typing import Any, Final

from flask import Blueprint, Response, request
from notify.notifications.v1 import inbound_sms_service_pb2 as pb
from notify_common.ids import canonical_uuid

from notify_gateway.answers import json_response
from notify_gateway.auth import Authenticator
from notify_gateway.clients import Clients
from notify_gateway.presenters import timestamps
from notify_gateway.public import schemas, v2

PAGE_SIZE: Final = 250

_PATH: Final = "v2/received-text-messages"


def blueprint(authenticator: Authenticator, clients: Clients) -> Blueprint:
    """Return the route that reads received texts."""
    routes = v2.blueprint("received_texts", authenticator, clients)

    @routes.get(f"/{_PATH}")
    def list_received_texts() -> Response:
        query = request.args.to_dict()
        schemas.LIST_RECEIVED_TEXTS.check(query)
        older_than = query.get("older_than")
        ask = pb.ListInboundSmsRequest(
            service_id=v2.caller().service.id,
            older_than_id=canonical_uuid(older_than) if older_than is not None else "",
            page_size=PAGE_SIZE,
        )
        texts = [received_text(text) for text in clients.inbound_sms.ListInboundSms(ask).inbound_sms]
        current = f"{v2.root()}{_PATH}"
        links = {"current": current}
        if texts:
            links["next"] = f"{current}?older_than={texts[-1]['id']}"
        return json_response({"received_text_messages": texts, "links": links})

    return routes


def received_text(text: pb.InboundSms) -> dict[str, Any]:
    """Return a text as both APIs show it."""
    return {
        "id": text.id,
        "service_id": text.service_id,
        "notify_number": text.notify_number,
        "user_number": text.user_number,
        "content": text.content,
        "created_at": timestamps.text(text.create_time),
    }

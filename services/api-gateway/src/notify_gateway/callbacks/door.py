"""The one door for calls of providers (public-api.md §9).

A route says which provider calls. The request is passed on as it came in, and the answer of the providers
service is given back: what is in either, and who may call, is that service's business.
"""

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Request, Response, request
from notify.providers.v1.receipts_service_pb2 import (
    RecordInboundSmsRequest,
    RecordInboundSmsResponse,
    RecordReceiptRequest,
    RecordReceiptResponse,
)
from werkzeug.exceptions import RequestHeaderFieldsTooLarge, RequestURITooLarge

from notify_gateway.clients import PublicClients
from notify_gateway.public.body import read

RECEIPT_ROUTES: Final[Mapping[str, str]] = {
    "/notifications/sms/mmg": "mmg",
    "/notifications/sms/firetext": "firetext",
    "/notifications/letter/status": "dvla",
}
"""Routes that the contract fixes, by the provider that calls; every other calls `/…/receipts/<name>`."""
INBOUND_ROUTES: Final[Mapping[str, str]] = {
    "/notifications/sms/receive/mmg": "mmg",
    "/notifications/sms/receive/firetext": "firetext",
}
"""Routes of texts that people send, by the provider; every other provider calls `/…/inbound/<name>`."""

_MAX_BODY_BYTES: Final = 64 * 1024
_MAX_TEXT: Final = 8 * 1024
_MAX_HEADERS: Final = 32


def blueprint(clients: PublicClients, trusted_proxy_count: int) -> Blueprint:
    """Return the routes.

    Args:
        trusted_proxy_count: proxies in front whose X-Forwarded-For is believed.
    """
    routes = Blueprint("callbacks", __name__)

    def record_receipt(provider: str) -> Response:
        return _answer(clients.receipts.RecordReceipt(RecordReceiptRequest(**wrapped(provider))))

    def record_inbound(provider: str) -> Response:
        return _answer(clients.receipts.RecordInboundSms(RecordInboundSmsRequest(**wrapped(provider))))

    def wrapped(provider: str) -> dict[str, Any]:
        request.max_content_length = _MAX_BODY_BYTES
        return {
            "provider": provider,
            "body": read(request),
            "content_type": _bounded(request.content_type or ""),
            "headers": _headers(request),
            "query": _query(request),
            "client_address": _client_address(request, trusted_proxy_count),
        }

    for kind, fixed, record in (
        ("receipts", RECEIPT_ROUTES, record_receipt),
        ("inbound", INBOUND_ROUTES, record_inbound),
    ):
        for path, provider in fixed.items():
            defaults = {"provider": provider}
            routes.add_url_rule(path, f"{kind}-{provider}", record, defaults=defaults, methods=["POST"])
        routes.add_url_rule(f"/notifications/{kind}/<provider>", kind, record, methods=["POST"])
    return routes


def _answer(said: RecordReceiptResponse | RecordInboundSmsResponse) -> Response:
    response = Response(said.http_body, said.http_status)
    # Flask would name a type of its own
    response.headers.pop("Content-Type", None)
    if said.http_content_type:
        response.headers["Content-Type"] = said.http_content_type
    response.headers.extend(said.http_headers)
    return response


def _headers(asked: Request) -> dict[str, str]:
    """Return the headers that say who calls: credentials and whatever a provider invented."""
    kept = {
        name.lower(): _bounded(value)
        for name, value in asked.headers.items()
        if name == "Authorization" or (name.startswith("X-") and not name.startswith("X-Forwarded-"))
    }
    if len(kept) > _MAX_HEADERS:
        raise RequestHeaderFieldsTooLarge
    return kept


def _bounded(value: str) -> str:
    if len(value) > _MAX_TEXT:
        raise RequestHeaderFieldsTooLarge
    # WSGI gives the bytes of a header as Latin-1 characters; what no text can hold is nobody's signature.
    return value.replace("\0", "")


def _query(asked: Request) -> str:
    if len(asked.query_string) > _MAX_TEXT:
        raise RequestURITooLarge
    return asked.query_string.decode("ascii", "replace")


def _client_address(asked: Request, trusted_proxy_count: int) -> str:
    """Return where a request came from, as far as proxies that are trusted say."""
    if not trusted_proxy_count:
        return asked.remote_addr or ""
    hops = [hop.strip() for hop in asked.headers.get("X-Forwarded-For", "").split(",")]
    return hops[-trusted_proxy_count][:64] if len(hops) >= trusted_proxy_count else ""

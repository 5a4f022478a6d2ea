"""POST /notifications/sms/mmg: delivery receipts of MMG (public-api.md §9.2)."""

import json
from typing import Any, Final

from flask import Blueprint, Response, abort, request
from notify.providers.v1.receipts_service_pb2 import RecordReceiptRequest
from notify_common.errors import NotifyError
from notify_common.logging import get_logger

from notify_gateway.answers import json_response, legacy_response
from notify_gateway.clients import Clients
from notify_gateway.public.body import read

_MAX_BODY_BYTES: Final = 64 * 1024
_REQUIRED: Final = ("status", "CID")


def blueprint(clients: Clients) -> Blueprint:
    """Returns the route."""
    routes = Blueprint("mmg", __name__)

    @routes.post("/notifications/sms/mmg")
    def record_receipt() -> Response:
        request.max_content_length = _MAX_BODY_BYTES
        body = read(request)
        receipt = _receipt(body)
        missing = [name for name in _REQUIRED if _is_missing(receipt.get(name))]
        if missing:
            return legacy_response(400, [f"MMG callback failed: {name} missing" for name in missing])
        try:
            clients.receipts.RecordReceipt(
                RecordReceiptRequest(provider="mmg", body=body, content_type=request.content_type or "")
            )
        except NotifyError as error:
            if error.reason != "RECEIPT_INVALID":
                raise
            # What the platform can't use is no fault that sending again would mend.
            get_logger().error("receipt can't be read", provider="mmg")
        return json_response({"result": "success"})

    return routes


def _receipt(body: bytes) -> dict[str, Any]:
    try:
        receipt = json.loads(body)
    except (ValueError, RecursionError):
        abort(400)
    return receipt if isinstance(receipt, dict) else {}


def _is_missing(value: object) -> bool:
    return value is None or value == ""

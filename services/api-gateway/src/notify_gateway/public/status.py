"""Routes that machines ask without a token: status and metrics (public-api.md §10)."""

import hmac
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from notify_common.metrics import exposition
from prometheus_client import CONTENT_TYPE_LATEST

from notify_gateway.errors import json_response, legacy_response
from notify_gateway.settings import GatewaySettings


def blueprint(settings: GatewaySettings) -> Blueprint:
    """Returns the routes."""
    routes = Blueprint("status", __name__)
    token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
    everything: dict[str, Any] = {
        "status": "ok",
        "git_commit": settings.git_commit,
        "build_time": settings.build_time,
        # Databases belong to the services behind the gateway.
        "db_version": None,
        "db_bulk_version": None,
    }

    @routes.get("/")
    @routes.route("/_status", methods=["GET", "POST"])
    def status() -> Response:
        return json_response({"status": "ok"} if request.args.get("simple") else everything)

    @routes.get("/metrics")
    def metrics() -> Response:
        if token is not None and (refusal := _refusal(request.headers.get("Authorization"), token)):
            return refusal()
        return Response(exposition(), content_type=CONTENT_TYPE_LATEST)

    return routes


def _refusal(header: str | None, token: str) -> Callable[[], Response] | None:
    if not header:
        return _unauthorized
    if not hmac.compare_digest(header.encode(), f"Bearer {token}".encode()):
        return lambda: legacy_response(403, "Forbidden: invalid authentication token provided")
    return None


def _unauthorized() -> Response:
    response = legacy_response(401, "Unauthorized: authentication token must be provided")
    response.headers["WWW-Authenticate"] = "Bearer"
    return response

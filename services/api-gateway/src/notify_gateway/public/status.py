"""Routes that machines ask without a token: status and metrics (public-api.md §10)."""

import hmac
import socket
import time
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, make_response, render_template, request
from notify_common.errors import NotifyError
from notify_common.metrics import exposition
from notify_common.rpc.options import RECONNECT_SECONDS
from prometheus_client import CONTENT_TYPE_LATEST

from notify_gateway.answers import LEGACY, json_response
from notify_gateway.errors import Row
from notify_gateway.public import v2
from notify_gateway.settings import GatewaySettings
from notify_gateway.stopping import is_stopping

_SIDECAR_SECONDS: Final = 1.0
"""How long the sidecar may take to take a connection: a probe asks for 2 s."""

_ANSWERS: Final = LEGACY.but(
    {"TOKEN_INVALID": Row(403, "AuthError", "Forbidden: invalid authentication token provided")}
)


def blueprint(settings: GatewaySettings) -> Blueprint:
    """Return the routes."""
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

    @routes.route("/_status", methods=["GET", "POST"])
    def status() -> Response:
        if is_stopping():
            return json_response({"status": "stopping"}, 503)
        if settings.sidecar and _is_cut_off(settings.admin_target):
            return json_response({"status": "unavailable"}, 503)
        return json_response({"status": "ok"} if request.args.get("simple") else everything)

    @routes.get("/")
    def start() -> Response:
        """Say what is here, and where: the API, and this installation's own description of it. The contract
        has no such links (public-api.md §10), so they name no other host.
        """
        if request.args.get("simple"):
            return status()
        places = {"api": f"{v2.root()}v2", "docs": f"{v2.root()}docs"}
        if settings.console_enabled:
            places["console"] = f"{v2.root()}console/"
            # Programs name no type or JSON; browsers name HTML first.
            if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
                return make_response(render_template("console/start.html", **places))
        return json_response(everything | places)

    @routes.get("/metrics")
    def metrics() -> Response:
        if token is not None and (refusal := _refusal(request.headers.get("Authorization"), token)):
            return refusal
        return Response(exposition(), content_type=CONTENT_TYPE_LATEST)

    return routes


def _is_cut_off(target: str) -> bool:
    """Tell whether nobody listens at a unix socket (`unix:/path`), or not for long enough that channels know.

    A gateway whose sidecar has died can call nobody, so requests should go to the others. Of what is behind
    the sidecar nothing is asked: where that is away, it is away for all gateways.
    """
    path = Path(target.removeprefix("unix:").removeprefix("//"))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SIDECAR_SECONDS)
        try:
            connection.connect(str(path))
            age = time.time() - path.stat().st_mtime  # made by who listens
        except OSError:
            return True
    return 0 <= age < RECONNECT_SECONDS


def _refusal(header: str | None, token: str) -> Response | None:
    if not header:
        response = _ANSWERS.answer(NotifyError("TOKEN_MISSING"))
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    if not hmac.compare_digest(header.encode(), f"Bearer {token}".encode()):
        return _ANSWERS.answer(NotifyError("TOKEN_INVALID"))
    return None

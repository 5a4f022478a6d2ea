"""What all v2 routes share: the token comes first, ids are checked in one way, answers say what is left of
limits.
"""

from typing import TYPE_CHECKING, Final, cast

from flask import Blueprint, Response, g, request
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import current
from notify_common.errors import NotifyError
from notify_common.ids import canonical_uuid
from werkzeug.wsgi import get_host

from notify_gateway.answers import V2, Answers
from notify_gateway.auth import Authenticator, Caller
from notify_gateway.clients import Clients
from notify_gateway.public.schemas import Schema
from notify_gateway.quotas import quota_facts, quota_headers, says_quota

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


_QUOTA_SECONDS: Final = 0.25
"""How long an answer is held back for what it says of limits."""


def blueprint(name: str, authenticator: Authenticator, clients: Clients, answers: Answers = V2) -> Blueprint:
    """Return a blueprint whose routes need a valid token, OPTIONS included (public-api.md §0.3).

    `answers` says how its errors are answered. Answers that say nothing of a limit that they counted for say
    what is left of the rate of the caller's messages.
    """
    made = Blueprint(f"v2_{name}", __name__)
    answers.install(made)

    @made.before_request
    def authenticate() -> None:
        g.caller = authenticator.authenticate(request.headers.get("Authorization"))
        current.note(service_id=g.caller.service.id)

    @made.after_request
    def tell_quota(response: Response) -> Response:
        if "caller" in g and not says_quota(response.headers.keys()):
            response.headers.extend(_left(clients, caller()))
        return response

    return made


def _left(clients: Clients, caller: Caller) -> list[tuple[str, str]]:
    """Return the headers that tell what is left; none where that can't be asked for."""
    seconds = current.time_left()
    timeout = _QUOTA_SECONDS if seconds is None else min(seconds, _QUOTA_SECONDS)
    try:
        found = clients.notifications.GetQuota(
            pb.GetQuotaRequest(caller=caller_message(caller)), timeout=timeout
        )
    except NotifyError:
        return []
    return quota_headers(quota_facts(found.quota)) if found.HasField("quota") else []


def caller() -> Caller:
    """Return who makes this request."""
    return cast(Caller, g.caller)


def caller_message(caller: Caller) -> pb.Caller:
    """Return who calls as notifications is told."""
    return pb.Caller(
        service_id=caller.service.id,
        api_key_id=caller.api_key_id,
        key_type=caller.key_type,
    )


def checked_id(schema: Schema, name: str, text: str) -> str:
    """Return an id of the path in its canonical spelling. Raises InvalidRequest where it is no UUID."""
    schema.check({name: text})
    return canonical_uuid(text)


def root() -> str:
    """Return the API's base URL as this request sees it, with a slash at the end (public-api.md §0.3)."""
    return root_of(request.environ)


def root_of(environ: "WSGIEnvironment") -> str:
    """Return the same of a request that Flask does not answer."""
    return f"{environ['wsgi.url_scheme']}://{get_host(environ)}/"

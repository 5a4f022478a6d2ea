"""What all v2 routes share: the token comes first, ids are checked in one way."""

from typing import TYPE_CHECKING, cast

from flask import Blueprint, g, request
from notify_common import current
from notify_common.ids import canonical_uuid
from werkzeug.wsgi import get_host

from notify_gateway.answers import V2, Answers
from notify_gateway.auth import Authenticator, Caller
from notify_gateway.public.schemas import Schema

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def blueprint(name: str, authenticator: Authenticator, answers: Answers = V2) -> Blueprint:
    """Return a blueprint whose routes need a valid token, OPTIONS included (public-api.md §0.3).

    `answers` says how its errors are answered.
    """
    made = Blueprint(f"v2_{name}", __name__)
    answers.install(made)

    @made.before_request
    def authenticate() -> None:
        g.caller = authenticator.authenticate(request.headers.get("Authorization"))
        current.note(service_id=g.caller.service.id)

    return made


def caller() -> Caller:
    """Return who makes this request."""
    return cast(Caller, g.caller)


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

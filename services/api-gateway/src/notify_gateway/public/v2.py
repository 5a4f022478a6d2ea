"""What all v2 routes share: the token comes first, ids are checked in one way."""

from typing import cast

from flask import Blueprint, Request, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from notify_gateway.auth import Authenticator, Caller
from notify_gateway.errors import ApiError, bad_request, too_large_text
from notify_gateway.middleware import READS
from notify_gateway.public import body
from notify_gateway.public.schemas import Schema, canonical_uuid


def blueprint(name: str, authenticator: Authenticator, *, reading: bool) -> Blueprint:
    """Returns a blueprint whose routes need a valid token, OPTIONS included (public-api.md §0.3).

    `reading` says that its routes do not send, which some reasons are answered by.
    """
    made = Blueprint(f"v2_{name}", __name__)

    @made.before_request
    def authenticate() -> None:
        g.caller = authenticator.authenticate(request.headers.get("Authorization"))
        setattr(g, READS, reading)

    return made


def caller() -> Caller:
    """Returns who makes this request."""
    return cast(Caller, g.caller)


def checked_id(schema: Schema, name: str, text: str) -> str:
    """Returns an id of the path in its canonical spelling. Raises ApiError where it is no UUID."""
    schema.check({name: text})
    return canonical_uuid(text)


def root() -> str:
    """Returns the API's base URL as this request sees it, with a slash at the end (public-api.md §0.3)."""
    return f"{request.scheme}://{request.host}/"


def read_body(asked: Request) -> bytes:
    """Returns the request's body. Raises ApiError 413 where it is over the limit."""
    try:
        return body.read(asked)
    except RequestEntityTooLarge:
        raise too_large(asked.max_content_length or 0) from None


def too_large(limit: int) -> ApiError:
    """Returns the answer to a body of more than `limit` bytes."""
    return bad_request(too_large_text(limit), 413)

"""Answers held against `openapi.yaml`: each test of the public face asks through a client that does so."""

import re
from functools import cache
from typing import Any, Final

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, FormatChecker
from notify_gateway.public import docs
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

OPENAPI: Final = docs.document()
REGISTRY: Final[Registry[Any]] = Registry().with_resource("openapi", DRAFT202012.create_resource(OPENAPI))
TOLD: Final = frozenset(
    {
        *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"),
        *("Idempotent-Replayed", "WWW-Authenticate"),
    }
)
"""Headers that say something of one answer."""


class DescribedClient(FlaskClient):
    """A client of the public face that raises AssertionError where an answer is not as it is described."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Make a request."""
        response = super().open(*args, **kwargs)
        check_answer(self.application, response)
        return response


def check_answer(app: Flask, response: TestResponse) -> None:
    """Hold an answer against the operation that was asked, or where there is none, against the router's."""
    asked = response.request
    if asked.method in ("HEAD", "OPTIONS"):
        return
    try:
        rule, _ = app.url_map.bind_to_environ(asked.environ).match(return_rule=True)
    except HTTPException:
        _check_body("/components/responses/LegacyError", response)
        return
    if rule.endpoint.startswith("pages."):
        return
    operation = f"/paths/{_escaped(template_of(rule))}/{asked.method.lower()}"
    answers = at(operation)["responses"]
    status = str(response.status_code)
    assert status in answers, f"{operation} does not say that it answers {status}"
    place = answers[status].get("$ref", "").removeprefix("#") or f"{operation}/responses/{status}"
    headers = at(place).get("headers", {})
    for name in TOLD & set(response.headers.keys()):
        assert name in headers, f"{operation} does not say that {status} has {name}"
        schema = at(headers[name].get("$ref", "").removeprefix("#") or f"{place}/headers/{name}")["schema"]
        value = response.headers[name]
        Draft202012Validator(schema).validate(int(value) if schema.get("type") == "integer" else value)
    _check_body(place, response)


def template_of(rule: Rule) -> str:
    """Return the path of a route as the description has it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def at(pointer: str) -> Any:
    """Return the part of the description that a JSON pointer leads to."""
    found: Any = OPENAPI
    for part in pointer.split("/")[1:]:
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


@cache
def validator(pointer: str) -> Draft202012Validator:
    """Return what validates values by a schema of the description."""
    return Draft202012Validator(
        {"$ref": f"openapi#{pointer}"}, registry=REGISTRY, format_checker=FormatChecker()
    )


def _check_body(place: str, response: TestResponse) -> None:
    kind = response.mimetype
    if not kind:
        return
    contents = at(place).get("content", {})
    assert kind in contents or "*/*" in contents, f"{place} does not say that it is {kind}"
    if kind == "application/json" and "schema" in contents.get(kind, {}):
        validator(f"{place}/content/{_escaped(kind)}/schema").validate(response.get_json())


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")

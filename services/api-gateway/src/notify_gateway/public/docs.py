"""The public API's description: for programs at /openapi.json, for people at /docs."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import yaml
from flask import Blueprint, Response
from markupsafe import Markup, escape

from notify_gateway import pages
from notify_gateway.answers import json_response
from notify_gateway.public import v2

METHODS: Final = ("get", "post", "put", "patch", "delete")

Json = Any


def blueprint() -> Blueprint:
    """Return the routes; both are open to everyone."""
    routes = Blueprint("docs", __name__)

    @routes.get("/openapi.json")
    def description() -> Response:
        servers = [{"url": v2.root().rstrip("/")}]
        return json_response({**document(), "servers": servers})

    @routes.get("/docs")
    def page() -> Response:
        return pages.page(
            "docs.html",
            api=document(),
            tags=list(_tags()),
            headers=_headers(),
            prose=_prose,
            root=v2.root().rstrip("/"),
        )

    return routes


@lru_cache(maxsize=1)
def document() -> Mapping[str, Json]:
    """Return `openapi.yaml`, of which no two parts are the same object; read once a process."""
    text = resources.files("notify_gateway").joinpath("openapi.yaml").read_text(encoding="utf-8")
    read: dict[str, Json] = json.loads(json.dumps(yaml.safe_load(text)))
    return read


@lru_cache(maxsize=1)
def _tags() -> tuple[Mapping[str, Json], ...]:
    """Return the operations by tag, in the order in which the document declares both."""
    return tuple(
        {**tag, "operations": [one for one in _operations() if tag["name"] in one["tags"]]}
        for tag in document()["tags"]
    )


def _prose(text: str) -> Markup:
    """Return a description as HTML: what stands between backticks is code."""
    parts = enumerate(text.split("`"))
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in parts
    )


@lru_cache(maxsize=1)
def _headers() -> Mapping[str, Json]:
    """Return the headers that answers have, by name."""
    return {
        name: _resolved(header)
        for operation in _operations()
        for answer in operation["answers"].values()
        for name, header in answer.get("headers", {}).items()
    }


def _operations() -> Iterator[dict[str, Json]]:
    for path, item in document()["paths"].items():
        for method in METHODS:
            if operation := item.get(method):
                parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
                yield {
                    **operation,
                    "path": path,
                    "method": method.upper(),
                    "parameters": [_resolved(each) for each in parameters],
                    "body": _content(operation.get("requestBody", {})),
                    "examples": _examples(operation.get("requestBody", {})),
                    "answers": {
                        status: {
                            **(found := _resolved(answer)),
                            "schemas": _content(found),
                            "examples": _examples(found),
                        }
                        for status, answer in sorted(operation["responses"].items())
                    },
                }


def _content(of: Mapping[str, Json]) -> list[Json]:
    """Return the schemas of a body, by its content types."""
    return [content["schema"] for content in of.get("content", {}).values() if "schema" in content]


def _examples(of: Mapping[str, Json]) -> list[tuple[str, str]]:
    """Return the examples of a body, each with its content type."""
    return [
        (kind, shown if isinstance(shown := content["example"], str) else json.dumps(shown, indent=2))
        for kind, content in of.get("content", {}).items()
        if "example" in content
    ]


def _resolved(node: Json) -> Json:
    reference = node.get("$ref")
    if reference is None:
        return node
    found: Json = document()
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found

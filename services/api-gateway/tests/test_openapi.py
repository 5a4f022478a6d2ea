"""`openapi.yaml` and the application say the same."""

import html
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from notify.common.v1.common_pb2 import Channel, Postage
from notify.notifications.v1.notification_pb2 import Cost
from notify_gateway.public import schemas
from notify_gateway.public.schemas import Schema
from notify_local import envoy

from .conftest import Tenant
from .described import OPENAPI, template_of, validator
from .neighbours import Neighbours, a_notification, a_text

METHODS = {"get", "post", "put", "patch", "delete"}


def described() -> set[tuple[str, str]]:
    return {
        (method.upper(), path) for path, item in OPENAPI["paths"].items() for method in item.keys() & METHODS
    }


def served(app: Flask) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith(("console.", "pages.")):
            methods = METHODS & {method.lower() for method in rule.methods or ()}
            yield from ((method.upper(), template_of(rule)) for method in methods)


def test_every_route_is_described_and_every_description_is_served(app: Flask) -> None:
    assert set(served(app)) == described()


def test_every_reference_leads_somewhere() -> None:
    references = re.findall(r"'\$ref': '#/([\w/]+)'", str(OPENAPI))
    assert references
    for reference in references:
        found = OPENAPI
        for part in reference.split("/"):
            found = found[part]


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("SendSms", schemas.SEND_SMS),
        ("SendEmail", schemas.SEND_EMAIL),
        ("SendLetter", schemas.SEND_LETTER),
        ("SendPrecompiledLetter", schemas.SEND_PRECOMPILED_LETTER),
        ("Reschedule", schemas.RESCHEDULE),
    ],
)
def test_bodies_are_described_as_they_are_validated(name: str, schema: Schema) -> None:
    described = OPENAPI["components"]["schemas"][name]
    assert described["properties"].keys() == schema.keys
    assert set(described["required"]) == schema.required
    assert described["additionalProperties"] is False


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/v2/notifications", schemas.LIST_NOTIFICATIONS),
        ("/v2/templates", schemas.LIST_TEMPLATES),
        ("/v2/received-text-messages", schemas.LIST_RECEIVED_TEXTS),
    ],
)
def test_queries_are_described_as_they_are_validated(path: str, schema: Schema) -> None:
    assert {one["name"] for one in OPENAPI["paths"][path]["get"]["parameters"]} == schema.keys
    assert OPENAPI["components"]["schemas"]["StatusFilter"]["enum"] == [
        *schemas.STATUSES,
        *schemas.OWN_STATUSES,
    ]


def test_the_description_is_served_for_programs_and_for_people(client: FlaskClient) -> None:
    served = client.get("/openapi.json", headers={"Host": "api.example.gov.uk"}).json
    assert served == {**OPENAPI, "servers": [{"url": "http://api.example.gov.uk"}]}
    page = client.get("/docs")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for method, path in described():
        assert f"<strong>{method}</strong> <code>{path}</code>" in page.text
    text = html.unescape(re.sub("<[^>]+>", "", page.text))
    for header in OPENAPI["components"]["headers"].values():
        assert header["description"].replace("`", "").strip() in text
    assert "<code>Idempotency-Key</code>" in page.text
    assert "`" not in page.text
    levels = [int(level) for level in re.findall(r"<h([1-6])", page.text)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    anchors = set(re.findall(r'id="([^"]+)"', page.text))
    assert set(re.findall(r'href="#([^"]+)"', page.text)) <= anchors


def test_operation_ids_are_unique() -> None:
    ids = [OPENAPI["paths"][path][method.lower()]["operationId"] for method, path in described()]
    assert len(ids) == len(set(ids))


def decided(filter: dict[str, Any]) -> Iterator[str]:
    """Yield the statuses of a mapper of the edge's own answers, by its filter."""
    for part in filter.get("and_filter", {"filters": [filter]})["filters"]:
        if found := part.get("status_code_filter"):
            comparison = found["comparison"]
            value = comparison["value"]["default_value"]
            yield from ([str(value)] if comparison["op"] == "EQ" else EDGE_FROM[value])


EDGE_FROM = {500: ("503", "504"), 100: ("400", "431")}
"""What the edge answers of all that is from a status on and has no mapper of its own."""


def test_every_operation_says_what_the_edge_answers_in_its_place() -> None:
    manager = envoy.connection_manager(envoy.listener(envoy.load("edge"), "edge"))
    mappers = manager["local_reply_config"]["mappers"]
    answers = {status for mapper in mappers for status in decided(mapper["filter"])}
    assert len(answers) > 5
    answers.remove("404")  # of paths that are none
    silent = {
        (method, path): missing
        for method, path in described()
        if path != "/metrics"  # which is not outside
        and (missing := answers - OPENAPI["paths"][path][method.lower()]["responses"].keys())
    }
    assert silent == {}


def check(name: str, body: Any) -> None:
    validator(f"/components/schemas/{name}").validate(body)


@pytest.mark.parametrize(
    ("channel", "schema", "body"),
    [
        ("sms", "SentSms", {"phone_number": "07700900123"}),
        ("email", "SentEmail", {"email_address": "a@example.com", "sanitise_content_for": ["name"]}),
        ("letter", "SentLetter", {"personalisation": {}}),
        ("letter", "SentPrecompiledLetter", {"content": "JVBERg==", "reference": "r", "template_id": None}),
    ],
)
def test_answers_to_sends(
    client: FlaskClient, tenant: Tenant, channel: str, schema: str, body: dict[str, Any]
) -> None:
    body = {"template_id": str(uuid4())} | body
    body = {name: value for name, value in body.items() if value is not None}
    check(schema.replace("Sent", "Send"), body)
    response = client.post(f"/v2/notifications/{channel}", json=body, headers=tenant.headers())
    check(schema, response.get_json())


@pytest.mark.parametrize("channel", [Channel.CHANNEL_SMS, Channel.CHANNEL_EMAIL, Channel.CHANNEL_LETTER])
@pytest.mark.parametrize("cost", [None, Cost(amount_micropounds=1, sms_fragments=1, letter_sheets=1)])
def test_notifications(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, channel: Channel, cost: Cost | None
) -> None:
    postage = Postage.POSTAGE_SECOND if channel == Channel.CHANNEL_LETTER else Postage.POSTAGE_UNSPECIFIED
    found = a_notification(tenant.id, channel, cost=cost, postage=postage)
    neighbours.notifications.stored.append(found)
    check("Notification", client.get(f"/v2/notifications/{found.id}", headers=tenant.headers()).json)


def test_received_texts_and_unsubscribing(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    neighbours.recipients.texts.append(a_text(tenant.id))
    check("ReceivedTexts", client.get("/v2/received-text-messages", headers=tenant.headers()).json)
    neighbours.recipients.token = "t"
    check("Unsubscribed", client.post(f"/unsubscribe/{uuid4()}/t").json)
    check("LegacyError", client.post(f"/unsubscribe/{uuid4()}/x").get_json())


def test_templates_previews_errors_and_status(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    template = neighbours.admin.add_template(tenant.id, "email", "((a))", subject="s")
    path = f"/v2/template/{template}"
    check("Template", client.get(path, headers=tenant.headers()).json)
    check("Preview", client.post(f"{path}/preview", headers=tenant.headers()).json)
    check("Error", client.get(path).get_json())
    check("LegacyError", client.get("/nothing").get_json())
    check("LegacyError", client.post("/notifications/sms/mmg", data="x" * 70_000).get_json())
    check("Status", client.get("/_status").get_json())

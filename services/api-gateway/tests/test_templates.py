"""/v2/template… (public-api.md §3.4 to §3.6)."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from notify.common.v1.common_pb2 import Channel, Postage
from notify_common.errors import NotifyError

from .conftest import Tenant, new_tenant
from .neighbours import Neighbours, timestamp

NOT_FOUND = {"errors": [{"error": "NoResultFound", "message": "No result found"}], "status_code": 404}


def get(client: FlaskClient, tenant: Tenant, path: str) -> Any:
    return client.get(path, headers=tenant.headers())


def test_a_text_template(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    template = neighbours.admin.add_template(
        tenant.id, Channel.CHANNEL_SMS, "((First Name)) ((first-name)): ref ((ref_no??x))"
    )
    response = get(client, tenant, f"/v2/template/{template.id}")
    assert response.get_json() == {
        "id": template.id,
        "name": "A template",
        "type": "sms",
        "created_at": "2026-01-02T03:04:05.000006Z",
        "updated_at": None,
        "created_by": "owner@example.gov.uk",
        "version": 1,
        "subject": None,
        "body": "((First Name)) ((first-name)): ref ((ref_no??x))",
        "personalisation": {"First Name": {"required": True}, "ref_no": {"required": True}},
        "letter_contact_block": None,
        "postage": None,
    }


def test_a_letter_template(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    template = neighbours.admin.add_template(
        tenant.id,
        Channel.CHANNEL_LETTER,
        "Body ((x))",
        subject="About ((y))",
        letter_contact_block="Branch of ((town))\nTestshire",
        welsh_subject="((enw))",
        welsh_content="((x)) ((dref))",
        postage=Postage.POSTAGE_ECONOMY,
        update_time=timestamp(datetime(2026, 2, 3, tzinfo=UTC)),
    )
    body = get(client, tenant, f"/v2/template/{template.id}").get_json()
    assert set(body["personalisation"]) == {"town", "y", "x", "enw", "dref"}
    assert (body["subject"], body["postage"]) == ("About ((y))", "economy")
    assert body["letter_contact_block"] == "Branch of ((town))\nTestshire"
    assert body["updated_at"] == "2026-02-03T00:00:00.000000Z"


def test_versions(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    first = neighbours.admin.add_template(tenant.id, Channel.CHANNEL_SMS, "one")
    neighbours.admin.add_template(
        tenant.id, Channel.CHANNEL_SMS, "two", id=first.id, version=2, archived=True
    )
    path = f"/v2/template/{first.id}"
    assert get(client, tenant, path).get_json()["body"] == "two"
    assert get(client, tenant, f"{path}/version/1").get_json()["body"] == "one"
    assert get(client, tenant, f"{path}/version/0").get_json()["body"] == "two"
    for version in ("3", "99999999"):
        assert get(client, tenant, f"{path}/version/{version}").get_json() == NOT_FOUND
    huge = get(client, tenant, f"{path}/version/99999999999999999999")
    assert (huge.status_code, huge.get_json()["errors"][0]["error"]) == (404, "DataError")
    for version in ("one", "-1", "1.0"):
        response = get(client, tenant, f"{path}/version/{version}")
        assert (response.status_code, response.get_json()["result"]) == (404, "error")


def test_templates_that_do_not_exist(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    other = neighbours.admin.add_template(new_tenant(neighbours).id, Channel.CHANNEL_SMS, "x")
    hidden = neighbours.admin.add_template(tenant.id, Channel.CHANNEL_LETTER, "x", hidden=True)
    for template_id in (other.id, hidden.id, uuid4()):
        response = get(client, tenant, f"/v2/template/{template_id}")
        assert (response.status_code, response.get_json()) == (404, NOT_FOUND)
    response = get(client, tenant, "/v2/template/abc")
    assert response.get_json()["errors"] == [
        {"error": "ValidationError", "message": "id is not a valid UUID"}
    ]


def test_all_templates(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    assert get(client, tenant, "/v2/templates").get_json() == {"templates": []}
    for number in range(3):
        neighbours.admin.add_template(tenant.id, Channel.CHANNEL_SMS, f"text {number}")
    neighbours.admin.add_template(tenant.id, Channel.CHANNEL_EMAIL, "mail", subject="s")
    bodies = [item["body"] for item in get(client, tenant, "/v2/templates").get_json()["templates"]]
    assert bodies == ["text 0", "text 1", "text 2", "mail"]
    emails = get(client, tenant, "/v2/templates?type=email&type=sms").get_json()["templates"]
    assert [item["body"] for item in emails] == ["mail"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?type=coconut", "type coconut is not one of [sms, email, letter]"),
        ("?type=", "type  is not one of [sms, email, letter]"),
        ("?page=2", "Additional properties are not allowed (page was unexpected)"),
    ],
)
def test_bad_lists(client: FlaskClient, tenant: Tenant, query: str, sentence: str) -> None:
    response = get(client, tenant, f"/v2/templates{query}")
    assert response.get_json()["errors"] == [{"error": "ValidationError", "message": sentence}]


def preview(client: FlaskClient, tenant: Tenant, body: bytes, template_id: object = None) -> Any:
    path = f"/v2/template/{template_id or uuid4()}/preview"
    return client.post(path, data=body, headers=tenant.headers())


def test_a_preview(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    template_id = uuid4()
    response = preview(client, tenant, b'{"personalisation": {"a": 1}, "other": 2}', template_id)
    assert response.get_json() == {
        "id": str(template_id),
        "type": "email",
        "version": 4,
        "subject": "S",
        "body": "B",
        "html": "<p>B</p>",
        "postage": None,
    }
    [asked] = neighbours.recorder.requests("PreviewTemplate")
    assert (asked.service_id, asked.template_id) == (tenant.id, str(template_id))
    assert [(entry.key, entry.text) for entry in asked.personalisation] == [("a", "1")]


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"id": 5}'])
def test_previews_without_personalisation(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, body: bytes
) -> None:
    assert preview(client, tenant, body).status_code == 200
    assert not neighbours.recorder.requests("PreviewTemplate")[0].personalisation


@pytest.mark.parametrize(
    ("body", "error", "sentence"),
    [
        (b"{", "BadRequestError", "Invalid JSON supplied in POST data"),
        (b"[1]", "ValidationError", "[1] is not of type object"),
        (b'"x"', "ValidationError", "x is not of type object"),
        (b'{"personalisation": null}', "ValidationError", "personalisation None is not of type object"),
        (b'{"personalisation": ["x"]}', "ValidationError", "personalisation [x] is not of type object"),
    ],
)
def test_bad_previews(client: FlaskClient, tenant: Tenant, body: bytes, error: str, sentence: str) -> None:
    response = preview(client, tenant, body)
    assert (response.status_code, response.get_json()["errors"]) == (
        400,
        [{"error": error, "message": sentence}],
    )


def test_previews_of_what_does_not_exist(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    response = preview(client, tenant, b"{}", "abc")
    assert response.get_json()["errors"][0]["message"] == "id is not a valid UUID"
    neighbours.recorder.failures["PreviewTemplate"] = NotifyError("TEMPLATE_NOT_FOUND")
    response = preview(client, tenant, b"{}")
    assert (response.status_code, response.get_json()) == (404, NOT_FOUND)
    missing = NotifyError("MISSING_PERSONALISATION", metadata={"names": "town"})
    neighbours.recorder.failures["PreviewTemplate"] = missing
    response = preview(client, tenant, b"{}")
    assert response.get_json()["errors"] == [
        {"error": "BadRequestError", "message": "Missing personalisation: town"}
    ]

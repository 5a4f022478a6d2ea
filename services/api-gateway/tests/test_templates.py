"""/v2/template… (public-api.md §3.4 to §3.6)."""

from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1.common_pb2 import Postage
from notify_common.errors import NotifyError
from notify_testing.admin import MEMBER_EMAIL_ADDRESS

from .conftest import Tenant, new_tenant
from .neighbours import Neighbours

NOT_FOUND = {"errors": [{"error": "NoResultFound", "message": "No result found"}], "status_code": 404}


def to_text(moment: Timestamp) -> str:
    """Return a moment as the API writes it."""
    return f"{moment.ToDatetime():%Y-%m-%dT%H:%M:%S.%fZ}"


def get(client: FlaskClient, tenant: Tenant, path: str) -> Any:
    return client.get(path, headers=tenant.headers())


def test_a_text_template(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    template = neighbours.admin.add_template(
        tenant.id, "sms", "((First Name)) ((first-name)): ref ((ref_no??x))"
    )
    stored = neighbours.admin.get_template(tenant.id, template)
    response = get(client, tenant, f"/v2/template/{template}")
    assert response.get_json() == {
        "id": template,
        "name": "A template",
        "type": "sms",
        "created_at": to_text(stored.create_time),
        "updated_at": None,
        "created_by": MEMBER_EMAIL_ADDRESS,
        "version": 1,
        "subject": None,
        "body": "((First Name)) ((first-name)): ref ((ref_no??x))",
        "personalisation": {"First Name": {"required": True}, "ref_no": {"required": True}},
        "letter_contact_block": None,
        "postage": None,
    }


def test_a_letter_template(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    contact_id = neighbours.admin.add_letter_contact(tenant.id, "Branch of ((town))\nTestshire")
    template = neighbours.admin.add_template(
        tenant.id,
        "letter",
        "Body",
        subject="About ((y))",
        letter_contact_id=contact_id,
        welsh_subject="((enw))",
        welsh_content="((x)) ((dref))",
        postage=Postage.POSTAGE_ECONOMY,
    )
    neighbours.admin.change_template(tenant.id, template, content="Body ((x))")
    stored = neighbours.admin.get_template(tenant.id, template)
    body = get(client, tenant, f"/v2/template/{template}").get_json()
    assert set(body["personalisation"]) == {"town", "y", "x", "enw", "dref"}
    assert (body["subject"], body["postage"]) == ("About ((y))", "economy")
    assert body["letter_contact_block"] == "Branch of ((town))\nTestshire"
    assert body["updated_at"] == to_text(stored.update_time)


def test_versions(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    first = neighbours.admin.add_template(tenant.id, "sms", "one")
    neighbours.admin.change_template(tenant.id, first, content="two")
    neighbours.admin.archive_template(tenant.id, first)
    path = f"/v2/template/{first}"
    assert get(client, tenant, path).get_json()["body"] == "two"
    assert get(client, tenant, f"{path}/version/1").get_json()["body"] == "one"
    assert get(client, tenant, f"{path}/version/0").get_json()["body"] == "two"
    assert get(client, tenant, f"{path}/version/3").get_json()["body"] == "two"
    for version in ("4", "99999999"):
        assert get(client, tenant, f"{path}/version/{version}").get_json() == NOT_FOUND
    huge = get(client, tenant, f"{path}/version/99999999999999999999")
    assert (huge.status_code, huge.get_json()["errors"][0]["error"]) == (404, "DataError")
    for version in ("one", "-1", "1.0"):
        response = get(client, tenant, f"{path}/version/{version}")
        assert (response.status_code, response.get_json()["result"]) == (404, "error")


def test_templates_that_do_not_exist(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    other = neighbours.admin.add_template(new_tenant(neighbours).id, "sms", "x")
    hidden = neighbours.admin.add_template(tenant.id, "letter", "x")
    neighbours.admin.hide_template(hidden)
    for template_id in (other, hidden, uuid4()):
        response = get(client, tenant, f"/v2/template/{template_id}")
        assert (response.status_code, response.get_json()) == (404, NOT_FOUND)
    response = get(client, tenant, "/v2/template/abc")
    assert response.get_json()["errors"] == [
        {"error": "ValidationError", "message": "id is not a valid UUID"}
    ]


def test_all_templates(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    assert get(client, tenant, "/v2/templates").get_json() == {"templates": []}
    for number in (2, 0, 1):
        neighbours.admin.add_template(tenant.id, "sms", f"text {number}", name=f"N {number}")
    neighbours.admin.add_template(tenant.id, "email", "mail", name="N 3")
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

"""The official Python client, unmodified, over real HTTP (public-api.md §11)."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from notifications_python_client.errors import HTTP503Error, HTTPError
from notifications_python_client.notifications import NotificationsAPIClient
from notifications_python_client.utils import prepare_upload
from notify.common.v1.common_pb2 import Channel, Postage
from notify_common.errors import NotifyError

from .conftest import Tenant
from .neighbours import Neighbours, a_notification, a_text
from .serving import serve

TEMPLATE_ID = "f33517ff-2a88-4f6e-b855-c550268ce08a"


def first_error(error: HTTPError) -> dict[str, Any]:
    """Return the first error of an answer as the client keeps it."""
    errors: Any = error.message
    first: dict[str, Any] = errors[0]
    return first


@pytest.fixture
def official(app: Flask, tenant: Tenant) -> Iterator[NotificationsAPIClient]:
    with serve(app) as base_url:
        yield NotificationsAPIClient(tenant.api_key, base_url=base_url)


def test_sends(official: NotificationsAPIClient, neighbours: Neighbours) -> None:
    text = official.send_sms_notification(
        phone_number="07700 900123", template_id=TEMPLATE_ID, personalisation={"name": "Amala"}, reference="r"
    )
    assert (text["content"]["body"], text["reference"]) == ("Hello", "r")
    email = official.send_email_notification(
        email_address="amala@example.com",
        template_id=TEMPLATE_ID,
        personalisation={"list": {"one"}},
        sanitise_content_for=["name"],
        one_click_unsubscribe_url="https://example.com/u",
    )
    assert email["content"]["subject"] == "Hi"
    letter = official.send_letter_notification(
        template_id=TEMPLATE_ID, personalisation={"address_line_1": "Amala"}
    )
    assert letter["content"]["subject"] == "A &lt;b&gt;"
    methods = [name for name, _ in neighbours.recorder.calls if name.startswith("Send")]
    assert methods == ["SendSms", "SendEmail", "SendLetter"]


def test_received_texts(official: NotificationsAPIClient, tenant: Tenant, neighbours: Neighbours) -> None:
    contents = [str(number) for number in range(5)]
    neighbours.recipients.texts += [a_text(tenant.id, content) for content in contents]
    page = official.get_received_texts()
    assert [text["content"] for text in page["received_text_messages"]] == contents[:2]
    older = official.get_received_texts(older_than=page["received_text_messages"][-1]["id"])
    assert [text["content"] for text in older["received_text_messages"]] == contents[2:4]
    assert [text["content"] for text in official.get_received_texts_iterator()] == contents


def test_reads(official: NotificationsAPIClient, tenant: Tenant, neighbours: Neighbours) -> None:
    stored = [a_notification(tenant.id) for _ in range(5)]
    neighbours.notifications.stored.extend(stored)
    assert official.get_notification_by_id(stored[0].id)["id"] == stored[0].id
    assert len(official.get_all_notifications(status=["created"], include_jobs=True)["notifications"]) == 2
    everything = official.get_all_notifications_iterator(status="created", template_type="sms")
    assert [item["id"] for item in everything] == [item.id for item in stored]
    by_reference = official.get_all_notifications_iterator(reference=TEMPLATE_ID)
    assert len(list(by_reference)) == 5


def test_a_pdf(official: NotificationsAPIClient, tenant: Tenant, neighbours: Neighbours) -> None:
    letter = a_notification(tenant.id, Channel.CHANNEL_LETTER, postage=Postage.POSTAGE_FIRST)
    neighbours.notifications.stored.append(letter)
    with pytest.raises(HTTPError) as raised:
        official.get_pdf_for_letter(letter.id)
    assert first_error(raised.value)["error"] == "PDFNotReadyError"
    neighbours.letters.pdfs[letter.id] = b"%PDF" + b"x" * 3000
    assert official.get_pdf_for_letter(letter.id).read() == b"%PDF" + b"x" * 3000


def test_templates(official: NotificationsAPIClient, tenant: Tenant, neighbours: Neighbours) -> None:
    template = neighbours.admin.add_template(tenant.id, "sms", "Hello ((name))")
    assert official.get_template(template)["body"] == "Hello ((name))"
    assert official.get_template_version(template, 1)["version"] == 1
    assert [item["id"] for item in official.get_all_templates("sms")["templates"]] == [template]
    assert official.post_template_preview(template, {"name": "x"})["id"] == template


def test_errors(official: NotificationsAPIClient, neighbours: Neighbours) -> None:
    with pytest.raises(HTTPError) as raised:
        official.send_sms_notification(phone_number="x", template_id=TEMPLATE_ID)
    assert raised.value.status_code == 400
    assert raised.value.message == [
        {"error": "ValidationError", "message": "phone_number Must not contain letters or symbols"}
    ]
    neighbours.recorder.failures["SendSms"] = NotifyError("UNAVAILABLE")
    with pytest.raises(HTTP503Error):
        official.send_sms_notification(phone_number="07700900123", template_id=TEMPLATE_ID)


def test_a_file(official: NotificationsAPIClient) -> None:
    sent = official.send_email_notification(
        email_address="a@example.com",
        template_id=TEMPLATE_ID,
        personalisation={"link": prepare_upload(io.BytesIO(b"%PDF"))},
    )
    assert sent["uri"].endswith(f"/v2/notifications/{sent['id']}")


def test_a_precompiled_letter(official: NotificationsAPIClient, neighbours: Neighbours) -> None:
    sent = official.send_precompiled_letter_notification(
        reference="r", pdf_file=io.BytesIO(b"%PDF"), postage="economy"
    )
    assert (sent["reference"], sent["postage"]) == ("r", "economy")
    _, chunks = neighbours.letters.uploads[sent["id"]]
    assert chunks == [b"%PDF"]

"""Letters that people upload as PDFs in the admin web app (internal-api.md C1, B20, B21)."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from notify.common.v1.common_pb2 import Channel, KeyType, Postage
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify.notifications.v1.notification_pb2 import Cost, Notification
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import ADMIN_SECRET, bearer, make_token
from .neighbours import Neighbours, a_notification, timestamp


def by_admin() -> dict[str, str]:
    return bearer(make_token("notify-admin", ADMIN_SECRET))


def form(neighbours: Neighbours, **overrides: Any) -> dict[str, Any]:
    return {
        "postage": "second",
        "filename": "letter.pdf",
        "created_by": neighbours.admin.user_id,
        "file_id": str(uuid4()),
        "recipient_address": "Ann%20Other%0A1%20Street%0ASW1A%201AA",
        **overrides,
    }


def send(client: FlaskClient, service_id: str, body: Any) -> tuple[int, Any]:
    answer = client.post(f"/service/{service_id}/send-pdf-letter", json=body, headers=by_admin())
    return answer.status_code, answer.get_json()


def test_a_letter_is_taken_over_and_sent(internal_client: FlaskClient, neighbours: Neighbours) -> None:
    service = neighbours.admin.add_service()
    body = form(neighbours, postage="rest-of-world")
    assert send(internal_client, service, body) == (201, {"id": body["file_id"]})
    (take,) = neighbours.recorder.requests("TakeUploadedPdf")
    assert (take.service_id, take.letter_id) == (service, body["file_id"])
    (sent,) = neighbours.recorder.requests("SendPrecompiledLetter")
    assert sent == pb.SendPrecompiledLetterRequest(
        request_id=body["file_id"],
        caller=pb.Caller(
            service_id=service,
            key_type=KeyType.KEY_TYPE_NORMAL,
            created_by_id=neighbours.admin.user_id,
        ),
        template_id=neighbours.admin.precompiled_template(service).id,
        reference="letter.pdf",
        postage=Postage.POSTAGE_REST_OF_WORLD,
        pdf_sha256="a" * 64,
        recipient_address="Ann Other\n1 Street\nSW1A 1AA",
    )
    calls = [name for name, _ in neighbours.recorder.calls]
    assert calls.index("TakeUploadedPdf") < calls.index("SendPrecompiledLetter")


def test_a_letter_that_was_sent_is_not_sent_again(
    internal_client: FlaskClient, neighbours: Neighbours
) -> None:
    service = neighbours.admin.add_service()
    neighbours.recorder.failures["SendPrecompiledLetter"] = NotifyError("REQUEST_ID_REUSED")
    body = form(neighbours)
    neighbours.notifications.stored[:] = [a_notification(service, id=body["file_id"])]
    assert send(internal_client, service, body) == (201, {"id": body["file_id"]})
    status, _ = send(internal_client, service, form(neighbours))
    assert status == 404


def test_who_may_not_send(internal_client: FlaskClient, neighbours: Neighbours) -> None:
    trial = neighbours.admin.add_service(restricted=True)
    mute = neighbours.admin.add_service(permissions=["sms"])
    service = neighbours.admin.add_service(name="Pigeon post")
    sentence = (
        "Can’t send to this recipient when service is in trial mode – see "
        "https://www.notifications.service.gov.uk/trial-mode"
    )
    body = form(neighbours)
    assert send(internal_client, trial, body) == (400, {"result": "error", "message": sentence})
    sentence = "Service is not allowed to send letters"
    assert send(internal_client, mute, body) == (400, {"result": "error", "message": sentence})
    assert not neighbours.recorder.requests("TakeUploadedPdf")

    refusals = neighbours.recorder.failures
    facts = {"user": neighbours.admin.user_id, "service_name": "Pigeon post"}
    refusals["SendPrecompiledLetter"] = NotifyError("NOT_A_MEMBER", metadata=facts)
    sentence = 'Can’t create notification - Ann Member is not part of the "Pigeon post" service'
    assert send(internal_client, service, body) == (400, {"result": "error", "message": sentence})
    facts = {"counter": "letter", "limit": "50"}
    refusals["SendPrecompiledLetter"] = NotifyError("DAILY_LIMIT_REACHED", metadata=facts)
    status, told = send(internal_client, service, body)
    assert (status, told["message"]) == (429, "Exceeded send limits (letter: 50) for today")
    refusals["TakeUploadedPdf"] = NotifyError("UPLOAD_NOT_FOUND")
    status, told = send(internal_client, service, body)
    assert (status, told["message"]) == (500, "Internal server error")


@pytest.mark.parametrize("name", ["postage", "filename", "created_by", "file_id", "recipient_address"])
def test_nothing_may_be_missing(internal_client: FlaskClient, neighbours: Neighbours, name: str) -> None:
    body = form(neighbours)
    del body[name]
    status, told = send(internal_client, new_id(), body)
    assert (status, told["errors"][0]["message"]) == (400, f"{name} is a required property")


def test_values_that_are_none(internal_client: FlaskClient, neighbours: Neighbours) -> None:
    status, told = send(internal_client, new_id(), form(neighbours, postage="third"))
    sentence = "postage invalid. It must be first, second, economy, europe or rest-of-world."
    assert (status, told["errors"][0]["message"]) == (400, sentence)
    status, told = send(internal_client, new_id(), form(neighbours, file_id="x"))
    assert (status, told["message"]) == (404, "No result found")
    status, told = send(internal_client, new_id(), form(neighbours))
    assert (status, told["message"]) == (404, "No result found")


def test_days_that_have_letters(internal_client: FlaskClient, neighbours: Neighbours) -> None:
    service = neighbours.admin.add_service()
    deadline = timestamp(datetime(2026, 7, 31, 16, 30, tzinfo=UTC))
    day = pb.GetUploadedLetterCountsResponse.PrintDay(
        print_date="2026-07-31", deadline=deadline, letter_count=7
    )
    neighbours.notifications.print_days = [day] * 51
    answer = internal_client.get(f"/service/{service}/upload?limit_days=7", headers=by_admin())
    shown: dict[str, Any] = {
        "id": None,
        "original_file_name": "Uploaded letters",
        "notification_count": 7,
        "created_at": "2026-07-31 16:30:00",
        "upload_type": "letter_day",
        "template_type": "letter",
        "recipient": None,
        "statistics": [],
    }
    assert answer.get_json() == {"data": [shown] * 50, "page_size": 50, "total": 51, "links": {}}
    (asked,) = neighbours.recorder.requests("GetUploadedLetterCounts")
    assert asked.days == 7
    second = internal_client.get(f"/service/{service}/upload?page=2", headers=by_admin()).get_json()
    assert second["data"] == [shown]
    for page in ("0", "x", "-1", "9" * 9):
        answer = internal_client.get(f"/service/{service}/upload?page={page}", headers=by_admin())
        assert answer.status_code == 400


def test_letters_of_a_day(internal_client: FlaskClient, neighbours: Neighbours) -> None:
    service = neighbours.admin.add_service()
    template = neighbours.admin.precompiled_template(service)
    one = a_notification(
        service,
        Channel.CHANNEL_LETTER,
        recipient="Ann Other\nParis\nFrance",
        reference="letter.pdf",
        address={"address_line_1": "letter.pdf"},
        postage=Postage.POSTAGE_EUROPE,
        state=Notification.STATE_VALIDATION_FAILED,
        cost=Cost(letter_sheets=2),
        created_by_id=neighbours.admin.user_id,
    )
    neighbours.notifications.stored[:] = [one]
    path = f"/service/{service}/upload/uploaded-letters/2026-07-31"
    answer = internal_client.get(f"{path}?page=3", headers=by_admin()).get_json()
    assert (answer["total"], answer["page_size"], answer["links"]) == (1, 50, {})
    (letter,) = answer["notifications"]
    assert letter["created_by"]["name"] == "Ann Member"
    assert (letter["template"]["id"], letter["template"]["is_precompiled_letter"]) == (template.id, True)
    expected = {
        "id": one.id,
        "to": "Ann Other\nParis\nFrance",
        "normalised_to": "annotherparisfrance",
        "service": service,
        "notification_type": "letter",
        "status": "validation-failed",
        "key_type": "normal",
        "api_key": None,
        "client_reference": "letter.pdf",
        "personalisation": {"address_line_1": "letter.pdf"},
        "billable_units": 2,
        "international": True,
        "postage": "europe",
    }
    assert {name: letter[name] for name in expected} == expected
    (asked,) = neighbours.recorder.requests("GetUploadedLetters")
    assert (asked.print_date, asked.page_number, asked.template_id) == ("2026-07-31", 3, template.id)
    assert internal_client.get(f"{path[:-2]}32", headers=by_admin()).status_code == 400


def test_a_letter_is_cancelled(internal_client: FlaskClient, neighbours: Neighbours) -> None:
    service = neighbours.admin.add_service()
    template = neighbours.admin.add_template(service, "letter", "x", "s")
    letter = a_notification(service, Channel.CHANNEL_LETTER, template_id=template, template_version=1)
    letter.state = Notification.STATE_CANCELLED
    neighbours.notifications.stored[:] = [letter]
    path = f"/service/{service}/notifications/{letter.id}/cancel"
    answer = internal_client.post(path, json={}, headers=by_admin())
    shown = answer.get_json()
    assert (answer.status_code, shown["id"], shown["status"]) == (200, letter.id, "cancelled")
    (asked,) = neighbours.recorder.requests("CancelLetter")
    assert asked == pb.CancelLetterRequest(service_id=service, notification_id=letter.id)


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (NotifyError("NOTIFICATION_NOT_FOUND"), 404, "Notification not found"),
        (
            NotifyError("NOT_A_LETTER"),
            400,
            "Notification cannot be cancelled - only letters can be cancelled",
        ),
        (NotifyError("LETTER_CANCELLED"), 400, "This letter has already been cancelled."),
        (
            NotifyError("LETTER_TOO_LATE", metadata={"print_day": "today"}),
            400,
            "It’s too late to cancel this letter. Printing started today at 5.30pm",
        ),
        (
            NotifyError("LETTER_TOO_LATE", metadata={"print_day": "3 March"}),
            400,
            "It’s too late to cancel this letter. Printing started on 3 March at 5.30pm",
        ),
        (
            NotifyError(
                "LETTER_NOT_CANCELLABLE",
                metadata={"status": "sending", "create_time": "2026-03-02 12:00:00"},
            ),
            400,
            "We could not cancel this letter. Letter status: sending, created_at: 2026-03-02 12:00:00",
        ),
    ],
)
def test_why_a_letter_is_not_cancelled(
    internal_client: FlaskClient, neighbours: Neighbours, error: NotifyError, status: int, sentence: str
) -> None:
    neighbours.recorder.failures["CancelLetter"] = error
    path = f"/service/{new_id()}/notifications/{new_id()}/cancel"
    answer = internal_client.post(path, json={}, headers=by_admin())
    assert (answer.status_code, answer.json) == (status, {"result": "error", "message": sentence})

"""Messages through all real processes, sent with the official Python client."""

import io
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
from notifications_python_client.errors import HTTPError
from notifications_python_client.notifications import NotificationsAPIClient
from notify.admin.v1 import api_key_pb2, api_keys_service_pb2, api_keys_service_pb2_grpc
from notify.common.v1 import common_pb2
from notify_local.demo import DemoFile, send_demo_messages
from notify_local.seed import fixed_id, seed
from notify_testing import pdfs
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import House, eventually, log_lines


def text(house: House) -> dict[str, Any]:
    """Return a text that is accepted."""
    return {
        "template_id": house.seeded.templates["sms"],
        "phone_number": "07400123456",
        "personalisation": VALUES,
    }


ADDRESS = {"address_line_1": "A. Person", "address_line_2": "1 High Street", "address_line_3": "SW14 6BF"}
VALUES = {"name": "Amala", "date": "1 December"}


@pytest.fixture
def client(house: House) -> NotificationsAPIClient:
    """Provide the official client with the demo service's live key."""
    return NotificationsAPIClient(house.seeded.api_keys["normal"], base_url=house.stack.base_url)


def test_the_demo_delivers_one_message_of_each_channel(house: House) -> None:
    operator = house.stack.certificates["operator"]
    demo = DemoFile(
        {
            "base_url": house.stack.base_url,
            "api_keys": house.seeded.api_keys,
            "templates": house.seeded.templates,
            "grpc": {name: house.stack.first_address(name) for name in house.stack.grpc_targets},
            "certs": {"ca": str(operator.ca), "cert": str(operator.cert), "key": str(operator.key)},
        }
    )
    told: list[str] = []
    ids = send_demo_messages(demo, told.append)
    assert len(told) == 3
    for channel, notification_id in ids.items():
        page = requests.get(
            f"{house.stack.base_url}/console/messages/{notification_id}", timeout=WAIT_SECONDS
        )
        assert page.status_code == 200
        for step in ("Accepted", "Handed over", "Attempt 1", "Receipt"):
            assert step in page.text, (channel, step)
    inbox = requests.get(f"{house.stack.base_url}/console/", timeout=WAIT_SECONDS).text
    assert all(notification_id in inbox for notification_id in ids.values())


def test_a_letter_s_pdf_comes_back(house: House, client: NotificationsAPIClient) -> None:
    letter = client.send_letter_notification(
        template_id=house.seeded.templates["letter"], personalisation={**VALUES, **ADDRESS}
    )
    with pytest.raises(HTTPError) as raised:
        client.get_pdf_for_letter(str(uuid.uuid4()))
    assert raised.value.status_code == 404
    found: list[bytes] = []
    reasons: list[str] = []

    def ready() -> bool:
        try:
            found.append(client.get_pdf_for_letter(letter["id"]).read())
        except HTTPError as error:
            reasons.append(str(error.message))
            return False
        return True

    assert eventually(ready, WAIT_SECONDS)
    assert found[0].startswith(b"%PDF")
    assert all("PDFNotReadyError" in reason for reason in reasons)


def test_letters_that_come_as_pdfs_are_checked(house: House, client: NotificationsAPIClient) -> None:
    wanted = {"accepted": pdfs.letter(), "validation-failed": pdfs.letter(pdfs.bar(1, 1, 5, 5))}
    sent = {
        status: client.send_precompiled_letter_notification(reference=status, pdf_file=io.BytesIO(pdf))
        for status, pdf in wanted.items()
    }

    def statuses() -> dict[str, str]:
        return {name: client.get_notification_by_id(one["id"])["status"] for name, one in sent.items()}

    assert eventually(lambda: all(name == status for name, status in statuses().items()), WAIT_SECONDS)
    good = client.get_notification_by_id(sent["accepted"]["id"])
    assert (good["line_1"], good["subject"]) == ("Provided as PDF", "Pre-compiled PDF")
    assert good["cost_details"]["billable_sheets_of_paper"] == 1
    assert client.get_pdf_for_letter(good["id"]).read().startswith(b"%PDF")
    bad = sent["validation-failed"]["id"]
    assert client.get_pdf_for_letter(bad).read() == wanted["validation-failed"]


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("07700900003", "temporary-failure"),
        ("07700900002", "permanent-failure"),
        ("07700900001", "delivered"),
        ("+33612345678", "delivered"),
        ("+15417543010", "sent"),
    ],
)
def test_a_test_key_s_recipients_script_the_outcome(house: House, number: str, status: str) -> None:
    client = NotificationsAPIClient(house.seeded.api_keys["test"], base_url=house.stack.base_url)
    sent = client.send_sms_notification(
        phone_number=number, template_id=house.seeded.templates["sms"], personalisation=VALUES
    )
    assert eventually(lambda: client.get_notification_by_id(sent["id"])["status"] == status, WAIT_SECONDS)


def test_a_revoked_key_stops_working_everywhere(house: House) -> None:
    key_id = str(uuid.uuid4())
    with house.channel("admin") as channel:
        stub = api_keys_service_pb2_grpc.ApiKeysServiceStub(channel)
        made = stub.CreateApiKey(
            api_keys_service_pb2.CreateApiKeyRequest(
                request_id=key_id,
                api_key=api_key_pb2.ApiKey(
                    service_id=house.seeded.service_id,
                    name=f"short-lived {key_id}",
                    key_type=common_pb2.KEY_TYPE_NORMAL,
                    created_by_id=fixed_id("user"),
                ),
            ),
            timeout=WAIT_SECONDS,
        )
        client = NotificationsAPIClient(
            f"short-{house.seeded.service_id}-{made.secret}", base_url=house.stack.base_url
        )
        assert eventually(lambda: status_of(client) == 200, WAIT_SECONDS)
        stub.RevokeApiKey(
            api_keys_service_pb2.RevokeApiKeyRequest(service_id=house.seeded.service_id, api_key_id=key_id),
            timeout=WAIT_SECONDS,
        )
    assert eventually(lambda: status_of(client) == 403, WAIT_SECONDS)


def status_of(client: NotificationsAPIClient) -> int:
    """Return the status of an ordinary read."""
    try:
        client.get_all_notifications()
    except HTTPError as error:
        return int(error.status_code)
    return 200


def test_ids_of_another_service_are_unknown(house: House, client: NotificationsAPIClient) -> None:
    other = seed(house.stack, "Another service")
    stranger = NotificationsAPIClient(other.api_keys["normal"], base_url=house.stack.base_url)
    mine = client.send_sms_notification(
        phone_number="07400123456", template_id=house.seeded.templates["sms"], personalisation=VALUES
    )["id"]
    calls: tuple[Callable[[], object], ...] = (
        lambda: stranger.get_notification_by_id(mine),
        lambda: stranger.get_pdf_for_letter(mine),
        lambda: stranger.get_template(house.seeded.templates["sms"]),
    )
    for call in calls:
        with pytest.raises(HTTPError) as raised:
            call()
        assert raised.value.status_code == 404
    with pytest.raises(HTTPError) as raised:
        stranger.send_sms_notification(
            phone_number="07400123456", template_id=house.seeded.templates["sms"], personalisation=VALUES
        )
    assert raised.value.message[0] == {"error": "BadRequestError", "message": "Template not found"}
    assert mine not in {item["id"] for item in stranger.get_all_notifications()["notifications"]}


BAD_REQUESTS: list[tuple[str, Any, int, str]] = [
    ("sms", b"{", 400, "Invalid JSON supplied in POST data"),
    ("sms", {}, 400, "phone_number is a required property"),
    ("sms", {"phone_number": "not a number"}, 400, "Must not contain letters or symbols"),
    (
        "sms",
        {"phone_number": "07400123456", "personalisation": {}},
        400,
        "Missing personalisation: name, date",
    ),
    ("sms", {"phone_number": "07400123456", "unknown": 1}, 400, "Additional properties are not allowed"),
    ("sms", {"phone_number": "07400123456", "template_id": str(uuid.uuid4())}, 400, "Template not found"),
    ("email", {"email_address": "nobody"}, 400, "Not a valid email address"),
    ("letter", {"personalisation": {"address_line_1": "x"}}, 400, "Missing personalisation: date, name"),
    ("sms", b"x" * 11_000_000, 413, "too large"),
]


@pytest.mark.parametrize(("channel", "body", "status", "sentence"), BAD_REQUESTS)
def test_bad_input_writes_nothing(house: House, channel: str, body: Any, status: int, sentence: str) -> None:
    before = row_counts(house)
    if isinstance(body, dict) and body and "template_id" not in body:
        body = {"template_id": house.seeded.templates[channel], **body}
    answer = requests.post(
        f"{house.stack.base_url}/v2/notifications/{channel}",
        headers=house.headers(**{"Idempotency-Key": str(uuid.uuid4())}),
        timeout=WAIT_SECONDS,
        **({"data": body} if isinstance(body, bytes) else {"json": body}),
    )
    assert answer.status_code == status, answer.text
    assert sentence in answer.text
    assert row_counts(house) == before


def row_counts(house: House) -> list[tuple[Any, ...]]:
    """Return how many rows accepting has left that stay: notifications, and the keys that clients sent with
    them.
    """
    return house.query(
        "notifications",
        "SELECT (SELECT count(*) FROM notifications), (SELECT count(*) FROM idempotency_keys)",
    )


def test_a_token_that_is_wrong_or_old_is_refused(house: House) -> None:
    key = house.seeded.api_keys["normal"]
    before = row_counts(house)
    for secret, age in ((key[-36:], 31 + 30), (str(uuid.uuid4()), 0)):
        issued_at = int(time.time()) - age
        token = jwt.encode({"iss": key[-73:-37], "iat": issued_at}, secret, "HS256")
        answer = requests.post(
            f"{house.stack.base_url}/v2/notifications/sms",
            json=text(house),
            headers={"Authorization": f"Bearer {token}"},
            timeout=WAIT_SECONDS,
        )
        assert (answer.status_code, answer.json()["errors"][0]["error"]) == (403, "AuthError")
    assert row_counts(house) == before


def test_no_log_holds_a_person(house: House, client: NotificationsAPIClient) -> None:
    marks = {"name": "Zanzibarina", "date": "the 31st of Nevuary"}
    sent = client.send_sms_notification(
        phone_number="07400987651", template_id=house.seeded.templates["sms"], personalisation=marks
    )["id"]
    client.send_email_notification(
        email_address="zanzibarina.secret@example.com",
        template_id=house.seeded.templates["email"],
        personalisation={**marks, "needs parking": "yes"},
    )
    letter = client.send_letter_notification(
        template_id=house.seeded.templates["letter"],
        personalisation={**marks, **ADDRESS, "address_line_2": "77 Zanzibarina Street"},
    )["id"]
    refused = client.send_email_notification(
        email_address="refused@sandbox.notify",
        template_id=house.seeded.templates["email"],
        personalisation={**marks, "needs parking": "no"},
    )["id"]
    for channel, body in marked_bad_bodies(house, marks):
        answer = requests.post(
            f"{house.stack.base_url}/v2/notifications/{channel}",
            json=body,
            headers=house.headers(**{"Idempotency-Key": "zanzibarina"}),
            timeout=WAIT_SECONDS,
        )
        assert 400 <= answer.status_code < 500, answer.text
    search = {"q": "zanzibarina"}
    assert (
        requests.get(f"{house.stack.base_url}/console/", params=search, timeout=WAIT_SECONDS).status_code
        == 200
    )
    client.get_all_notifications(reference="zanzibarina")
    house.wait_for_states([sent], "delivered")
    house.wait_for_states([refused], "technical-failure")
    house.wait_until_typeset([letter])
    secret = house.seeded.api_keys["normal"][-36:]
    logs = [*house.stack.folder.rglob("*.log"), house.stack.folder / "postgres" / "log"]
    assert {log.stem for log in logs} >= {*house.stack.processes, "redis", "object-store", "log"}
    forbidden = re.compile(
        rf"zanzibarina|nevuary|7400987651|refused@sandbox|{secret}|{VALUES['name']}", re.IGNORECASE
    )
    for log in logs:
        assert [
            line for line in log.read_text(errors="replace").splitlines() if forbidden.search(line)
        ] == [], log


def marked_bad_bodies(house: House, marks: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return channel and body of requests that fail at different depths, each with personal data in it."""
    sms, email, letter = (house.seeded.templates[channel] for channel in ("sms", "email", "letter"))
    phone = {"phone_number": "07400987651"}
    return [
        ("sms", {"template_id": sms, "phone_number": "+999 Zanzibarina", "personalisation": marks}),
        ("sms", {"template_id": sms, **phone, "personalisation": marks, "Zanzibarina": 1}),
        ("sms", {"template_id": sms, **phone, "personalisation": {"name": "Zanzibarina"}}),
        ("sms", {"template_id": sms, **phone, "personalisation": {**marks, "name": "Zanzibarina " * 500}}),
        ("sms", {"template_id": email, **phone, "personalisation": marks}),
        ("sms", {"template_id": str(uuid.uuid4()), **phone, "personalisation": marks}),
        ("email", {"template_id": email, "email_address": "zanzibarina at home", "personalisation": marks}),
        ("letter", {"template_id": letter, "personalisation": {**marks, "address_line_1": "Zanzibarina"}}),
    ]


def test_one_trace_follows_a_message_from_the_request_to_the_provider_call(house: House) -> None:
    trace_id = uuid.uuid4().hex
    house.collector.watch(trace_id)
    answer = requests.post(
        f"{house.stack.base_url}/v2/notifications/sms",
        json=text(house),
        headers=house.headers(traceparent=f"00-{trace_id}-00f067aa0ba902b7-01"),
        timeout=WAIT_SECONDS,
    )
    assert answer.status_code == 201
    wanted = {
        ("gateway-public", "POST /v2/notifications/sms"),
        ("notifications", "notify.notifications.v1.NotificationsService/BatchSend"),
        ("providers", "provider call"),
    }
    assert eventually(lambda: wanted <= house.collector.spans(trace_id), WAIT_SECONDS)


def test_one_request_id_follows_a_message_through_the_house(house: House) -> None:
    """The edge gives it, whatever a client says; the provider call still has it."""
    theirs = uuid.uuid4().hex
    notification_id = requests.post(
        f"{house.stack.base_url}/v2/notifications/sms",
        json=text(house),
        headers=house.headers(**{"X-Request-Id": theirs}),
        timeout=WAIT_SECONDS,
    ).json()["id"]
    house.wait_for_states([notification_id], "delivered")
    kept = house.query("providers", "SELECT request_id FROM sandbox_messages WHERE id = %s", notification_id)
    request_id = kept[0][0]
    assert request_id not in ("", theirs)
    logged = [
        (line["event"], line["service_id"], line["notification_id"])
        for copy in house.stack.copies_of("notifications")
        for line in log_lines(house.stack.folder, copy)
        if line.get("request_id") == request_id and line["event"] != "call served"  # which is one for many
    ]
    assert logged == [("message accepted", house.seeded.service_id, notification_id)]


def test_the_same_idempotency_key_at_once_makes_one_message(house: House) -> None:
    key = str(uuid.uuid4())
    body = {**text(house), "reference": key}
    answers: list[tuple[int, str]] = []

    def send() -> None:
        answer = requests.post(
            f"{house.stack.base_url}/v2/notifications/sms",
            json=body,
            headers=house.headers(**{"Idempotency-Key": key}),
            timeout=WAIT_SECONDS,
        )
        answers.append((answer.status_code, answer.json()["id"]))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert answers[0][0] == 201
    assert house.query("notifications", "SELECT count(*) FROM notifications WHERE reference = %s", key) == [
        (1,)
    ]
    other = requests.post(
        f"{house.stack.base_url}/v2/notifications/sms",
        json={**body, "phone_number": "07400123457"},
        headers=house.headers(**{"Idempotency-Key": key}),
        timeout=WAIT_SECONDS,
    )
    assert (other.status_code, other.json()["errors"][0]["error"]) == (422, "UnprocessableEntityError")

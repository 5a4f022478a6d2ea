"""GET /v2/notifications… (public-api.md §3.1 to §3.3)."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from notify.common.v1.common_pb2 import Channel, KeyType, Postage
from notify.notifications.v1.callbacks_service_pb2 import Callback, CallbackAttempt, GetCallbackResponse
from notify.notifications.v1.notification_pb2 import Cost, Notification
from notify.notifications.v1.notifications_service_pb2 import Quota
from notify.providers.v1.dispatch_pb2 import Attempt, Receipt
from notify_common.errors import NotifyError
from notify_gateway.public import schemas

from .conftest import Tenant, new_tenant
from .neighbours import Neighbours, a_notification, timestamp

CREATED = datetime(2026, 11, 24, 7, 10, 18, 836655, UTC)
SENT = datetime(2026, 11, 24, 7, 10, 19, tzinfo=UTC)
NOT_FOUND = {"errors": [{"error": "NoResultFound", "message": "No result found"}], "status_code": 404}
NO_COST: dict[str, object] = {"is_cost_data_ready": False, "cost_in_pounds": None, "cost_details": {}}
NO_ADDRESS = dict.fromkeys([*(f"line_{n}" for n in range(1, 7)), "postcode"])


def store(neighbours: Neighbours, tenant: Tenant, *args: Any, **facts: Any) -> Notification:
    found = a_notification(tenant.id, *args, **facts)
    neighbours.notifications.stored.append(found)
    return found


def read(client: FlaskClient, tenant: Tenant, found: Notification) -> dict[str, Any]:
    response = client.get(f"/v2/notifications/{found.id}", headers=tenant.headers())
    assert response.status_code == 200
    body: dict[str, Any] = response.get_json()
    return body


def test_a_new_text(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    found = store(neighbours, tenant, create_time=timestamp(CREATED))
    assert read(client, tenant, found) == {
        "id": found.id,
        "reference": None,
        "type": "sms",
        "status": "created",
        "email_address": None,
        "phone_number": "07700 900123",
        "postage": None,
        "template": {
            "id": found.template_id,
            "version": 1,
            "uri": f"http://localhost/v2/template/{found.template_id}/version/1",
        },
        "subject": None,
        "body": "Hello",
        "created_at": "2026-11-24T07:10:18.836655Z",
        "created_by_name": None,
        "sent_at": None,
        "completed_at": None,
        "scheduled_for": None,
        "one_click_unsubscribe_url": None,
        **NO_ADDRESS,
        **NO_COST,
    }


def test_a_delivered_text(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    found = store(
        neighbours,
        tenant,
        reference="",
        state=Notification.STATE_DELIVERED,
        sent_time=timestamp(SENT),
        update_time=timestamp(SENT),
        cost=Cost(
            amount_micropounds=45_400,
            sms_fragments=2,
            international_rate_multiplier=1,
            sms_rate_micropounds=22_700,
        ),
    )
    body = read(client, tenant, found)
    assert body["reference"] == ""
    assert body["sent_at"] == body["completed_at"] == "2026-11-24T07:10:19.000000Z"
    assert (body["is_cost_data_ready"], body["cost_in_pounds"]) == (True, 0.0454)
    assert body["cost_details"] == {
        "billable_sms_fragments": 2,
        "international_rate_multiplier": 1.0,
        "sms_rate": 0.0227,
    }


def test_an_email(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    found = store(
        neighbours,
        tenant,
        Channel.CHANNEL_EMAIL,
        subject="Hi",
        one_click_unsubscribe_url="https://example.com/u",
        cost=Cost(),
        state=Notification.STATE_SENDING,
        update_time=timestamp(SENT),
    )
    body = read(client, tenant, found)
    assert (body["email_address"], body["phone_number"]) == ("Amala@example.com", None)
    assert (body["subject"], body["one_click_unsubscribe_url"]) == ("Hi", "https://example.com/u")
    assert (body["is_cost_data_ready"], body["cost_in_pounds"], body["cost_details"]) == (True, 0.0, {})
    assert (body["status"], body["completed_at"]) == ("sending", None)
    assert "estimated_delivery" not in body


def test_a_letter(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    found = store(
        neighbours,
        tenant,
        Channel.CHANNEL_LETTER,
        subject="Your appointment",
        address={"address_line_1": "Amala", "address_line_2": "1 Street", "postcode": "SW14 6BF"},
        postage=Postage.POSTAGE_REST_OF_WORLD,
        estimated_delivery_time=timestamp(SENT),
        cost=Cost(amount_micropounds=990_000, letter_sheets=3),
    )
    body = read(client, tenant, found)
    assert body["line_1"] == "Amala"
    assert (body["line_2"], body["line_3"], body["postcode"]) == ("1 Street", None, "SW14 6BF")
    assert body["postage"] == "rest-of-world"
    assert body["estimated_delivery"] == "2026-11-24T07:10:19.000000Z"
    assert body["cost_details"] == {"billable_sheets_of_paper": 3, "postage": "rest-of-world"}
    assert body["cost_in_pounds"] == 0.99


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (Notification.STATE_CREATED, "accepted"),
        (Notification.STATE_SENDING, "accepted"),
        (Notification.STATE_DELIVERED, "received"),
        (Notification.STATE_RETURNED_LETTER, "received"),
        (Notification.STATE_CANCELLED, "cancelled"),
        (Notification.STATE_PENDING_VIRUS_CHECK, "pending-virus-check"),
        (Notification.STATE_VIRUS_SCAN_FAILED, "virus-scan-failed"),
        (Notification.STATE_VALIDATION_FAILED, "validation-failed"),
        (Notification.STATE_TECHNICAL_FAILURE, "technical-failure"),
    ],
)
def test_statuses_of_letters(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, state: int, shown: str
) -> None:
    postage = Postage.POSTAGE_SECOND
    found = store(neighbours, tenant, Channel.CHANNEL_LETTER, state=state, postage=postage)
    assert read(client, tenant, found)["status"] == shown


@pytest.mark.parametrize("spelling", [str.upper, lambda text: text.replace("-", ""), "{{{}}}".format])
def test_ids_in_other_spellings(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, spelling: Any
) -> None:
    found = store(neighbours, tenant)
    response = client.get(f"/v2/notifications/{spelling(found.id)}", headers=tenant.headers())
    assert response.get_json()["id"] == found.id


def test_ids_that_are_none(client: FlaskClient, tenant: Tenant) -> None:
    for text in ("abc", "sms", "%00", "x" * 500):
        for path in (f"/v2/notifications/{text}", f"/v2/notifications/{text}/pdf"):
            response = client.get(path, headers=tenant.headers())
            assert response.get_json() == {
                "errors": [{"error": "ValidationError", "message": "notification_id is not a valid UUID"}],
                "status_code": 400,
            }


def test_notifications_of_others_do_not_exist(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    found = store(neighbours, new_tenant(neighbours))
    for path in (f"/v2/notifications/{found.id}", f"/v2/notifications/{uuid4()}"):
        response = client.get(path, headers=tenant.headers())
        assert (response.status_code, response.get_json()) == (404, NOT_FOUND)


def list_them(client: FlaskClient, tenant: Tenant, query: str, **how: Any) -> Any:
    return client.get(f"/v2/notifications{query}", headers=tenant.headers(**how))


def test_filters_are_passed_on(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    older = str(uuid4())
    query = (
        "?template_type=email&template_type=letter&status=failed&status=accepted&reference=a%20b"
        f"&older_than={older.upper()}&include_jobs=true&reference=second"
    )
    assert list_them(client, tenant, query, key_type="test").status_code == 200
    [asked] = neighbours.recorder.requests("ListNotifications")
    assert (asked.service_id, asked.key_type) == (tenant.id, KeyType.KEY_TYPE_TEST)
    assert list(asked.channels) == [Channel.CHANNEL_EMAIL, Channel.CHANNEL_LETTER]
    assert set(asked.states) == {
        Notification.STATE_TECHNICAL_FAILURE,
        Notification.STATE_TEMPORARY_FAILURE,
        Notification.STATE_PERMANENT_FAILURE,
        Notification.STATE_VALIDATION_FAILED,
        Notification.STATE_VIRUS_SCAN_FAILED,
        Notification.STATE_EXPIRED,
        Notification.STATE_CREATED,
        Notification.STATE_SENDING,
    }
    assert (asked.reference, asked.older_than_id, asked.page_size) == ("a b", older, 250)


def test_no_filters(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    response = list_them(client, tenant, "")
    assert response.get_json() == {
        "notifications": [],
        "links": {"current": "http://localhost/v2/notifications"},
    }
    list_them(client, tenant, "?reference=")
    first, second = neighbours.recorder.requests("ListNotifications")
    assert not first.HasField("reference")
    assert second.HasField("reference")
    assert (list(first.states), first.older_than_id) == ([], "")


def test_returned_letters_are_found_by_that_word_alone(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    """They show as received, and are not found by it (public-api.md §3.2)."""
    list_them(client, tenant, "?status=returned-letter")
    list_them(client, tenant, "?status=received")
    returned, received = neighbours.recorder.requests("ListNotifications")
    assert list(returned.states) == [Notification.STATE_RETURNED_LETTER]
    assert list(received.states) == [Notification.STATE_DELIVERED]


def test_links(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    stored = [store(neighbours, tenant) for _ in range(3)]
    first = list_them(client, tenant, "?status=created&reference=a%26b&status=sending").get_json()
    assert first["links"]["current"] == (
        "http://localhost/v2/notifications?status=created&status=sending&reference=a%26b"
    )
    assert first["links"]["next"] == f"{first['links']['current']}&older_than={stored[1].id}"
    second = client.get(first["links"]["next"], headers=tenant.headers()).get_json()
    assert [item["id"] for item in second["notifications"]] == [stored[2].id]
    assert second["links"]["next"].count("older_than") == 1
    third = client.get(second["links"]["next"], headers=tenant.headers()).get_json()
    assert third["notifications"] == []
    assert "next" not in third["links"]


def test_a_filter_writes_no_header(client: FlaskClient, tenant: Tenant) -> None:
    answer = list_them(client, tenant, "?reference=a%0D%0ASet-Cookie:%20b")
    link = "http://localhost/v2/notifications?reference=a%0D%0ASet-Cookie%3A+b"
    assert (answer.status_code, answer.get_json()["links"]["current"]) == (200, link)
    assert "Set-Cookie" not in answer.headers


def test_the_first_uuid_of_a_link_is_the_place_to_go_on(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    stored = store(neighbours, tenant)
    link = list_them(client, tenant, f"?reference={uuid4()}").json["links"]["next"]
    assert urlsplit(link).query.startswith(f"older_than={stored.id}&")
    assert set(parse_qs(urlsplit(link).query)) == {"older_than", "reference"}


@pytest.mark.parametrize(
    ("query", "sentences"),
    [
        ("?page=2", ["Additional properties are not allowed (page was unexpected)"]),
        ("?older_than=", ["older_than is not a valid UUID"]),
        ("?template_type=orange", ["template_type orange is not one of [sms, email, letter]"]),
        ("?include_jobs=false", ["include_jobs false is not one of [true, True]"]),
    ],
)
def test_bad_filters(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, query: str, sentences: list[str]
) -> None:
    response = list_them(client, tenant, query)
    assert response.status_code == 400
    assert [error["message"] for error in response.get_json()["errors"]] == sentences
    assert not neighbours.recorder.requests("ListNotifications")


def test_several_bad_filters(client: FlaskClient, tenant: Tenant) -> None:
    response = list_them(client, tenant, "?template_type=orange&status=elephant&status=created&status=tiger")
    known = ", ".join(schemas.STATUSES)
    assert [error["message"] for error in response.get_json()["errors"]] == [
        f"status elephant is not one of [{known}]",
        f"status tiger is not one of [{known}]",
        "template_type orange is not one of [sms, email, letter]",
    ]


def test_nul_in_a_filter(client: FlaskClient, tenant: Tenant) -> None:
    response = list_them(client, tenant, "?reference=%00")
    assert (response.status_code, response.get_json()["errors"][0]["error"]) == (404, "DataError")


def a_letter(neighbours: Neighbours, tenant: Tenant, **facts: Any) -> str:
    defaults = {"channel": Channel.CHANNEL_LETTER, "postage": Postage.POSTAGE_SECOND}
    return store(neighbours, tenant, **defaults | facts).id


def test_a_pdf(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    letter_id = a_letter(neighbours, tenant)
    pdf = bytes(range(256)) * 20
    neighbours.letters.pdfs[letter_id] = pdf
    response = client.get(f"/v2/notifications/{letter_id}/pdf", headers=tenant.headers())
    assert (response.status_code, response.data) == (200, pdf)
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Length"] == str(len(pdf))
    assert "Content-Disposition" not in response.headers
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    head = client.head(f"/v2/notifications/{letter_id}/pdf", headers=tenant.headers())
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(pdf)))


@pytest.mark.parametrize(
    ("facts", "status", "error", "sentence"),
    [
        ({"channel": Channel.CHANNEL_SMS}, 400, "BadRequestError", "Notification is not a letter"),
        (
            {"state": Notification.STATE_TECHNICAL_FAILURE},
            400,
            "BadRequestError",
            "PDF not available for letters in status technical-failure",
        ),
        ({}, 400, "PDFNotReadyError", "PDF not available yet, try again later"),
        (
            {"state": Notification.STATE_PENDING_VIRUS_CHECK},
            400,
            "PDFNotReadyError",
            "PDF not available yet, try again later",
        ),
        (
            {"state": Notification.STATE_VIRUS_SCAN_FAILED},
            400,
            "BadRequestError",
            "File did not pass the virus scan",
        ),
    ],
)
def test_pdfs_that_are_not_there(
    client: FlaskClient,
    tenant: Tenant,
    neighbours: Neighbours,
    facts: dict[str, Any],
    status: int,
    error: str,
    sentence: str,
) -> None:
    letter_id = a_letter(neighbours, tenant, **facts)
    response = client.get(f"/v2/notifications/{letter_id}/pdf", headers=tenant.headers())
    assert (response.status_code, response.get_json()["errors"]) == (
        status,
        [{"error": error, "message": sentence}],
    )


def test_a_letter_that_is_not_handed_over_yet(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    letter_id = a_letter(neighbours, tenant)
    neighbours.recorder.failures["DownloadPdf"] = NotifyError("LETTER_NOT_FOUND")
    response = client.get(f"/v2/notifications/{letter_id}/pdf", headers=tenant.headers())
    assert response.get_json()["errors"][0]["error"] == "PDFNotReadyError"


def test_a_pdf_that_breaks_off_is_no_whole_answer(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    letter_id = a_letter(neighbours, tenant)
    neighbours.letters.pdfs[letter_id] = b"x" * 5000
    neighbours.letters.break_off = True
    response = client.get(f"/v2/notifications/{letter_id}/pdf", headers=tenant.headers())
    assert response.content_length == 5000
    with pytest.raises(NotifyError):
        response.get_data()


def moment(second: int) -> Any:
    return timestamp(datetime(2026, 3, 5, 12, 0, second, tzinfo=UTC))


def test_the_timeline_of_a_text(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    found = store(
        neighbours,
        tenant,
        state=Notification.STATE_DELIVERED,
        create_time=moment(1),
        hand_over_time=moment(2),
        update_time=moment(7),
    )
    first = Attempt(number=1, provider="mmg", start_time=moment(3), end_time=moment(4), choice="share")
    first.outcome, first.reason = Attempt.OUTCOME_RETRYABLE, "timeout"
    second = Attempt(number=2, provider="firetext", start_time=moment(5), choice="other-turned-away")
    receipt = Receipt(provider="firetext", status="0", receive_time=moment(6))
    neighbours.providers.timelines[found.id] = ([first, second], [receipt])
    callback = Callback(id=str(uuid4()), service_id=tenant.id, type="delivery_status", subject_id=found.id)
    tries = [
        CallbackAttempt(number=1, start_time=moment(8), end_time=moment(9), failure="timeout"),
        CallbackAttempt(number=2, start_time=moment(10), end_time=moment(11), status=200),
    ]
    neighbours.callbacks.told.append(GetCallbackResponse(callback=callback, attempts=tries))
    answer = client.get(f"/v2/notifications/{found.id}/timeline", headers=tenant.headers())
    assert answer.status_code == 200
    body = answer.get_json()
    assert (body["notification_id"], body["status"], body["left_out"]) == (found.id, "delivered", [])
    assert [(event["type"], int(event["time"][17:19])) for event in body["events"]] == [
        ("accepted", 1),
        ("handed-over", 2),
        ("attempt", 3),
        ("attempt-ended", 4),
        ("attempt", 5),
        ("receipt", 6),
        ("status", 7),
        ("callback-attempt", 8),
        ("callback-attempt", 10),
    ]
    assert body["events"][2] | {"chosen_because": "share"} == body["events"][2]
    assert body["events"][3] | {"outcome": "retryable", "reason": "timeout"} == body["events"][3]
    assert body["events"][7] | {"http_status": None, "failure": "timeout"} == body["events"][7]
    assert "07700" not in answer.text


def test_a_timeline_without_what_can_not_be_asked(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    found = store(neighbours, tenant)
    neighbours.recorder.failures |= {
        "GetDispatch": NotifyError("UNAVAILABLE"),
        "ListCallbacks": NotifyError("UNAVAILABLE"),
    }
    body = client.get(f"/v2/notifications/{found.id}/timeline", headers=tenant.headers()).get_json()
    assert [event["type"] for event in body["events"]] == ["accepted"]
    assert body["left_out"] == ["providers", "callbacks"]


def test_timelines_of_others_do_not_exist(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    found = store(neighbours, new_tenant(neighbours))
    answer = client.get(f"/v2/notifications/{found.id}/timeline", headers=tenant.headers())
    assert (answer.status_code, answer.get_json()["errors"][0]["error"]) == (404, "NoResultFound")
    assert neighbours.recorder.requests("GetDispatch") == []
    assert client.get("/v2/notifications/x/timeline", headers=tenant.headers()).status_code == 400


def test_lists_say_what_is_left_of_their_own_limit(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    neighbours.notifications.quota = Quota(limit=999, remaining=12, reset_seconds=20)
    answer = client.get("/v2/notifications", headers=tenant.headers())
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
    assert [answer.headers[name] for name in names] == ["999", "12", "20"]

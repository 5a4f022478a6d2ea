"""POST /v2/notifications/… (public-api.md §2)."""

import base64
import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from notify.common.v1.common_pb2 import Channel, KeyType
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.reasons import Code
from notify_testing.waiting import until
from werkzeug.test import TestResponse

from .conftest import Tenant, new_tenant
from .neighbours import Neighbours

TEMPLATE_ID = "f33517ff-2a88-4f6e-b855-c550268ce08a"
SMS = {"phone_number": "07700 900123", "template_id": TEMPLATE_ID}
EMAIL = {"email_address": "Amala@example.com", "template_id": TEMPLATE_ID}
ADDRESS = {"address_line_1": "Amala Bird", "address_line_2": "123 High Street", "postcode": "SW14 6BF"}
LETTER = {"template_id": TEMPLATE_ID, "personalisation": ADDRESS}
BODIES: dict[str, dict[str, Any]] = {"sms": SMS, "email": EMAIL, "letter": LETTER}
METHODS = {"sms": "SendSms", "email": "SendEmail", "letter": "SendLetter"}
Send = Callable[..., TestResponse]


@pytest.fixture
def send(client: FlaskClient, tenant: Tenant) -> Send:
    def send(channel: str, body: Any, *, key_type: str = "normal", **headers: str) -> TestResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        everything = tenant.headers(key_type) | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        return client.post(f"/v2/notifications/{channel}", data=data, headers=everything)

    return send


def messages(response: TestResponse, error: str = "ValidationError", status: int = 400) -> list[str]:
    """Return the sentences of a refusal in the v2 shape."""
    assert response.status_code == status
    assert response.get_json()["status_code"] == status
    assert {entry["error"] for entry in response.get_json()["errors"]} == {error}
    return [entry["message"] for entry in response.get_json()["errors"]]


def test_a_text(send: Send, tenant: Tenant, neighbours: Neighbours) -> None:
    response = send("sms", SMS | {"reference": "your réf"})
    assert response.status_code == 201
    [asked] = neighbours.recorder.requests("SendSms")
    message_id = asked.request_id
    assert UUID(message_id).version == 7
    assert (asked.caller.service_id, asked.caller.api_key_id) == (tenant.id, tenant.normal.api_key_id)
    assert asked.caller.key_type == KeyType.KEY_TYPE_NORMAL
    assert (asked.phone_number, asked.template_id) == ("07700 900123", TEMPLATE_ID)
    assert (asked.reference, asked.sms_sender_id, asked.idempotency_key) == ("your réf", "", "")
    assert response.get_json() == {
        "id": message_id,
        "reference": "your réf",
        "content": {"body": "Hello", "from_number": "GOVUK"},
        "uri": f"http://localhost/v2/notifications/{message_id}",
        "template": {
            "id": TEMPLATE_ID,
            "version": 3,
            "uri": f"http://localhost/services/{tenant.id}/templates/{TEMPLATE_ID}",
        },
        "scheduled_for": None,
    }
    # Sorted keys, compact, ASCII, a line feed at the end (public-api.md §0.3).
    text = response.get_data(as_text=True)
    assert text.startswith('{"content":{"body":"Hello","from_number":"GOVUK"},"id":"')
    assert '"reference":"your r\\u00e9f"' in text
    assert text.endswith("}\n")


def test_an_email(send: Send, neighbours: Neighbours) -> None:
    more = {
        "one_click_unsubscribe_url": "https://example.com/u?x=1",
        "email_reply_to_id": TEMPLATE_ID,
        "sanitise_content_for": ["name"],
        "personalisation": {"name": "a_b"},
    }
    response = send("email", EMAIL | more)
    assert response.status_code == 201
    assert response.get_json()["content"] == {
        "subject": "Hi",
        "body": "Dear Amala",
        "from_email": "pigeons@notify.example",
        "one_click_unsubscribe_url": "https://example.com/u?x=1",
    }
    assert response.get_json()["sanitised_content"] == {"name": {"unsanitised": "a_b", "sanitised": "a\\_b"}}
    [asked] = neighbours.recorder.requests("SendEmail")
    assert asked.email_address == "Amala@example.com"
    assert asked.email_reply_to_id == TEMPLATE_ID
    assert list(asked.sanitise_content_for) == ["name"]
    plain = send("email", EMAIL | {"sanitise_content_for": None})
    assert plain.get_json()["sanitised_content"] == {}
    assert plain.get_json()["content"]["one_click_unsubscribe_url"] is None
    assert plain.get_json()["reference"] is None


def test_a_letter(send: Send, neighbours: Neighbours) -> None:
    response = send("letter", LETTER, key_type="test")
    assert response.status_code == 201
    assert response.get_json()["content"] == {"subject": "A &lt;b&gt;", "body": "Dear Amala"}
    assert "sanitised_content" not in response.get_json()
    [asked] = neighbours.recorder.requests("SendLetter")
    assert asked.caller.key_type == KeyType.KEY_TYPE_TEST
    assert [entry.key for entry in asked.personalisation] == list(ADDRESS)


def test_personalisation_becomes_text_in_order(send: Send, neighbours: Neighbours) -> None:
    raw = (
        '{"b": true, "a": 1.50, "n": null, "i": 12, "list": ["x", null, 2, [1], ""], "o": {"k": [1, "v"]},'
        ' "empty": [], "s": "", "b": false, "emoji": "\\ud83c\\udf89", "big": 1' + "0" * 300 + "}"
    )
    raw = f'{{"phone_number": "07700900123", "template_id": "{TEMPLATE_ID}", "personalisation": {raw}}}'
    assert send("sms", raw.encode()).status_code == 201
    [asked] = neighbours.recorder.requests("SendSms")
    texts = {
        entry.key: list(entry.list.items) if entry.WhichOneof("value") == "list" else entry.text
        for entry in asked.personalisation
        if entry.WhichOneof("value")
    }
    assert texts == {
        "b": "False",
        "a": "1.5",
        "i": "12",
        "list": ["x", "2", "[1]", ""],
        "o": "{'k': [1, 'v']}",
        "empty": [],
        "s": "",
        "emoji": "🎉",
        "big": "1" + "0" * 300,
    }
    assert [entry.key for entry in asked.personalisation][:4] == ["b", "a", "n", "i"]
    assert asked.personalisation[2].WhichOneof("value") is None


def test_ids_in_other_spellings(send: Send, neighbours: Neighbours) -> None:
    for spelling in (TEMPLATE_ID.upper(), TEMPLATE_ID.replace("-", ""), f"{{{TEMPLATE_ID}}}"):
        response = send("sms", SMS | {"template_id": spelling, "sms_sender_id": spelling})
        assert response.get_json()["template"]["id"] == TEMPLATE_ID
    assert {asked.template_id for asked in neighbours.recorder.requests("SendSms")} == {TEMPLATE_ID}
    assert {asked.sms_sender_id for asked in neighbours.recorder.requests("SendSms")} == {TEMPLATE_ID}


def test_reference_absent_and_empty_differ(send: Send, neighbours: Neighbours) -> None:
    assert send("sms", SMS).get_json()["reference"] is None
    assert send("sms", SMS | {"reference": ""}).get_json()["reference"] == ""
    first, second = neighbours.recorder.requests("SendSms")
    assert not first.HasField("reference")
    assert second.HasField("reference")


def test_the_content_type_does_not_matter(send: Send) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert send("sms", SMS, Content_Type=content_type).status_code == 201


def test_the_idempotency_key_is_passed_on(send: Send, neighbours: Neighbours) -> None:
    for channel, body in BODIES.items():
        assert send(channel, body, Idempotency_Key="order-5").status_code == 201
        assert neighbours.recorder.requests(METHODS[channel])[-1].idempotency_key == "order-5"
    neighbours.recorder.failures["SendSms"] = NotifyError("REQUEST_ID_REUSED")
    assert send("sms", SMS, Idempotency_Key="order-5").status_code == 422


@pytest.mark.parametrize("key", ["", "ü", "k" * 256])
@pytest.mark.parametrize("channel", BODIES)
def test_an_idempotency_key_that_can_not_be_kept_is_refused(
    send: Send, neighbours: Neighbours, channel: str, key: str
) -> None:
    assert messages(send(channel, BODIES[channel], Idempotency_Key=key)) == [
        "Idempotency-Key must be 1 to 255 ASCII characters"
    ]
    assert not neighbours.recorder.requests(METHODS[channel])
    assert len(neighbours.recorder.requests("CountRefusedRequest")) == 1
    assert send(channel, BODIES[channel], Idempotency_Key="k" * 255).status_code == 201


def test_every_request_has_an_id_of_its_own(send: Send, neighbours: Neighbours) -> None:
    assert send("sms", SMS).get_json()["id"] != send("sms", SMS).get_json()["id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b'{"phone_number": ',
        b"phone_number=07700900123",
        b'{"reference": "\xff"}',
        b'{"reference": "\xed\xa0\x80"}',
        b'{"reference": "\\ud800"}',
        b'{"personalisation": {"x": ["\\uDFFF"]}}',
        b'{"reference": "a\x00b"}',
        b'{"personalisation": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b"[" * 50_000,
        b'{"reference": ' + b"9" * 5000 + b"}",
        b'{"personalisation": {"x": NaN}}',
        b'{"personalisation": {"x": [1, Infinity]}}',
        b'{"personalisation": {"x": -Infinity}}',
        b'{"personalisation": {"x": 1e999}}',
        b'{"personalisation": {"x": {"y": -1.5E400}}}',
        b'{"personalisation": {"x": 1' + b"0" * 309 + b"}}",
        b'{"personalisation": {"x": -1' + b"0" * 400 + b".5}}",
    ],
    ids=lambda body: repr(body[:40]),
)
@pytest.mark.parametrize("channel", BODIES)
def test_what_is_no_json(send: Send, neighbours: Neighbours, channel: str, body: bytes) -> None:
    assert messages(send(channel, body), "BadRequestError") == ["Invalid JSON supplied in POST data"]
    assert not neighbours.recorder.requests(METHODS[channel])
    assert len(neighbours.recorder.requests("CountRefusedRequest")) == 1


def test_numbers_that_a_double_holds_and_the_last_of_equal_names(send: Send, neighbours: Neighbours) -> None:
    numbers = (
        b'{"a": 1' + b"0" * 308 + b', "b": 1e308, "c": 1e-999, "d": 1, "d": 2, "e": "' + b"9" * 400 + b'"}'
    )
    body = (
        json.dumps(SMS).encode()[:-1] + b', "personalisation": {"x": 0}, "personalisation": ' + numbers + b"}"
    )
    assert send("sms", body).status_code == 201
    [request] = neighbours.recorder.requests("SendSms")
    sent = {field.key: field.text for field in request.personalisation}
    assert sent == {"a": "1" + "0" * 308, "b": "1e+308", "c": "0.0", "d": "2", "e": "9" * 400}


@pytest.mark.parametrize(
    "values",
    [
        {"personalisation": {f"k{number}": "v" for number in range(10_001)}},
        {"personalisation": {"x": [1] * 10_001}},
        {"personalisation": {"x": [{"y": [1] * 100}] * 100}},
        {"personalisation": {"x": [[]] * 250_000}},
        {f"k{number}": 1 for number in range(500_000)},
    ],
    ids=["names", "items", "deeper", "empty", "fields"],
)
def test_more_values_than_any_message_has(
    send: Send, neighbours: Neighbours, values: dict[str, object]
) -> None:
    assert messages(send("sms", SMS | values), "BadRequestError") == [
        "Request body has too many values. It cannot have more than 10000."
    ]
    assert len(neighbours.recorder.requests("CountRefusedRequest")) == 1


def test_as_many_values_as_a_body_may_have(send: Send) -> None:
    values = {f"k{number}": "a, b: [c] {d}" for number in range(9_900)}
    assert send("sms", SMS | {"personalisation": values}).status_code == 201
    prose = "Dear Amala: bring [these]; {all} of them, please. " * 20_000
    assert send("email", EMAIL | {"personalisation": {"x": prose}}).status_code == 201


def test_deep_values_that_python_can_still_read(send: Send) -> None:
    start = f'{{"phone_number": "07700900123", "template_id": "{TEMPLATE_ID}", "personalisation": '.encode()
    for depth in (50, 300, 600, 800, 900, 950, 990):
        value = b"[" * depth + b"]" * depth
        for body in (start + b'{"x": ' + value + b"}}", start + value + b"}"):
            assert send("sms", body).status_code in (201, 400), depth


@pytest.mark.parametrize("body", [b"null", b"[]", b"{}", b"0", b'""', b"false"])
def test_falsy_bodies_are_empty_objects(send: Send, body: bytes) -> None:
    assert messages(send("sms", body)) == [
        "phone_number is a required property",
        "template_id is a required property",
    ]


def test_bodies_that_are_no_object(send: Send) -> None:
    assert messages(send("sms", [1])) == ["[1] is not of type object"]
    assert messages(send("email", "hello")) == ["hello is not of type object"]
    assert messages(send("letter", 5)) == ["5 is not of type object"]
    assert messages(send("letter", ["content"])) == ["[content] is not of type object"]


def test_utf_16_is_json_too(send: Send) -> None:
    assert send("sms", json.dumps(SMS).encode("utf-16")).status_code == 201


def test_nul_characters(send: Send, neighbours: Neighbours) -> None:
    body = SMS | {"reference": "a\0", "personalisation": {"x": ["\0"]}}
    assert messages(send("sms", body)) == [
        "reference must not contain NUL characters",
        "personalisation must not contain NUL characters",
    ]
    assert send("sms", SMS | {"reference": "a\\u0000"}).status_code == 201
    assert len(neighbours.recorder.requests("SendSms")) == 1


def test_all_faults_in_the_contracts_order(send: Send) -> None:
    faulty = {"phone_number": 5, "reference": 5, "personalisation": 5, "colour": "red", "alpha": 1}
    assert messages(send("sms", faulty)) == [
        "reference 5 is not of type string",
        "phone_number 5 is not of type string",
        "personalisation 5 is not of type object",
        "template_id is a required property",
        "Additional properties are not allowed (alpha, colour were unexpected)",
    ]


@pytest.mark.parametrize(
    ("channel", "change", "sentence"),
    [
        ("sms", {"template_id": "abc"}, "template_id is not a valid UUID"),
        ("sms", {"template_id": None}, "template_id is not a valid UUID"),
        ("sms", {"template_id": f" {TEMPLATE_ID}"}, "template_id is not a valid UUID"),
        ("sms", {"sms_sender_id": None}, "sms_sender_id is not a valid UUID"),
        ("sms", {"phone_number": None}, "phone_number None is not of type string"),
        ("sms", {"phone_number": True}, "phone_number True is not of type string"),
        ("sms", {"phone_number": ""}, "phone_number Not enough digits"),
        ("sms", {"phone_number": "07700*900123"}, "phone_number Must not contain letters or symbols"),
        ("sms", {"phone_number": "+4420794601234567"}, "phone_number Too many digits"),
        ("sms", {"phone_number": "+870773111632"}, "phone_number Not a valid country prefix"),
        ("sms", {"personalisation": None}, "personalisation None is not of type object"),
        ("sms", {"personalisation": ["it's"]}, 'personalisation ["its"] is not of type object'),
        ("sms", {"reference": None}, "reference None is not of type string"),
        ("sms", {"reference": "r" * 1001}, f"reference {'r' * 1001} is too long"),
        ("sms", {"scheduled_for": 1}, "scheduled_for 1 is not of type string, null"),
        (
            "sms",
            {"scheduled_for": "tomorrow"},
            "scheduled_for datetime format is invalid. It must be a valid ISO8601 date time format, "
            "https://en.wikipedia.org/wiki/ISO_8601",
        ),
        ("sms", {"scheduled_for": "2020-01-01 10:00"}, "scheduled_for datetime can not be in the past"),
        ("email", {"email_address": "a@example"}, "email_address Not a valid email address"),
        ("email", {"email_address": 5}, "email_address 5 is not of type string"),
        ("email", {"email_reply_to_id": "x"}, "email_reply_to_id is not a valid UUID"),
        ("email", {"one_click_unsubscribe_url": ""}, "one_click_unsubscribe_url is not a valid https url"),
        ("email", {"one_click_unsubscribe_url": 1}, "one_click_unsubscribe_url is not a valid https url"),
        (
            "email",
            {"one_click_unsubscribe_url": "http://example.com"},
            "one_click_unsubscribe_url is not a valid https url",
        ),
        (
            "email",
            {"one_click_unsubscribe_url": "https://example.com/a\n"},
            "one_click_unsubscribe_url is not a valid https url",
        ),
        (
            "email",
            {"one_click_unsubscribe_url": "https://example.com/a\r\nBcc: b@example.com"},
            "one_click_unsubscribe_url is not a valid https url",
        ),
        (
            "email",
            {"one_click_unsubscribe_url": "https://example.com/a b"},
            "one_click_unsubscribe_url is not a valid https url",
        ),
        (
            "email",
            {"sanitise_content_for": {"name": True}},
            "sanitise_content_for {name: True} is not of type array, null",
        ),
        ("email", {"sanitise_content_for": [5]}, "sanitise_content_for 5 is not of type string"),
        (
            "email",
            {"phone_number": "1"},
            "Additional properties are not allowed (phone_number was unexpected)",
        ),
        ("letter", {"personalisation": "x"}, "personalisation x is not of type object"),
        ("letter", {"postage": "first"}, "Additional properties are not allowed (postage was unexpected)"),
        (
            "letter",
            {"scheduled_for": None},
            "Additional properties are not allowed (scheduled_for was unexpected)",
        ),
    ],
)
def test_one_fault(
    send: Send, neighbours: Neighbours, channel: str, change: dict[str, Any], sentence: str
) -> None:
    assert messages(send(channel, {**BODIES[channel], **change})) == [sentence]
    assert not neighbours.recorder.requests(METHODS[channel])


def test_letters_need_personalisation(send: Send) -> None:
    assert messages(send("letter", {})) == [
        "template_id is a required property",
        "personalisation is a required property",
    ]


def test_scheduled_for_is_checked_and_ignored(send: Send, client: FlaskClient, tenant: Tenant) -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    with clock.set_for_tests(noon):
        headers = tenant.headers(iat=int(noon.timestamp()))
        # Any offset is discarded: the first is 13:00 UTC.
        for moment in ("2026-05-01T13:00:00+14:00", "2026-05-02 12:00", "20260501T1300", None):
            body = SMS | {"scheduled_for": moment}
            assert client.post("/v2/notifications/sms", json=body, headers=headers).status_code == 201
    soon = (clock.now() + timedelta(hours=1)).isoformat()
    assert send("sms", SMS | {"scheduled_for": soon}).get_json()["scheduled_for"] is None
    late = (clock.now() + timedelta(hours=25)).isoformat()
    assert messages(send("sms", SMS | {"scheduled_for": late})) == [
        "scheduled_for datetime can only be 24 hours in the future"
    ]


def test_bodies_over_the_limit(send: Send, neighbours: Neighbours) -> None:
    too_long = b'{"reference": "' + b"x" * 9_000_000
    assert messages(send("sms", too_long), "BadRequestError", 413) == [
        "Request body is too large. It cannot be larger than 9000000 bytes."
    ]
    assert len(neighbours.recorder.requests("CountRefusedRequest")) == 1


def test_what_services_could_not_take_is_refused(send: Send, neighbours: Neighbours) -> None:
    too_long = EMAIL | {"personalisation": {"x": "x" * 4_200_000}}
    [sentence] = messages(send("email", too_long), "BadRequestError", 413)
    assert sentence.startswith("Request body is too large.")
    assert not neighbours.recorder.requests("SendEmail")
    # The same length as JSON escapes is well within it: what is too long for an email is for services to say.
    assert send("email", EMAIL | {"personalisation": {"x": "é" * 1_000_001}}).status_code == 201


def test_limits_win_over_bad_requests(send: Send, neighbours: Neighbours, tenant: Tenant) -> None:
    sentence = "Exceeded send limits (sms: 0) for today"
    refusal = NotifyError("DAILY_LIMIT_REACHED", metadata={"counter": "sms", "limit": "0"})
    neighbours.recorder.failures["CountRefusedRequest"] = refusal
    assert messages(send("sms", b"not json"), "TooManyRequestsError", 429) == [sentence]
    assert messages(send("sms", {}), "TooManyRequestsError", 429) == [sentence]
    [first, _] = neighbours.recorder.requests("CountRefusedRequest")
    assert (first.caller.service_id, first.channel) == (tenant.id, Channel.CHANNEL_SMS)
    sentence = "Exceeded rate limit for key type LIVE of 3000 requests per 60 seconds"
    refusal = NotifyError("RATE_LIMITED", metadata={"key_type": "normal", "limit": "3000"})
    neighbours.recorder.failures["CountRefusedRequest"] = refusal
    assert messages(send("letter", b"{"), "RateLimitError", 429) == [sentence]


def test_a_refusal_stands_where_it_can_not_be_counted(send: Send, neighbours: Neighbours) -> None:
    neighbours.recorder.failures["CountRefusedRequest"] = NotifyError("UNAVAILABLE")
    assert messages(send("sms", b"{"), "BadRequestError") == ["Invalid JSON supplied in POST data"]


def test_good_requests_cost_one_call(send: Send, neighbours: Neighbours) -> None:
    def calls() -> list[str]:
        neighbours.recorder.calls.clear()
        send("sms", SMS | {"personalisation": {"name": "Amala"}})
        return [name for name, _ in neighbours.recorder.calls]

    # The news of the tenant's own making may still come in, after which it is read anew once.
    until(lambda: calls() == ["SendSms"])


WRONG_CHANNEL = {"template_channel": "email", "channel": "sms"}
TOO_LONG = {"channel": "sms", "limit": "918", "size": "919"}
TOO_LARGE = {"channel": "email", "limit": "2000000", "size": "2000010"}
IN_ALL = {"channel": "", "limit": "3000000", "size": "3000001"}
NO_DIGITS = {"field": "phone_number", "problem": "Not enough digits"}
NO_SENDER = {"field": "sms_sender_id", "sender_id": "s", "service_id": "t"}


@pytest.mark.parametrize(
    ("reason", "facts", "status", "error", "sentence"),
    [
        ("TEMPLATE_NOT_FOUND", {}, 400, "BadRequestError", "Template not found"),
        ("TEMPLATE_ARCHIVED", {}, 400, "BadRequestError", "Template has been deleted"),
        ("TEMPLATE_WRONG_CHANNEL", WRONG_CHANNEL, 400, "BadRequestError",
         "email template is not suitable for sms notification"),
        ("CHANNEL_NOT_ALLOWED", {"channel": "sms"}, 400, "BadRequestError",
         "Service is not allowed to send text messages"),
        ("CHANNEL_NOT_ALLOWED", {"channel": "email"}, 400, "BadRequestError",
         "Service is not allowed to send emails"),
        ("MISSING_PERSONALISATION", {"names": "first name, date"}, 400, "BadRequestError",
         "Missing personalisation: first name, date"),
        ("MISSING_PERSONALISATION", {"names": "{limit}, {0}"}, 400, "BadRequestError",
         "Missing personalisation: {limit}, {0}"),
        ("MESSAGE_EMPTY", {}, 400, "BadRequestError", "Your message is empty."),
        ("MESSAGE_TOO_LONG", TOO_LONG, 400, "BadRequestError",
         "Your message is too long. Text messages cannot be longer than 918 characters. "
         "Your message is 919 characters long."),
        ("MESSAGE_TOO_LONG", TOO_LARGE, 400, "BadRequestError",
         "Your message is too long. Emails cannot be longer than 2000000 bytes. "
         "Your message is 2000010 bytes."),
        ("MESSAGE_TOO_LONG", IN_ALL, 400, "BadRequestError",
         "Your message is too long. It cannot be longer than 3000000 bytes in all. "
         "Your message is 3000001 bytes."),
        ("SENDER_NOT_FOUND", NO_SENDER, 400, "BadRequestError",
         "sms_sender_id s does not exist in database for service id t"),
        ("RECIPIENT_NOT_ALLOWED", {"key_type": "team"}, 400, "BadRequestError",
         "Can’t send to this recipient using a team-only API key"),
        ("RECIPIENT_NOT_ALLOWED", {"key_type": "normal"}, 400, "BadRequestError",
         "Can’t send to this recipient when service is in trial mode – see "
         "https://www.notifications.service.gov.uk/trial-mode"),
        ("RECIPIENT_INVALID", {"stage": "service", **NO_DIGITS}, 400, "InvalidPhoneError",
         "Not enough digits"),
        ("RECIPIENT_INVALID", {"stage": "schema", **NO_DIGITS}, 400, "ValidationError",
         "phone_number Not enough digits"),
        ("INTERNATIONAL_NOT_ALLOWED", {}, 400, "BadRequestError",
         "Cannot send to international mobile numbers"),
        ("LETTERS_NOT_ALLOWED_FOR_KEY", {"key_type": "team"}, 403, "BadRequestError",
         "Cannot send letters with a team api key"),
        ("LETTERS_NOT_ALLOWED_FOR_KEY", {"key_type": "normal"}, 403, "BadRequestError",
         "Cannot send letters when service is in trial mode"),
        ("ADDRESS_INVALID", {"problem": "Must be a real address"}, 400, "ValidationError",
         "Must be a real address"),
        ("RATE_LIMITED", {"key_type": "test", "limit": "3000"}, 429, "RateLimitError",
         "Exceeded rate limit for key type TEST of 3000 requests per 60 seconds"),
        ("DAILY_LIMIT_REACHED", {"counter": "international_sms", "limit": "100"}, 429, "TooManyRequestsError",
         "Exceeded send limits (international_sms: 100) for today"),
        ("NO_SUCH_REASON_YET", {}, 500, "Exception", "Internal server error"),
    ],
)  # fmt: skip
def test_what_services_refuse(
    send: Send,
    neighbours: Neighbours,
    reason: str,
    facts: dict[str, str],
    status: int,
    error: str,
    sentence: str,
) -> None:
    refusal = NotifyError(reason, "for engineers", metadata=facts, code=Code.INVALID_ARGUMENT)
    neighbours.recorder.failures["SendSms"] = refusal
    assert messages(send("sms", SMS), error, status) == [sentence]


@pytest.mark.parametrize("reason", ["RATE_LIMITED", "CHANNEL_NOT_ALLOWED", "DAILY_LIMIT_REACHED"])
def test_a_service_of_another_release_may_leave_facts_out(
    send: Send, neighbours: Neighbours, reason: str
) -> None:
    neighbours.recorder.failures["SendSms"] = NotifyError(reason, "A sentence of its own")
    assert send("sms", SMS).get_json()["errors"][0]["message"] == "A sentence of its own"


def test_the_qr_code_error_has_its_facts(send: Send, neighbours: Neighbours) -> None:
    metadata = {"data": "q" * 505, "num_bytes": "505", "max_bytes": "504"}
    neighbours.recorder.failures["SendLetter"] = NotifyError("QR_CODE_TOO_LONG", metadata=metadata)
    response = send("letter", LETTER)
    assert response.get_json()["errors"] == [
        {
            "error": "ValidationError",
            "message": "Cannot create a usable QR code - the link is too long",
            "data": "q" * 505,
            "num_bytes": 505,
            "max_bytes": 504,
        }
    ]


@pytest.mark.parametrize("reason", ["UNAVAILABLE", "OVERLOADED", "DEADLINE_EXCEEDED"])
def test_services_that_do_not_answer(send: Send, neighbours: Neighbours, reason: str) -> None:
    neighbours.recorder.failures["SendSms"] = NotifyError(reason)
    response = send("sms", SMS)
    assert messages(response, "ServiceUnavailableError", 503)
    assert int(response.headers["Retry-After"]) >= 1


def test_faults_of_services_leak_nothing(send: Send, neighbours: Neighbours) -> None:
    neighbours.recorder.failures["SendSms"] = NotifyError("INTERNAL", "postgres://user:password@host")
    response = send("sms", SMS)
    assert messages(response, "Exception", 500) == ["Internal server error"]


FILE = {"file": base64.b64encode(b"%PDF").decode()}


NO_EXTENSION = "filename `filename` must end with a file extension. For example, filename.csv"


def unsupported(name: str, value: str, rest: str) -> str:
    return f"{name} Unsupported value for {name}: {value}. {rest}"


WEEKS = "Supported periods are from 1 to 78 weeks."
BOOLEAN = "Use a boolean true or false value."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"file": None}, "file None is not of type string"),
        ({"filename": "report"}, NO_EXTENSION),
        ({"filename": ""}, NO_EXTENSION),
        ({"filename": 5}, NO_EXTENSION),
        ({"retention_period": "79 weeks"}, unsupported("retention_period", "79 weeks", WEEKS)),
        ({"retention_period": "0 weeks"}, unsupported("retention_period", "0 weeks", WEEKS)),
        ({"retention_period": "one week"}, unsupported("retention_period", "one week", WEEKS)),
        ({"retention_period": ""}, unsupported("retention_period", "", WEEKS)),
        ({"retention_period": 5}, unsupported("retention_period", "5", WEEKS)),
        (
            {"confirm_email_before_download": "yes"},
            unsupported("confirm_email_before_download", "yes", BOOLEAN),
        ),
        ({"is_csv": "x"}, unsupported("is_csv", "x", BOOLEAN)),
        ({"is_csv": None, "filename": "a.csv"}, "Do not set a value for `is_csv` if `filename` is set."),
        ({"foo": 1}, "Additional properties are not allowed (foo was unexpected)"),
    ],
)
def test_structure_of_files(send: Send, change: dict[str, Any], sentence: str) -> None:
    personalisation = {"link": FILE | change, "second": FILE}
    assert messages(send("email", EMAIL | {"personalisation": personalisation})) == [sentence]


@pytest.mark.parametrize(
    "file",
    [
        FILE,
        FILE | {"filename": None, "confirm_email_before_download": None, "retention_period": None},
        FILE | {"filename": "a.pdf", "retention_period": " 4 WEEKS ", "confirm_email_before_download": False},
        FILE | {"retention_period": "1 week", "is_csv": True},
    ],
)
def test_files_are_not_set_up(
    send: Send, neighbours: Neighbours, tenant: Tenant, file: dict[str, Any]
) -> None:
    neighbours.recorder.failures["SendEmail"] = NotifyError("FILES_NOT_SET_UP")
    page = f"http://localhost:6012/services/{tenant.id}/service-settings/send-files-by-email"
    assert messages(
        send("email", EMAIL | {"personalisation": {"a": "x", "link": file}}), "BadRequestError"
    ) == [f"Send files by email has not been set up - add contact details for your service at {page}"]
    [asked] = neighbours.recorder.requests("SendEmailWithFiles")
    assert [field.WhichOneof("value") for field in asked.personalisation] == ["text", "file"]


def test_files_go_along_with_the_email(send: Send, neighbours: Neighbours) -> None:
    content = bytes(range(256)) * 2000
    files = {
        "link": {
            "file": base64.b64encode(content).decode(),
            "filename": "a.pdf",
            "confirm_email_before_download": False,
            "retention_period": " 4 WEEKS ",
        },
        "name": "x",
        "other": {"file": base64.b64encode(b"a,b").decode(), "is_csv": True},
        "bad": {"file": "abcde"},
        "large": {"file": base64.b64encode(bytes(2 * 1024 * 1024 + 1025)).decode()},
        "empty": {"file": ""},
    }
    answer = send("email", EMAIL | {"personalisation": files}, Idempotency_Key="once")
    assert answer.status_code == 201
    [asked] = neighbours.recorder.requests("SendEmailWithFiles")
    assert asked.idempotency_key == "once"
    said = {field.key: field.file for field in asked.personalisation if field.HasField("file")}
    assert list(said) == ["link", "other", "bad", "large", "empty"]
    assert (said["link"].name, said["link"].open_to_all, said["link"].retention_weeks) == ("a.pdf", True, 4)
    assert said["link"].sha256 == hashlib.sha256(content).hexdigest()
    assert (said["other"].is_csv, said["other"].open_to_all, said["other"].retention_weeks) == (
        True,
        False,
        0,
    )
    sizes = [file.size_bytes for file in said.values()]
    assert sizes == [len(content), 3, -1, 2 * 1024 * 1024 + 1025, 0]
    assert b"".join(neighbours.files.contents) == content + b"a,b"
    assert max(map(len, neighbours.files.contents)) <= 256 * 1024


@pytest.mark.parametrize(
    ("reason", "facts", "sentence"),
    [
        ("FILE_NAME_TOO_LONG", {"limit": "100"}, "`filename` cannot be longer than 100 characters"),
        (
            "FILE_TYPE_NOT_ALLOWED",
            {"type": ".exe", "allowed": "'.csv', '.doc'"},
            "Unsupported file type '.exe'. Supported types are: '.csv', '.doc'",
        ),
        ("FILE_NOT_DECODABLE", {}, "Document is not base64 encoded"),
        ("FILE_EMPTY", {}, "Document must not be empty"),
        ("FILE_TOO_LARGE", {}, "Uploaded file exceeds file size limit"),
        ("VIRUS_FOUND", {}, "File did not pass the virus scan"),
    ],
)
def test_files_that_are_refused(
    send: Send, neighbours: Neighbours, reason: str, facts: dict[str, str], sentence: str
) -> None:
    neighbours.recorder.failures["SendEmail"] = NotifyError(reason, metadata=facts)
    answer = send("email", EMAIL | {"personalisation": {"link": FILE}})
    assert messages(answer, "BadRequestError") == [sentence]


def test_a_repeat_of_what_is_running_is_asked_to_come_back(send: Send, neighbours: Neighbours) -> None:
    neighbours.recorder.failures["SendSms"] = NotifyError("REQUEST_RUNNING", retry_after=timedelta(seconds=1))
    answer = send("sms", SMS, Idempotency_Key="once")
    assert messages(answer, "ConflictError", 409) == [
        "A request with this Idempotency-Key is still running, try again later"
    ]
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("channel", ["sms", "letter"])
def test_files_by_other_channels(send: Send, channel: str) -> None:
    body = BODIES[channel] | {"personalisation": {**ADDRESS, "x": {**FILE, "filename": "no dot"}}}
    assert messages(send(channel, body), "BadRequestError") == ["Can only send a file by email"]


@pytest.mark.parametrize("channel", BODIES)
def test_a_file_waits_for_the_checks_before_it(send: Send, neighbours: Neighbours, channel: str) -> None:
    neighbours.recorder.failures[METHODS[channel]] = NotifyError("TEMPLATE_NOT_FOUND")
    body = BODIES[channel] | {"personalisation": {**ADDRESS, "x": {"file": None}}}
    assert messages(send(channel, body), "BadRequestError") == ["Template not found"]


PRECOMPILED = {"reference": "r", "content": base64.b64encode(b"%PDF-1.7").decode()}


def test_a_precompiled_letter(send: Send, tenant: Tenant, neighbours: Neighbours) -> None:
    pdf = b"%PDF-1.7" + bytes(300_000)
    body = {"reference": "your réf", "content": base64.b64encode(pdf).decode(), "postage": "first"}
    response = send("letter", body, Idempotency_Key="once")
    assert response.status_code == 201
    [asked] = neighbours.recorder.requests("SendPrecompiledLetter")
    assert response.get_json() == {
        "id": asked.request_id,
        "postage": "first",
        "reference": "your réf",
    }
    header, chunks = neighbours.letters.uploads[asked.request_id]
    assert (header.service_id, header.size_bytes) == (tenant.id, len(pdf))
    assert header.sha256 == asked.pdf_sha256 == hashlib.sha256(pdf).hexdigest()
    assert b"".join(chunks) == pdf
    assert max(map(len, chunks)) <= 256 * 1024
    assert asked.idempotency_key == "once"
    template = neighbours.admin.precompiled_template(tenant.id)
    assert (asked.template_id, template.hidden) == (template.id, True)
    methods = [method for method, _ in neighbours.recorder.calls]
    assert methods.index("UploadPdf") < methods.index("SendPrecompiledLetter")


@pytest.mark.parametrize("content", ["", "JVBE\nRi0x", "JVBERi0x!"])
def test_what_decodes_is_taken_as_a_pdf(send: Send, content: str) -> None:
    """It is looked into later; base64 is read leniently (public-api.md §2.7)."""
    response = send("letter", {"reference": "", "content": content})
    assert response.status_code == 201
    assert (response.get_json()["postage"], response.get_json()["reference"]) == ("second", "")


def test_the_template_of_precompiled_letters_is_asked_for_once(send: Send, neighbours: Neighbours) -> None:
    for _ in range(3):
        assert send("letter", PRECOMPILED).status_code == 201
    assert len(neighbours.recorder.requests("EnsurePrecompiledTemplate")) == 1


@pytest.mark.parametrize("method", ["UploadPdf", "EnsurePrecompiledTemplate"])
def test_nothing_is_accepted_without_its_pdf(send: Send, neighbours: Neighbours, method: str) -> None:
    neighbours.recorder.failures[method] = NotifyError("UNAVAILABLE")
    assert send("letter", PRECOMPILED).status_code == 503
    assert not neighbours.recorder.requests("SendPrecompiledLetter")


class FailsOnce(dict[str, NotifyError]):
    """Failures of calls, each for one call."""

    def get(self, method: str, default: Any = None) -> Any:
        return self.pop(method, default)


def test_a_pdf_that_finds_no_stream_free_waits_for_one(send: Send, neighbours: Neighbours) -> None:
    neighbours.recorder.failures = FailsOnce(UploadPdf=NotifyError("OVERLOADED"))
    assert send("letter", PRECOMPILED).status_code == 201
    first, second = neighbours.recorder.requests("UploadPdf")
    assert first == second
    assert len(neighbours.recorder.requests("SendPrecompiledLetter")) == 1


def test_what_is_no_pdf_by_its_form_is_refused_and_counted(send: Send, neighbours: Neighbours) -> None:
    for content in ("é", "abcde"):
        assert messages(send("letter", PRECOMPILED | {"content": content}), "BadRequestError") == [
            "Cannot decode letter content (invalid base64 encoding)"
        ]
    large = base64.b64encode(bytes(5 * 1024 * 1024 + 1)).decode()
    assert messages(send("letter", PRECOMPILED | {"content": large}), "BadRequestError", 413) == [
        "Request body is too large. It cannot be larger than 5242880 bytes."
    ]
    assert len(neighbours.recorder.requests("CountRefusedRequest")) == 3
    assert not neighbours.recorder.requests("UploadPdf")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"postage": "third"}, "postage invalid. It must be either first, second or economy."),
        ({"postage": 1}, "postage 1 is not of type string"),
        ({"content": None}, "content None is not of type string"),
        ({"reference": None}, "reference None is not of type string"),
        (
            {"template_id": TEMPLATE_ID, "personalisation": {}},
            "Additional properties are not allowed (personalisation, template_id were unexpected)",
        ),
    ],
)
def test_faults_of_precompiled_letters(send: Send, change: dict[str, Any], sentence: str) -> None:
    assert messages(send("letter", PRECOMPILED | change)) == [sentence]


def test_who_may_not_send_precompiled_letters(
    send: Send, client: FlaskClient, neighbours: Neighbours
) -> None:
    assert messages(send("letter", PRECOMPILED, key_type="team"), "BadRequestError", 403) == [
        "Cannot send letters with a team api key"
    ]
    trial = new_tenant(neighbours, restricted=True)
    response = client.post("/v2/notifications/letter", json=PRECOMPILED, headers=trial.headers())
    assert messages(response, "BadRequestError", 403) == ["Cannot send letters when service is in trial mode"]
    bare = new_tenant(neighbours, permissions=[])
    response = client.post("/v2/notifications/letter", json=PRECOMPILED, headers=bare.headers())
    assert messages(response, "BadRequestError") == ["Service is not allowed to send letters"]
    assert not neighbours.recorder.requests("UploadPdf")


def test_unknown_channels(client: FlaskClient, tenant: Tenant) -> None:
    assert client.post("/v2/notifications/fax", json={}).status_code == 401
    response = client.post("/v2/notifications/fax", json={}, headers=tenant.headers())
    assert response.status_code == 404
    assert response.get_json()["result"] == "error"


@pytest.fixture
def logged(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[], str]]:
    with caplog.at_level(logging.DEBUG):
        yield lambda: "".join(capsys.readouterr()) + caplog.text


def test_nothing_of_a_person_is_logged(
    send: Send, neighbours: Neighbours, tenant: Tenant, logged: Callable[[], str]
) -> None:
    person = {"personalisation": {"name": "Zebedee"}, "reference": "ref-zzz"}
    send("sms", SMS | person)
    send("email", EMAIL | person | {"foo": "Zebedee"})
    send("sms", b'{"phone_number": "07700 900123 Zebedee')
    neighbours.recorder.failures["SendEmail"] = NotifyError("INTERNAL", "Zebedee 07700 900123")
    send("email", EMAIL | person)
    text = logged()
    assert "/v2/notifications/sms" in text
    for secret in ("Zebedee", "900123", "Amala", "ref-zzz", tenant.normal.secret, "Bearer"):
        assert secret not in text


def test_the_request_id_is_passed_on(send: Send, neighbours: Neighbours) -> None:
    send("sms", SMS, X_Request_Id="edge-5")
    assert neighbours.recorder.request_ids[-1] == "edge-5"
    for bad in ("not good", "x" * 65, "a;b"):
        send("sms", SMS, X_Request_Id=bad)
        assert neighbours.recorder.request_ids[-1] not in ("", bad)


@pytest.mark.parametrize(
    ("written", "micropounds"),
    [("0", 0), ("0.1", 100_000), ("0.0474", 47_400), ("12", 12_000_000), ("1e-7", 0), ("1000000", 10**12)],
)
def test_a_maximum_is_passed_on_in_millionths_of_a_pound(
    send: Send, neighbours: Neighbours, written: str, micropounds: int
) -> None:
    for channel, body in BODIES.items():
        raw = json.dumps(body).encode()[:-1] + f', "max_cost": {written}}}'.encode()
        assert send(channel, raw).status_code == 201
        (asked,) = neighbours.recorder.requests(METHODS[channel])
        assert asked.max_cost_micropounds == micropounds
        neighbours.recorder.calls.clear()


@pytest.mark.parametrize("value", ["0.1", -0.01, 1_000_000.01, 10**300, True, None, [], {}])
def test_a_maximum_that_is_no_amount(send: Send, value: Any) -> None:
    for channel, body in BODIES.items():
        said = messages(send(channel, body | {"max_cost": value}))
        assert said == ["max_cost is not an amount in pounds from 0 to 1000000"]


def test_what_could_cost_too_much_is_refused_in_words(send: Send, neighbours: Neighbours) -> None:
    facts = {"cost": "0.0474", "max_cost": "0.04"}
    neighbours.recorder.failures["SendSms"] = NotifyError("COST_ABOVE_MAXIMUM", metadata=facts)
    response = send("sms", SMS | {"max_cost": 0.04})
    assert messages(response, "BadRequestError") == [
        "Could cost £0.0474, which is more than its max_cost of £0.04"
    ]

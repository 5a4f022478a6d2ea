"""The quick check and the one that finds words agree (public-api.md §1.7)."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notify_gateway.answers import InvalidRequest
from notify_gateway.public import schemas
from notify_gateway.public.schemas import Schema

UUID = "f33517ff-2a88-4f6e-b855-c550268ce08a"
ALL = {name: schema for name, schema in vars(schemas).items() if isinstance(schema, Schema)}
FIELDS = (
    *("reference", "phone_number", "email_address", "template_id", "personalisation", "scheduled_for"),
    *("sms_sender_id", "email_reply_to_id", "one_click_unsubscribe_url", "sanitise_content_for", "content"),
    *(
        "postage",
        "status",
        "template_type",
        "include_jobs",
        "older_than",
        "notification_id",
        "id",
        "type",
        "max_cost",
        "x",
    ),
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.text("0123456789+ ()-", max_size=16),
    st.sampled_from(
        [
            *("", UUID, UUID.upper(), f"{{{UUID}}}", f" {UUID}", "07700 900123", "+14155550123", "999"),
            *("a@example.com", "a@example", "https://example.com/x", "https:x", "http://x", "https://a b"),
            *("first", "third", "sms", "email", "delivered", "elephant", "true", "True", "false"),
            *("2020-01-01 10:00", "2026-11-24T07:10:18Z", "9999-01-01", "tomorrow", "r" * 1000, "r" * 1001),
        ]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)
BODIES = st.one_of(VALUES, st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6))


@pytest.mark.parametrize("name", ALL)
@given(body=BODIES)
@example(body={"phone_number": "07700900123", "template_id": UUID, "personalisation": {}})
@example(body={"email_address": "a@example.com", "template_id": UUID, "sanitise_content_for": ["x", 5]})
@example(body={"template_id": UUID, "personalisation": {"x": None}, "reference": ""})
@example(body={"reference": "", "content": "", "postage": "economy", "max_cost": 0})
@example(body={"reference": "", "content": "", "max_cost": True})
@example(body={"reference": "", "content": "", "max_cost": 1_000_000.01})
@example(body={"status": ["delivered", "elephant"], "template_type": ["sms"], "include_jobs": "True"})
def test_both_checks_agree(name: str, body: Any) -> None:
    schema = ALL[name]
    assert schema.is_valid(body) == (not schema.messages(body))


VALID: dict[str, dict[str, Any]] = {
    "SEND_SMS": {"phone_number": "07700900123", "template_id": UUID},
    "SEND_EMAIL": {"email_address": "a@example.com", "template_id": UUID},
    "SEND_LETTER": {"template_id": UUID, "personalisation": {}},
    "SEND_PRECOMPILED_LETTER": {"reference": "", "content": ""},
    "RESCHEDULE": {"send_at": "2026-11-24T07:10:18Z"},
    "LIST_NOTIFICATIONS": {},
    "LIST_RECEIVED_TEXTS": {"older_than": UUID},
    "BATCH_ROW": {"type": "sms"},
    "BATCH_ID": {"batch_id": UUID},
    "NOTIFICATION_ID": {"notification_id": UUID},
    "TEMPLATE_ID": {"id": UUID},
    "PREVIEW_TEMPLATE": {"id": UUID},
    "LIST_TEMPLATES": {},
}


@pytest.mark.parametrize("name", ALL)
@given(field=st.sampled_from(FIELDS), value=VALUES)
def test_both_checks_agree_on_bodies_that_are_nearly_valid(name: str, field: str, value: Any) -> None:
    schema = ALL[name]
    assert schema.is_valid(VALID[name])
    body = {**VALID[name], field: value}
    assert schema.is_valid(body) == (not schema.messages(body))


def test_an_error_is_said_once() -> None:
    with pytest.raises(InvalidRequest) as raised:
        schemas.LIST_NOTIFICATIONS.check({"status": ["tiger", "tiger"]})
    assert len(raised.value.messages) == 1


def test_errors_without_end_are_not_all_said() -> None:
    body = VALID["SEND_EMAIL"] | {"sanitise_content_for": list(range(schemas.MOST_MESSAGES + 1))}
    messages = schemas.SEND_EMAIL.messages(body)
    assert len(messages) == schemas.MOST_MESSAGES
    assert messages[0] == "sanitise_content_for 0 is not of type string"

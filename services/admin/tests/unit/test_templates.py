"""Rules of templates."""

import pytest
from notify.admin.v1.template_pb2 import Template
from notify.common.v1 import common_pb2
from notify_admin.usecases.templates import checked
from notify_testing.calls import reason, refusal, violations
from notify_testing.requests import replaced

SMS = Template(name="Reminder", content="Hello ((name))", channel=common_pb2.CHANNEL_SMS)
EMAIL = replaced(SMS, channel=common_pb2.CHANNEL_EMAIL, subject="About ((thing))")
LETTER = replaced(EMAIL, channel=common_pb2.CHANNEL_LETTER, postage=common_pb2.POSTAGE_FIRST)
BASES = {"sms": SMS, "email": EMAIL, "letter": LETTER}


@pytest.mark.parametrize("channel", BASES)
def test_takes(channel: str) -> None:
    assert checked(BASES[channel]) == BASES[channel]


@pytest.mark.parametrize(
    ("channel", "change", "field"),
    [
        ("sms", {"name": " "}, "name"),
        ("sms", {"name": "x" * 256}, "name"),
        ("sms", {"content": " \n"}, "content"),
        ("sms", {"subject": "none of it"}, "subject"),
        ("sms", {"postage": common_pb2.POSTAGE_FIRST}, "postage"),
        ("sms", {"has_unsubscribe_link": True}, "has_unsubscribe_link"),
        ("letter", {"content": "x" * 1_048_577}, "content"),
        ("email", {"subject": ""}, "subject"),
        ("email", {"welsh_subject": "Amdanoch"}, "welsh_subject"),
        ("letter", {"subject": " "}, "subject"),
        ("letter", {"postage": common_pb2.POSTAGE_EUROPE}, "postage"),
        ("letter", {"has_unsubscribe_link": True}, "has_unsubscribe_link"),
        ("letter", {"welsh_subject": "Amdanoch"}, "welsh_content"),
        ("letter", {"welsh_content": "Annwyl"}, "welsh_content"),
    ],
)
def test_refuses(channel: str, change: dict[str, object], field: str) -> None:
    assert violations(checked, replaced(BASES[channel], **change)) == [f"template.{field}"]


@pytest.mark.parametrize(
    ("channel", "longest", "unit"), [("sms", "x" * 918, "characters"), ("email", "x" * 2_097_152, "bytes")]
)
def test_takes_the_longest_content_and_refuses_one_more(channel: str, longest: str, unit: str) -> None:
    checked(replaced(BASES[channel], content=longest))
    error = refusal(checked, replaced(BASES[channel], content=longest + "x"))
    assert error.reason == "MESSAGE_TOO_LONG"
    assert dict(error.metadata) == {"channel": channel, "limit": str(len(longest)), "unit": unit}


def test_a_text_without_end_is_told_the_same() -> None:
    error = refusal(checked, replaced(SMS, content="x" * 1_048_577))
    assert (error.reason, error.metadata["limit"]) == ("MESSAGE_TOO_LONG", "918")


def test_gaps_of_a_text_cost_nothing() -> None:
    checked(replaced(SMS, content="x" * 918 + "((name))"))


@pytest.mark.parametrize("field", ["content", "welsh_content"])
def test_refuses_a_qr_code_with_too_much_in_it(field: str) -> None:
    base = replaced(LETTER, welsh_subject="Amdanoch", welsh_content="Annwyl")
    code = "QR: https://example.gov.uk/" + "x" * 600
    assert reason(checked, replaced(base, **{field: code})) == "QR_CODE_TOO_LONG"

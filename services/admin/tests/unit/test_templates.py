"""Rules of templates."""

from dataclasses import replace

import pytest
from notify_admin.domain.templates import Wording, checked
from notify_common.errors import NotifyError

SMS = Wording("Reminder", "", "Hello ((name))", None, None, False, "", "")
EMAIL = replace(SMS, subject="About ((thing))")
LETTER = replace(EMAIL, postage="first")
BASES = {"sms": SMS, "email": EMAIL, "letter": LETTER}


@pytest.mark.parametrize("channel", BASES)
def test_takes(channel: str) -> None:
    assert checked(channel, BASES[channel]) == BASES[channel]


def test_letters_go_second_class_unless_told_otherwise() -> None:
    assert checked("letter", replace(LETTER, postage=None)).postage == "second"


@pytest.mark.parametrize(
    ("channel", "change", "field"),
    [
        ("sms", {"name": " "}, "name"),
        ("sms", {"name": "x" * 256}, "name"),
        ("sms", {"content": " \n"}, "content"),
        ("sms", {"subject": "none of it"}, "subject"),
        ("sms", {"postage": "first"}, "postage"),
        ("sms", {"has_unsubscribe_link": True}, "has_unsubscribe_link"),
        ("sms", {"content": "x" * 1_048_577}, "content"),
        ("email", {"subject": ""}, "subject"),
        ("email", {"welsh_subject": "Amdanoch"}, "welsh_subject"),
        ("letter", {"subject": " "}, "subject"),
        ("letter", {"postage": "europe"}, "postage"),
        ("letter", {"has_unsubscribe_link": True}, "has_unsubscribe_link"),
        ("letter", {"welsh_subject": "Amdanoch"}, "welsh_content"),
        ("letter", {"welsh_content": "Annwyl"}, "welsh_content"),
    ],
)
def test_refuses(channel: str, change: dict[str, object], field: str) -> None:
    with pytest.raises(NotifyError) as caught:
        checked(channel, replace(BASES[channel], **change))  # type: ignore[arg-type]
    assert caught.value.reason == "INVALID_FIELD"
    assert [violation.field for violation in caught.value.violations] == [f"template.{field}"]


@pytest.mark.parametrize(
    ("channel", "longest", "unit"), [("sms", "x" * 918, "characters"), ("email", "x" * 2_000_000, "bytes")]
)
def test_takes_the_longest_content_and_refuses_one_more(channel: str, longest: str, unit: str) -> None:
    checked(channel, replace(BASES[channel], content=longest))
    with pytest.raises(NotifyError) as caught:
        checked(channel, replace(BASES[channel], content=longest + "x"))
    assert caught.value.reason == "MESSAGE_TOO_LONG"
    assert dict(caught.value.metadata) == {"channel": channel, "limit": str(len(longest)), "unit": unit}


def test_gaps_of_a_text_cost_nothing() -> None:
    checked("sms", replace(SMS, content="x" * 918 + "((name))"))


@pytest.mark.parametrize("field", ["content", "welsh_content"])
def test_refuses_a_qr_code_with_too_much_in_it(field: str) -> None:
    base = replace(LETTER, welsh_subject="Amdanoch", welsh_content="Annwyl")
    code = "QR: https://example.gov.uk/" + "x" * 600
    with pytest.raises(NotifyError) as caught:
        checked("letter", replace(base, **{field: code}))  # type: ignore[arg-type]
    assert caught.value.reason == "QR_CODE_TOO_LONG"

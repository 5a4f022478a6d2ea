"""Rules of senders."""

import pytest
from notify_admin.usecases.senders import LETTER_CONTACT, REPLY_TO, SMS, SenderKind
from notify_admin.usecases.violations import settled
from notify_testing.calls import refusal, violations


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (SMS, " GOVUK ", "GOVUK"),
        (SMS, "R & D-2_x.y", "R & D-2_x.y"),
        (SMS, "A", "A"),
        (SMS, "60006", "60006"),
        (SMS, "07984404008", "07984404008"),
        (SMS, "+447984404008", "+447984404008"),
        (REPLY_TO, "  Ann.O'Hara@Example.gov.uk ", "Ann.O'Hara@Example.gov.uk"),
        (LETTER_CONTACT, "\n Team \r\n1 Street\n\nEX1 1AA  \n", "Team\n1 Street\n\nEX1 1AA"),
        (LETTER_CONTACT, "((name))\nEX1 1AA", "((name))\nEX1 1AA"),
    ],
)
def test_takes(kind: SenderKind, value: str, stored: str) -> None:
    assert kind.rule(value) == stored


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        (SMS, "", "sms_sender.sender"),
        (SMS, "twelve chars", "sms_sender.sender"),
        (SMS, "007", "sms_sender.sender"),
        (SMS, "emoji🎣", "sms_sender.sender"),
        (SMS, "a\nbc", "sms_sender.sender"),
        (SMS, "+44 7984 404008 and more", "sms_sender.sender"),
        (REPLY_TO, "nowhere", "reply_to_address.email_address"),
        (REPLY_TO, "a@b.example\nBcc: c@d.example", "reply_to_address.email_address"),
        (LETTER_CONTACT, " \n ", "letter_contact.contact_block"),
        (LETTER_CONTACT, "\n".join(map(str, range(11))), "letter_contact.contact_block"),
        (LETTER_CONTACT, "x" * 2001, "letter_contact.contact_block"),
    ],
)
def test_refuses_without_repeating_the_value(kind: SenderKind, value: str, field: str) -> None:
    assert violations(settled, kind.rule, value, field) == [field]
    if value.strip():
        assert value not in refusal(settled, kind.rule, value, field).message

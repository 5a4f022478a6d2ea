"""Rules of senders."""

import pytest
from notify_admin.domain.senders import SenderKind, checked_value
from notify_common.errors import NotifyError


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (SenderKind.SMS, " GOVUK ", "GOVUK"),
        (SenderKind.SMS, "R & D-2_x.y", "R & D-2_x.y"),
        (SenderKind.SMS, "60006", "60006"),
        (SenderKind.SMS, "07984404008", "07984404008"),
        (SenderKind.SMS, "+447984404008", "+447984404008"),
        (SenderKind.REPLY_TO, "  Ann.O'Hara@Example.gov.uk ", "Ann.O'Hara@Example.gov.uk"),
        (SenderKind.LETTER_CONTACT, "\n Team \r\n1 Street\n\nEX1 1AA  \n", "Team\n1 Street\n\nEX1 1AA"),
        (SenderKind.LETTER_CONTACT, "((name))\nEX1 1AA", "((name))\nEX1 1AA"),
    ],
)
def test_takes(kind: SenderKind, value: str, stored: str) -> None:
    assert checked_value(kind, value) == stored


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        (SenderKind.SMS, "ab", "sms_sender.sender"),
        (SenderKind.SMS, "twelve chars", "sms_sender.sender"),
        (SenderKind.SMS, "007", "sms_sender.sender"),
        (SenderKind.SMS, "emoji🎣", "sms_sender.sender"),
        (SenderKind.SMS, "a\nbc", "sms_sender.sender"),
        (SenderKind.SMS, "+44 7984 404008 and more", "sms_sender.sender"),
        (SenderKind.REPLY_TO, "nowhere", "reply_to_address.email_address"),
        (SenderKind.REPLY_TO, "a@b.example\nBcc: c@d.example", "reply_to_address.email_address"),
        (SenderKind.LETTER_CONTACT, " \n ", "letter_contact.contact_block"),
        (SenderKind.LETTER_CONTACT, "\n".join(map(str, range(11))), "letter_contact.contact_block"),
        (SenderKind.LETTER_CONTACT, "x" * 2001, "letter_contact.contact_block"),
    ],
)
def test_refuses_without_repeating_the_value(kind: SenderKind, value: str, field: str) -> None:
    with pytest.raises(NotifyError) as caught:
        checked_value(kind, value)
    assert caught.value.reason == "INVALID_FIELD"
    assert [violation.field for violation in caught.value.violations] == [field]
    if value.strip():
        assert value not in caught.value.message

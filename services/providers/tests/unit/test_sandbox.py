"""What the sandbox does with a recipient (public-api.md §5.4 and the sandbox's own faults)."""

import pytest
from notify_providers.domain.message import Content, EmailContent, PrintContent, SmsContent
from notify_providers.domain.sandbox import Script, script


def sms(typed: str, *, international: bool = False) -> SmsContent:
    """A text; the number is the digits of what was typed."""
    digits = "".join(character for character in typed if character.isdigit())
    return SmsContent(digits, "GOVUK", "Hello", international, typed)


def email(address: str) -> EmailContent:
    """An email."""
    return EmailContent(address, "Name", "from@example.com", "Subject", "plain", "html")


def letter(first_line: str) -> PrintContent:
    """A letter."""
    return PrintContent("key", (first_line, "1 Street", "SW1A 1AA"), "second", "REFERENCE", 1)


@pytest.mark.parametrize(
    ("content", "receipts"),
    [
        (sms("07700900003"), ("temporary-failure",)),
        (sms("+447700900003"), ("temporary-failure",)),
        (sms("07700900002"), ("permanent-failure",)),
        (sms("07700 900003"), ("delivered",)),
        (sms("07700900001"), ("delivered",)),
        (sms("+33612345678", international=True), ("delivered",)),
        (email("temp-fail@simulator.notify"), ("temporary-failure",)),
        (email("perm-fail@simulator.notify"), ("permanent-failure",)),
        (email("Temp-Fail@simulator.notify"), ("delivered",)),
        (email("delivered@simulator.notify"), ("delivered",)),
        (letter("A Person"), ("delivered",)),
    ],
)
def test_messages_of_test_keys_end_as_their_recipient_says(
    content: Content, receipts: tuple[str, ...]
) -> None:
    assert script(content, "test", 1) == Script(True, "accepted", "", receipts)


@pytest.mark.parametrize("content", [sms("07700900003"), email("perm-fail@simulator.notify")])
@pytest.mark.parametrize("key_type", ["normal", "team"])
def test_with_other_keys_these_recipients_mean_nothing(content: Content, key_type: str) -> None:
    assert script(content, key_type, 1).receipts == ("delivered",)


@pytest.mark.parametrize(
    ("number", "name", "attempt", "expected"),
    [
        (901, "refused", 1, Script(False, "refused", "refused", ())),
        (902, "lost-answer", 1, Script(True, "retryable", "timeout", ("delivered",))),
        (902, "lost-answer", 2, Script(True, "accepted", "", ("delivered",))),
        (903, "busy-twice", 1, Script(False, "retryable", "http_503", ())),
        (903, "busy-twice", 2, Script(False, "retryable", "http_503", ())),
        (903, "busy-twice", 3, Script(True, "accepted", "", ("delivered",))),
        (904, "down", 40, Script(False, "retryable", "timeout", ())),
        (905, "no-receipt", 1, Script(True, "accepted", "", ())),
        (906, "repeated-receipt", 1, Script(True, "accepted", "", ("delivered",) * 3)),
        (907, "mixed-receipts", 1, Script(True, "accepted", "", ("delivered", "pending"))),
    ],
)
@pytest.mark.parametrize("key_type", ["normal", "team", "test"])
def test_a_fault_has_a_recipient_on_every_channel(
    number: int, name: str, attempt: int, expected: Script, key_type: str
) -> None:
    recipients: list[Content] = [
        sms(f"07700 900{number}"),
        email(f"{name}@Sandbox.notify"),
        letter(f"Sandbox {name.replace('-', ' ').title()}"),
    ]
    for content in recipients:
        assert script(content, key_type, attempt) == expected

"""What the sandbox does with a recipient (public-api.md §5.4 and the sandbox's own faults)."""

from pathlib import Path

import pytest
from notify_common.enums import KeyType, Postage
from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.message import Content, EmailContent, PrintContent, SmsContent
from notify_providers.domain.receipts import Kind
from notify_providers.domain.sandbox import FAULTS, Fault, Script, script

README = Path(__file__).parents[2] / "README.md"


def sms(typed: str, *, international: bool = False) -> SmsContent:
    """Return a text; the number is the digits of what was typed."""
    digits = "".join(character for character in typed if character.isdigit())
    return SmsContent(digits, "GOVUK", "Hello", international, typed)


def email(address: str) -> EmailContent:
    """Return an email."""
    return EmailContent(address, "Name", "from@example.com", "Subject", "plain", "html")


def letter(first_line: str) -> PrintContent:
    """Return a letter."""
    return PrintContent("key", (first_line, "1 Street", "SW1A 1AA"), Postage.SECOND, "REFERENCE", 1)


@pytest.mark.parametrize(
    ("content", "receipts"),
    [
        (sms("07700900003"), (Kind.TEMPORARY_FAILURE,)),
        (sms("+447700900003"), (Kind.TEMPORARY_FAILURE,)),
        (sms("07700900002"), (Kind.PERMANENT_FAILURE,)),
        (sms("07700 900003"), (Kind.DELIVERED,)),
        (sms("07700900001"), (Kind.DELIVERED,)),
        (sms("+33612345678", international=True), (Kind.DELIVERED,)),
        (email("temp-fail@simulator.notify"), (Kind.TEMPORARY_FAILURE,)),
        (email("perm-fail@simulator.notify"), (Kind.PERMANENT_FAILURE,)),
        (email("Temp-Fail@simulator.notify"), (Kind.DELIVERED,)),
        (email("delivered@simulator.notify"), (Kind.DELIVERED,)),
        (letter("A Person"), (Kind.DELIVERED,)),
    ],
)
def test_messages_of_test_keys_end_as_their_recipient_says(
    content: Content, receipts: tuple[Kind, ...]
) -> None:
    assert script(content, KeyType.TEST, 1) == Script(True, Outcome.ACCEPTED, "", receipts)


@pytest.mark.parametrize("content", [sms("07700900003"), email("perm-fail@simulator.notify")])
@pytest.mark.parametrize("key_type", [KeyType.NORMAL, KeyType.TEAM])
def test_with_other_keys_these_recipients_mean_nothing(content: Content, key_type: KeyType) -> None:
    assert script(content, key_type, 1).receipts == (Kind.DELIVERED,)


@pytest.mark.parametrize(
    ("number", "name", "attempt", "expected"),
    [
        (901, "refused", 1, Script(False, Outcome.REFUSED, "refused", ())),
        (902, "lost-answer", 1, Script(True, Outcome.UNKNOWN, "timeout", (Kind.DELIVERED,))),
        (902, "lost-answer", 2, Script(True, Outcome.ACCEPTED, "", (Kind.DELIVERED,))),
        (903, "busy-twice", 1, Script(False, Outcome.RETRYABLE, "http_503", ())),
        (903, "busy-twice", 2, Script(False, Outcome.RETRYABLE, "http_503", ())),
        (903, "busy-twice", 3, Script(True, Outcome.ACCEPTED, "", (Kind.DELIVERED,))),
        (904, "down", 40, Script(False, Outcome.UNKNOWN, "timeout", ())),
        (905, "no-receipt", 1, Script(True, Outcome.ACCEPTED, "", ())),
        (906, "repeated-receipt", 1, Script(True, Outcome.ACCEPTED, "", (Kind.DELIVERED,) * 3)),
        (907, "mixed-receipts", 1, Script(True, Outcome.ACCEPTED, "", (Kind.DELIVERED, Kind.PENDING))),
        (908, "temporary-failure", 1, Script(True, Outcome.ACCEPTED, "", (Kind.TEMPORARY_FAILURE,))),
        (909, "permanent-failure", 1, Script(True, Outcome.ACCEPTED, "", (Kind.PERMANENT_FAILURE,))),
        (910, "delayed", 1, Script(True, Outcome.ACCEPTED, "", (Kind.PENDING, Kind.DELIVERED), 30)),
        (911, "late-receipt", 1, Script(True, Outcome.ACCEPTED, "", (Kind.DELIVERED,), 60)),
        (912, "slow", 1, Script(True, Outcome.ACCEPTED, "", (Kind.DELIVERED,), answer_seconds=3)),
    ],
)
@pytest.mark.parametrize("key_type", list(KeyType))
def test_a_fault_has_a_recipient_on_every_channel(
    number: int, name: str, attempt: int, expected: Script, key_type: KeyType
) -> None:
    recipients: list[Content] = [
        sms(f"07700 900{number}"),
        email(f"{name}@Sandbox.notify"),
        letter(f"Sandbox {name.replace('-', ' ').title()}"),
    ]
    for content in recipients:
        assert script(content, key_type, attempt) == expected


def test_every_fault_is_declared_once_and_the_readme_shows_what_is_declared() -> None:
    assert [one.fault for one in FAULTS] == list(Fault)
    shown = [
        f"| …{one.number[:4]} {one.number[4:]} | `{one.address}` | {one.line} | {one.happens} "
        f"| {one.status} |"
        for one in FAULTS
    ]
    lines = README.read_text().splitlines()
    begin = lines.index(shown[0])
    assert lines[begin : begin + len(shown) + 1] == [*shown, ""]

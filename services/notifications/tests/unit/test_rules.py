"""Limits, recipients, cost, sanitising, and personalisation as it is stored."""

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common.enums import Channel, KeyType
from notify_notifications.domain import limits, recipients
from notify_notifications.domain.cost import Billable, Cost, cost
from notify_notifications.domain.hand_over import portions
from notify_notifications.domain.notification import State
from notify_notifications.domain.sanitising import sanitise, sanitise_text
from notify_notifications.domain.service import Service, shown_sms_sender
from notify_notifications.store.acceptance import personalisation_json

LIVE = Service(
    id="s",
    name="Pigeons",
    active=True,
    restricted=False,
    permissions=frozenset({"sms"}),
    rate_limit_per_minute=3000,
    daily_limits={"sms": 50, "email": 50, "letter": 50, "international_sms": 7},
    prefix_sms=False,
    email_local_part="pigeons",
    email_from_name="Pigeons",
    sms_senders={},
    reply_tos={},
    member_mobile_numbers=("+44 7700 900123", "not a number"),
    member_email_addresses=("Member@Example.gov.uk",),
    guest_phone_numbers=("07700900456",),
)
TRIAL = replace(LIVE, restricted=True)


@pytest.mark.parametrize(
    ("rate", "size"), [(1, 2), (3, 2), (4, 3), (2996, 1000), (3000, 1000), (90000, 1000)]
)
def test_bucket_size(rate: int, size: int) -> None:
    assert limits.bucket_size(rate) == size


def test_test_keys_of_a_trial_service_have_the_limits_of_a_live_one() -> None:
    assert limits.daily_limit(TRIAL, KeyType.TEST, "sms") == 250_000
    assert limits.daily_limit(TRIAL, KeyType.NORMAL, "sms") == 50
    assert limits.daily_limit(LIVE, KeyType.TEST, "international_sms") == 7


@pytest.mark.parametrize(
    ("service", "key_type", "number", "allowed"),
    [
        (LIVE, KeyType.NORMAL, "447700900999", True),
        (LIVE, KeyType.TEAM, "447700900123", True),
        (LIVE, KeyType.TEAM, "447700900456", True),
        (LIVE, KeyType.TEAM, "447700900999", False),
        (TRIAL, KeyType.NORMAL, "447700900123", True),
        (TRIAL, KeyType.NORMAL, "447700900000", False),
        (TRIAL, KeyType.TEST, "447700900999", True),
    ],
)
def test_recipient_rule(service: Service, key_type: KeyType, number: str, allowed: bool) -> None:
    assert recipients.may_write_to(service, key_type, number, service.team_phone_numbers) == allowed


def test_team_addresses_are_compared_normalised() -> None:
    assert LIVE.team_email_addresses == {"member@example.gov.uk"}


@pytest.mark.parametrize(
    ("sender", "shown"), [("07123123123", "447123123123"), ("GOVUK", "GOVUK"), ("60006", "60006")]
)
def test_shown_sender(sender: str, shown: str) -> None:
    assert shown_sms_sender(sender) == shown


def sms(**changes: object) -> Billable:
    billable = Billable(Channel.SMS, KeyType.NORMAL, State.SENDING, 2, 3, 24_000, None, None)
    return replace(billable, **changes)  # type: ignore[arg-type]


def letter(**changes: object) -> Billable:
    billable = Billable(Channel.LETTER, KeyType.NORMAL, State.SENDING, None, 0, None, 2, 770_000)
    return replace(billable, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("billable", "expected"),
    [
        (sms(), Cost(144_000, 2, 3, 24_000)),
        (sms(state=State.CREATED, fragment_count=None), None),
        (sms(state=State.TECHNICAL_FAILURE, fragment_count=None), Cost(0, 0, 3, 24_000)),
        (sms(key_type=KeyType.TEST, state=State.SENT), Cost(0, 0, 3, 24_000)),
        (sms(key_type=KeyType.TEST, state=State.DELIVERED), Cost(144_000, 2, 3, 24_000)),
        (sms(sms_rate_micropounds=None), None),
        (sms(channel=Channel.EMAIL), Cost()),
        (letter(), Cost(770_000, letter_sheets=2)),
        (letter(sheet_count=None), None),
        (letter(sheet_count=0, letter_rate_micropounds=None), Cost()),
        (letter(state=State.VALIDATION_FAILED), Cost()),
        (letter(letter_rate_micropounds=None), None),
    ],
)
def test_cost(billable: Billable, expected: Cost | None) -> None:
    assert cost(billable) == expected


@pytest.mark.parametrize(
    ("text", "sanitised"),
    [
        (
            "Amala, please [click this evil link](https://evil.link)",
            r"Amala, please \[click this evil link\]\(\)",
        ),
        ("Marie.Curie-Sklodowska is rad", r"Marie\. Curie\-Sklodowska is rad"),
        ("https://evil.link and www.evil.link?arg=nam", " and "),
        ("www.evil.link and https://evil.link", r"www\. evil\. link and "),
        ("Ann, see [this](https://evil.example/x)", r"Ann, see \[this\]\("),
        ("a@b.example", r"a@b\.example"),
        ("john.smith@example.com", r"john\.smith@example\.com"),
        ("Plain name", "Plain name"),
        (r"`*_(){}[]<>#+-.!|" + "\\", r"\`\*\_\(\)\{\}\[\]\<\>\#\+\-\.\!\|" + "\\\\"),
    ],
)
def test_sanitised_text(text: str, sanitised: str) -> None:
    assert sanitise_text(text) == sanitised


def test_names_match_loosely_and_only_changes_are_reported() -> None:
    pairs, changed = sanitise([("name", "a_b"), ("date", "1"), ("list", ["*"])], ["NA-ME", " Date ", "LIST"])
    assert pairs == [("name", r"a\_b"), ("date", "1"), ("list", [r"\*"])]
    assert [one.key for one in changed] == ["name"]


@given(st.text(alphabet="ab.@:/-_(*)ù \n", max_size=200))
def test_no_markdown_character_is_left_bare(text: str) -> None:
    sanitised = sanitise_text(text)
    bare = sanitised.replace("\\\\", "")
    for character in "`*_(){}[]<>#+-.!|":
        assert bare.count(character) == bare.count("\\" + character)


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 8), st.integers(1, 100))
def test_rows_are_read_in_portions_that_are_all_of_them_and_bounded(
    sizes: list[int], most_rows: int, most_bytes: int
) -> None:
    read = [sizes[portion] for portion in portions(sizes, most_rows, most_bytes)]
    assert [size for some in read for size in some] == sizes
    for some in read:
        assert 1 <= len(some) <= most_rows
        assert len(some) == 1 or sum(some) <= most_bytes
    for some, following in itertools.pairwise(read):
        assert len(some) == most_rows or sum(some) + following[0] > most_bytes, "as few as may be"


@given(st.lists(st.tuples(st.text(), st.text() | st.none() | st.lists(st.text(), max_size=3)), max_size=4))
def test_personalisation_is_stored_as_it_was_given(pairs: list[tuple[str, str | list[str] | None]]) -> None:
    assert json.loads(personalisation_json(pairs)) == [[key, value] for key, value in pairs]

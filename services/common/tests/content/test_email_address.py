"""Email addresses: what is refused, what is cleaned, and that nothing else is raised."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notify_content import email_address
from notify_content.email_address import InvalidEmailAddress

ADDRESS_LIKE = st.text("aZ9.-_@'\u00e9\u3002\uff0e\u00df \u200b\u00a0\t", max_size=24)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "a@b",
        "a@@example.com",
        "a@.example.com",
        "a@example.com.",
        "a..b@example.com",
        "a@exa---mple.com",
        "a@example.c0",
        "a@example.xn--",
        "a@xn--\u00e9.com",
        "a@" + "b" * 64 + ".com",
        "a@\u2024example.com",
        "am\u00edna@example.com",
        "a b@example.com",
        "a\x00@example.com",
        "a@exam\u3000ple.com",
        "a" * 309 + "@example.com",
        "a@\ud800.com",
    ],
)
def test_refused(address: str) -> None:
    with pytest.raises(InvalidEmailAddress) as raised:
        email_address.parse(address)
    assert str(raised.value) == raised.value.message == "Not a valid email address"


def test_cleaned_and_lowered() -> None:
    parsed = email_address.parse("\ufeff Ami\u200bna\u00a0@B\u00dcCHER\u3002Example\r\n")
    assert parsed.validated == "Amina@B\u00dcCHER\u3002Example"
    assert parsed.normalised == "amina@b\u00fccher\u3002example"


def test_length_limits_are_inclusive() -> None:
    assert email_address.parse("a" * 308 + "@example.com")
    assert email_address.parse("a@" + "b" * 63 + ".com")
    label = "d" * 62
    assert email_address.parse(f"a@{label}.{label}.{label}.{'e' * 60}.com")
    with pytest.raises(InvalidEmailAddress):
        email_address.parse(f"a@{label}.{label}.{label}.{'e' * 61}.com")


@given(ADDRESS_LIKE | st.text(st.characters()) | st.emails())
@example("a@" + "\u0130" * 300)
@example("a@" + ".b" * 100_000)
@example("a" * 1_000_000 + "@")
def test_cleaning_twice_changes_nothing_and_nothing_else_is_raised(address: str) -> None:
    try:
        parsed = email_address.parse(address)
    except InvalidEmailAddress:
        return
    assert email_address.parse(parsed.validated) == parsed


@given(st.text("\u00ad\u200b\u200e\u202d\u202c\u2066\u2069\ufeff\ufe0f\U000e0100\u00a0", max_size=3))
def test_what_nobody_sees_is_no_part_of_an_address(invisible: str) -> None:
    written = invisible.join(["", *"Ada@Example.com", ""])
    assert email_address.parse(written) == ("Ada@Example.com", "ada@example.com")

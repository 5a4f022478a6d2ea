"""Phone numbers: errors, permissions, and the plain UK mobile number against the full numbering plan."""

from contextlib import suppress

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notify_content import phone
from notify_content.international_rates import NUMERIC_SENDER_PREFIXES, RATE_MULTIPLIERS
from notify_content.phone import InvalidPhoneNumber, PhoneNumber

from .steps import count_steps

ANY_TEXT = st.text(st.characters())
NUMBER_LIKE = st.text("0123456789+()- \u00a0\u200b\u2013x\n\t", max_size=24)
UK_SHAPED = st.builds(
    lambda prefix, digits: prefix + digits,
    st.sampled_from(["0", "+44", "44", "0044", "", "+440", "+", "00", "(0)", "07700", "+7770"]),
    st.text("0123456789", min_size=4, max_size=11),
)
EXAMPLES = st.sampled_from(
    [
        phonenumbers.format_number(number, style)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
        for style in (phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        if (number := phonenumbers.example_number_for_type(region, kind)) is not None
    ]
)


def spaced(digits: str, gaps: list[int]) -> str:
    for gap in gaps:
        place = gap % (len(digits) + 1)
        digits = digits[:place] + " " + digits[place:]
    return digits


def code(number: str, *, allow_international: bool = False, allow_uk_landline: bool = False) -> str:
    with pytest.raises(InvalidPhoneNumber) as raised:
        phone.parse(number, allow_international=allow_international, allow_uk_landline=allow_uk_landline)
    return raised.value.code


def answer(parse: object, number: str, international: bool, landline: bool) -> PhoneNumber | str:
    try:
        return parse(  # type: ignore[operator,no-any-return]
            number, allow_international=international, allow_uk_landline=landline
        )
    except InvalidPhoneNumber as error:
        return error.code


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("", "too_short"),
        ("123", "too_short"),
        ("+4474001234567", "too_long"),
        ("07400.123.456", "unknown_character"),
        ("٠٧٤٠٠١٢٣٤٥٦", "unknown_character"),
        ("0740012345", "invalid_number"),
        ("0906 123 4567", "invalid_number"),
        ("020 7946 0123", "not_a_uk_mobile"),
        ("+33612345678", "not_a_uk_mobile"),
        ("+850 192 123 4567", "not_a_uk_mobile"),
    ],
)
def test_refusals(number: str, expected: str) -> None:
    assert code(number) == expected


def test_unsupported_destination() -> None:
    assert code("+850 192 123 4567", allow_international=True) == "unsupported_country_code"


@pytest.mark.parametrize("number", ["999", "112", "9 9 9"])
def test_emergency_numbers_are_no_contact_numbers(number: str) -> None:
    with pytest.raises(InvalidPhoneNumber) as raised:
        phone.parse_service_contact_number(number)
    assert raised.value.code == "unsupported_emergency_number"


def test_three_digits_are_a_domestic_contact_number() -> None:
    contact = phone.parse_service_contact_number("1 0 1")
    assert (contact.normalised, contact.human_readable) == ("44101", "101")
    assert not contact.international
    assert not contact.crown_dependency


def test_errors_do_not_repeat_the_number() -> None:
    for number in ("0740012345", "+33612345678", "07400x123456"):
        with pytest.raises(InvalidPhoneNumber) as raised:
            phone.parse(number, allow_international=False)
        shown = f"{raised.value!r} {raised.value.message} {raised.value.api_message}"
        assert number.strip("+") not in shown


def test_permissions() -> None:
    landline = phone.parse("0161 496 0123", allow_international=False, allow_uk_landline=True)
    assert landline.human_readable == "0161 496 0123"
    abroad = phone.parse("1 876 512 3456", allow_international=True)
    assert (abroad.country_prefix, abroad.rate_multiplier) == ("1876", 7)


def test_foreign_is_by_country_code() -> None:
    assert phone.is_foreign("+850 192 123 4567")
    assert phone.is_foreign("0033 6 12 34 56 78")
    assert not any(map(phone.is_foreign, ["07400 123456", "07797 712345", "nobody", "", "+"]))


def test_every_prefix_of_the_uk_mobile_range_is_answered_as_by_the_numbering_plan() -> None:
    for prefix in range(10_000):
        number = f"07{prefix:04d}12345"
        assert answer(phone.parse, number, False, False) == answer(
            phone.parse_by_numbering_plan, number, False, False
        )


@pytest.mark.parametrize("prefix", ["0", "+44", "44", "0044", "", "+440", "(0)", "0+44", "00044"])
def test_drama_numbers_and_their_neighbours_are_answered_as_by_the_numbering_plan(prefix: str) -> None:
    drama = [f"7700900{last:03d}" for last in range(1000)]
    # Of other lengths, and with one digit of what makes them drama numbers changed.
    neighbours = [f"7700900{'123456'[:length]}" for length in range(7)] + [
        f"{drama[123][:place]}{digit}{drama[123][place + 1 :]}" for place in range(7) for digit in range(10)
    ]
    for national in drama + neighbours:
        for international in (False, True):
            number = prefix + national
            assert answer(phone.parse, number, international, False) == answer(
                phone.parse_by_numbering_plan, number, international, False
            )


def test_drama_numbers_go_the_quick_way() -> None:
    def work(number: str) -> int:
        return count_steps(lambda: phone.parse(number, allow_international=False))

    assert work("07700 900123") == work("07400 123456") < work("07700 800123")


def test_drama_numbers_are_domestic() -> None:
    assert phone.parse("07700 900123", allow_international=False) == PhoneNumber(
        normalised="447700900123",
        human_readable="07700 900123",
        is_uk=True,
        international=False,
        crown_dependency=False,
        country_prefix="44",
        rate_multiplier=1,
        use_numeric_sender=False,
    )


@given(
    st.sampled_from(["0", "+44", "44", "0044", "", "+440", "(0)"]),
    st.from_regex("7[0-9]{8,10}|77009?0?0?[0-9]{2,6}", fullmatch=True),
    st.lists(st.integers(0, 20), max_size=40),
    st.booleans(),
    st.booleans(),
)
@example("0", "7400123456", [0] * 300, False, False)
def test_uk_mobile_numbers_are_answered_as_by_the_numbering_plan(
    prefix: str, national: str, gaps: list[int], international: bool, landline: bool
) -> None:
    number = spaced(prefix + national, gaps)
    assert answer(phone.parse, number, international, landline) == answer(
        phone.parse_by_numbering_plan, number, international, landline
    )


@given(NUMBER_LIKE | UK_SHAPED | EXAMPLES, st.booleans(), st.booleans())
def test_other_numbers_are_answered_as_by_the_numbering_plan(
    number: str, international: bool, landline: bool
) -> None:
    assert answer(phone.parse, number, international, landline) == answer(
        phone.parse_by_numbering_plan, number, international, landline
    )


@given(NUMBER_LIKE | UK_SHAPED | EXAMPLES)
def test_normalising_twice_changes_nothing(number: str) -> None:
    try:
        once = phone.normalise(number)
    except InvalidPhoneNumber:
        return
    assert phone.normalise("+" + once) == once


@given(UK_SHAPED | EXAMPLES)
def test_derived_facts_agree_with_each_other(number: str) -> None:
    try:
        parsed = phone.parse(number, allow_international=True, allow_uk_landline=True)
    except InvalidPhoneNumber:
        return
    assert phone.normalise(number) == parsed.normalised
    assert phone.is_foreign(number) == (not parsed.is_uk)
    assert parsed.normalised.startswith(parsed.country_prefix)
    assert parsed.crown_dependency == (parsed.is_uk and parsed.international)
    assert parsed.use_numeric_sender == (parsed.country_prefix in NUMERIC_SENDER_PREFIXES)
    expected = RATE_MULTIPLIERS[parsed.country_prefix] if parsed.international else 1
    assert parsed.rate_multiplier == expected


@given(ANY_TEXT | NUMBER_LIKE, st.booleans(), st.booleans())
@example("\ud800" * 3, True, True)
@example("9" * 100_000, True, True)
@example("(" * 100_000, True, True)
@example(" +" * 50_000 + "447400123456", True, True)
def test_no_text_raises_anything_else(number: str, international: bool, landline: bool) -> None:
    answer(phone.parse, number, international, landline)
    phone.is_foreign(number)
    with suppress(InvalidPhoneNumber):
        phone.parse_service_contact_number(number)


INVISIBLE = st.text(
    "\u00ad\u200b\u200e\u202a\u202d\u202c\u2060\u2066\u2069\ufeff\u180b\ufe0f\U000e0100", max_size=3
)


@given(
    st.sampled_from(["07400 123456", "+33 6-12-34-56-78", "0161 496 0123", "12", "0740012345x", ""]),
    INVISIBLE,
    st.sampled_from("-\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"),
    st.sampled_from(" \u00a0\u2003\u2009\u202f\u3000"),
)
def test_what_nobody_sees_or_tells_apart_makes_no_difference(
    number: str, invisible: str, dash: str, space: str
) -> None:
    written = invisible.join(["", *number.replace("-", dash).replace(" ", space), ""])

    def answer(text: str) -> object:
        try:
            return phone.parse(text, allow_international=True, allow_uk_landline=True)
        except InvalidPhoneNumber as error:
            return error.code

    assert answer(written) == answer(number)
    assert phone.is_foreign(written) == phone.is_foreign(number)


@pytest.mark.parametrize("number", ["07400\n123456", "07400\u0661\u0662\u0663456", "\uff0b447400123456"])
def test_line_feeds_and_other_digits_and_pluses_are_refused(number: str) -> None:
    with pytest.raises(InvalidPhoneNumber):
        phone.parse(number, allow_international=True)

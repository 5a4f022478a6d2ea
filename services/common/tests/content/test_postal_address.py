"""Postal addresses: checks in their order, countries, BFPO, and that reading them is stable."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notify_content import countries
from notify_content.countries import Country
from notify_content.postal_address import InvalidPostalAddress, PostalAddress, format_postcode

LINE = st.sampled_from(
    [
        "Ms R Patel",
        "12 Elm Road,",
        "LS1 4AP",
        "ls14ap",
        "BF1 3AA",
        "BFPO 58",
        "BFPO",
        "bfpo c/o 007",
        "England",
        "UK",
        "France",
        "Yr Almaen",
        "The Netherlands",
        "NFA",
        "(x",
        "-",
        "",
        " , ,",
        "a , b .",
        "\u200b",
    ]
)
ADDRESS = st.lists(LINE | st.text(st.characters(), max_size=12), max_size=9).map("\n".join)


def error(text: str, *, allow_international: bool = False) -> str | None:
    return PostalAddress.from_lines(text).error_code(allow_international=allow_international)


# Each address fails its own check and, where the order shows, later ones too.
@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (" ,\n", "address-is-empty"),
        ("England\nWales", "address-is-empty"),
        ("(A\nNFA", "not-enough-address-lines"),
        ("BFPO 58", "not-enough-address-lines"),
        ("France", "not-enough-address-lines"),
        ("(\nNFA\nC\nD\nE\nF\nG\nH", "too-many-address-lines"),
        ("(A\n-\nLeeds", "invalid-address-line-1-or-2"),
        ("(A\nNFA\nBFPO 1\nFrance", "has-country-for-bfpo-address"),
        ("(A\nNFA\nLeeds", "not-a-real-uk-postcode"),
        ("(A\nNFA\nFrance", "cant-send-international-letters"),
        ("(A\nNFA\nLS1 4AP", "invalid-char-in-address"),
        ("A\nnfa\nLS1 4AP", "no-fixed-abode-address"),
        ("A\nB\nLS1 4AP", None),
    ],
)
def test_the_first_failing_check_is_reported(address: str, expected: str | None) -> None:
    assert error(address) == expected


def test_with_international_letters_the_last_line_may_be_a_country() -> None:
    assert error("A\nB\nFrance", allow_international=True) is None
    assert error("A\nB\nLeeds", allow_international=True) == "not-a-real-uk-postcode-or-country"


def test_an_invalid_address_raises_words_for_the_api_without_the_address() -> None:
    with pytest.raises(InvalidPostalAddress) as raised:
        PostalAddress.from_lines("Secret House\n12 Elm Road\nLeeds").check(allow_international=False)
    assert raised.value.api_message == "Must be a real UK postcode"
    assert "Secret" not in f"{raised.value!r}"


@pytest.mark.parametrize("number", ["9" * 18, "0" * 5000 + "7"])
def test_long_bfpo_numbers_are_read(number: str) -> None:
    assert PostalAddress.from_lines(f"A\nB\nBFPO {number}").bfpo_number == int(number.lstrip("0"))


@pytest.mark.parametrize("number", ["9" * 19, "9" * 100_000])
def test_digits_beyond_any_bfpo_number_are_an_ordinary_line(number: str) -> None:
    assert PostalAddress.from_lines(f"A\nB\nBFPO {number}").bfpo_number is None


def test_values_of_other_types_are_text() -> None:
    address = PostalAddress.from_personalisation(
        {"address_line_1": 12, "Address Line 2": ["Elm House", None, "Elm Road"], "postcode": "ls14ap"}
    )
    assert address.normalised_lines == ("12", "Elm House and Elm Road", "LS1 4AP")


def test_a_null_line_7_hides_the_postcode() -> None:
    values = {"address_line_1": "A", "address_line_2": "B", "postcode": "LS1 4AP"}
    assert PostalAddress.from_personalisation(values).postcode == "LS1 4AP"
    assert PostalAddress.from_personalisation(values | {"address-line-7": None}).postcode is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Bahamas", Country("The Bahamas", "rest-of-world")),
        ("SWISTIR", Country("Switzerland", "europe")),
        ("Trinidad + Tobago", Country("Trinidad and Tobago", "rest-of-world")),
        ("\u00c5land", Country("\u00c5land Islands", "rest-of-world")),
        ("\u4e2d\u56fd", Country("China", "rest-of-world")),
        ("Sark", countries.UNITED_KINGDOM),
        ("The Netherlands", Country("Netherlands", "europe")),
        ("the  republic of Ireland", Country("Ireland", "europe")),
        ("THE BAHAMAS", Country("The Bahamas", "rest-of-world")),
        ("the isle of man", countries.UNITED_KINGDOM),
        ("The The Netherlands", None),
        ("TheNetherlands", None),
        ("The", None),
        ("The ", None),
        ("Then France", None),
        ("France 2", None),
        ("USSR", None),
        ("", None),
        ("?", None),
    ],
)
def test_countries(line: str, expected: Country | None) -> None:
    assert countries.lookup(line) == expected


@given(st.text("lsLS14apAPgir \u00a0\u200b\u00df\u0131\uff11", max_size=10) | st.text(st.characters()))
def test_formatting_a_postcode_twice_changes_nothing(text: str) -> None:
    once = format_postcode(text)
    if once is not None:
        assert format_postcode(once) == once


@given(ADDRESS, st.booleans())
@example("BFPO 58\nBFPO 59", True)
@example("\ud800\n\u202efdp", True)
@example("UK\nA\nB\nUK", True)
@example("A , " * 200_000, False)
@example("A\nBFPO 58\nFrance\nEngland", False)
def test_what_is_printed_is_read_back_the_same(text: str, allow_international: bool) -> None:
    address = PostalAddress.from_lines(text)
    address.error_code(allow_international=allow_international)
    lines = address.normalised_lines
    assert all(line == " ".join(line.split()) for line in lines)
    if not address.is_valid(allow_international=allow_international):
        return
    again = PostalAddress.from_lines("\n".join(lines))
    personalisation = address.as_personalisation
    assert personalisation is not None
    assert PostalAddress.from_personalisation(personalisation).normalised_lines == again.normalised_lines
    # a country above `BFPO 58` is taken for that of the address once the number is taken out
    is_abroad = again.has_invalid_country_for_bfpo_address
    if "UK" not in lines and "England" not in lines and not is_abroad:
        assert again.normalised_lines == lines


def test_an_article_before_a_country_is_no_part_of_the_address() -> None:
    address = PostalAddress.from_lines("Ms J Jansen\nDam 1\n1012 JS Amsterdam\nThe Netherlands")
    assert address.normalised_lines == ("Ms J Jansen", "Dam 1", "1012 JS Amsterdam", "Netherlands")
    assert (address.postage_zone, address.is_valid(allow_international=True)) == ("europe", True)
    at_home = PostalAddress.from_lines("A\nB\nLS1 4AP\nEngland\nThe United Kingdom")
    assert at_home.normalised_lines == ("A", "B", "LS1 4AP")
    bfpo = PostalAddress.from_lines("A\nBFPO 58\nThe Netherlands")
    assert bfpo.has_invalid_country_for_bfpo_address

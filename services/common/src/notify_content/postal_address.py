"""Postal addresses: lines, country, postcode, BFPO number and checks (content.md §10)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from notify_content import countries
from notify_content.countries import Country
from notify_content.placeholders import Lists, Personalisation, Values, value_text
from notify_content.text import normalise_whitespace, remove_all_whitespace, tidy_punctuation

MIN_LINES: Final = 3
MAX_LINES: Final = 7

_LINE_KEYS: Final = tuple(f"addressline{number}" for number in range(1, MAX_LINES))
_LAST_LINE_KEY: Final = "addressline7"
_POSTCODE_KEY: Final = "postcode"
_NAMED_LINES: Final = MAX_LINES - 1

_POSTCODE_AREAS: Final = (
    "AB AL B BA BB BD BF BH BL BN BR BS BT BX CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E "
    "EC EH EN EX FK FY G GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L GIR LA LD LE LL LN "
    "LS LU M ME MK ML N NE NG NN NP NR NW OL OX PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP "
    "SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS WV YO ZE"
)
_POSTCODE: Final = re.compile(
    rf"(?:{_POSTCODE_AREAS.replace(' ', '|')})[0-9][0-9A-Z]?[0-9][ABD-HJLNP-UW-Z]{{2}}"
)
_INWARD_LENGTH: Final = 3

# Eighteen digits are far beyond any BFPO number and still fit every integer column.
_BFPO_LINE: Final = re.compile(r"\s*BFPO\s*(?:c/o)?\s*(?:0*(\d{1,18}))?\s*", re.IGNORECASE)
_ALPHANUMERIC: Final = re.compile("[a-zA-Z0-9]")
_REFUSED_FIRST_CHARACTERS: Final = tuple('@()=[]"\\/,<>~')
_NO_FIXED_ABODE: Final = re.compile("no fixed (?:abode|address)")

# Public API wording by code, in the order in which the checks are made (content.md §10.6). An address without
# content fails there as one with too few lines, one abroad as one without a postcode.
_API_MESSAGES: Final = {
    "address-is-empty": "Address must be at least 3 lines",
    "not-enough-address-lines": "Address must be at least 3 lines",
    "too-many-address-lines": "Address must be no more than 7 lines",
    "invalid-address-line-1-or-2": (
        "The first 2 lines of the address must both include at least one alphanumeric character"
    ),
    "has-country-for-bfpo-address": "The last line of a BFPO address must not be a country.",
    "not-a-real-uk-postcode-or-country": "Last line of address must be a real UK postcode or another country",
    "cant-send-international-letters": "Must be a real UK postcode",
    "not-a-real-uk-postcode": "Must be a real UK postcode",
    "invalid-char-in-address": (
        "Address lines must not start with any of the following characters: @ ( ) = [ ] ” \\ / , < >"
    ),
    "no-fixed-abode-address": "Must be a real address",
}


class InvalidPostalAddress(ValueError):
    """An address that no letter can be sent to.

    `code` is that of the first check it fails (content.md §10.6), `api_message` the public API's wording.
    Neither contains the address.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self.api_message = _API_MESSAGES[code]
        super().__init__(self.api_message)


def format_postcode(text: str) -> str | None:
    """`text` as a UK postcode, upper case with one space before the last three characters, or None."""
    postcode = remove_all_whitespace(text).upper()
    if not _POSTCODE.fullmatch(postcode):
        return None
    return f"{postcode[:-_INWARD_LENGTH]} {postcode[-_INWARD_LENGTH:]}"


@dataclass(frozen=True)
class PostalAddress:
    """An address as written on the envelope, valid or not; immutable."""

    lines: tuple[str, ...]
    """What was left of the given lines after BFPO and country lines were taken out."""
    country: Country
    bfpo_number: int | None

    @classmethod
    def from_lines(cls, text: str) -> "PostalAddress":
        """Return the address in a text of several lines."""
        return cls._read(text.splitlines())

    @classmethod
    def from_personalisation(cls, values: Values) -> "PostalAddress":
        """Return the address in `address_line_1` … `address_line_6` and `address_line_7` or `postcode`.

        Keys are compared insensitively; `address_line_7` hides `postcode` whenever it is there at all, even
        with a null value. A value may hold several lines.
        """
        supplied = Personalisation.of(values).values
        last = _LAST_LINE_KEY if _LAST_LINE_KEY in supplied else _POSTCODE_KEY
        given = (supplied.get(key) for key in (*_LINE_KEYS, last))
        return cls._read(
            line
            for value in given
            if value is not None
            for line in value_text(value, Lists.SENTENCE).splitlines()
        )

    @classmethod
    def _read(cls, raw_lines: Iterable[str]) -> "PostalAddress":
        stripped = (normalise_whitespace(line).rstrip(" ,") for line in raw_lines)
        lines = [tidy_punctuation(line) for line in stripped if line] or [""]
        lines, bfpo_number = _take_bfpo_number(lines)
        lines, country = _take_country(lines)
        return cls(tuple(lines), country, bfpo_number)

    @cached_property
    def postcode(self) -> str | None:
        """The formatted UK postcode, if the last of `lines` is one."""
        return None if self.international or not self.lines else format_postcode(self.lines[-1])

    @property
    def postage_zone(self) -> str:
        """`united-kingdom`, `europe` or `rest-of-world`."""
        return self.country.zone

    @property
    def international(self) -> bool:
        return self.country.zone != countries.UNITED_KINGDOM.zone

    @cached_property
    def normalised_lines(self) -> tuple[str, ...]:
        """The lines as printed (content.md §10.5); one empty line if the address was blank."""
        lines = self.lines if self.postcode is None else (*self.lines[:-1], self.postcode)
        if self.bfpo_number is not None:
            lines = (*lines, f"BFPO {self.bfpo_number}")
        return (*lines, self.country.name) if self.international else lines

    @property
    def as_single_line(self) -> str:
        return ", ".join(self.normalised_lines)

    @property
    def line_count(self) -> int:
        """Lines as printed; a blank address has none."""
        return len(self.normalised_lines) if self.has_content else 0

    @property
    def as_personalisation(self) -> dict[str, str] | None:
        """The printed lines as `address_line_1` … `address_line_7` and `postcode`; None without any line.

        An address of more than seven lines, which fails its checks, loses those in between.
        """
        if not self.normalised_lines:
            return None
        *body, last = self.normalised_lines
        blanks = [""] * _NAMED_LINES
        named = (body + blanks)[:_NAMED_LINES]
        postcode = last
        if self.bfpo_number is not None:
            postcode = self.postcode or ""
            if postcode:
                named = [*(body[:-1] + blanks)[: _NAMED_LINES - 1], postcode]
        return {f"address_line_{number}": line for number, line in enumerate(named, start=1)} | {
            "address_line_7": last,
            "postcode": postcode,
        }

    @property
    def has_content(self) -> bool:
        return any(self.normalised_lines)

    @property
    def has_enough_lines(self) -> bool:
        return self.line_count >= MIN_LINES

    @property
    def has_too_many_lines(self) -> bool:
        return self.line_count > MAX_LINES

    @property
    def lines_1_and_2_have_alphanumerics(self) -> bool:
        """Whether both are there with an ASCII letter or digit."""
        first_two = self.normalised_lines[:2]
        return len(first_two) == 2 and all(map(_ALPHANUMERIC.search, first_two))

    @property
    def has_invalid_country_for_bfpo_address(self) -> bool:
        return self.bfpo_number is not None and self.international

    @property
    def has_invalid_characters(self) -> bool:
        """Whether a line starts with a character the printer refuses."""
        return any(line.startswith(_REFUSED_FIRST_CHARACTERS) for line in self.normalised_lines)

    @property
    def has_no_fixed_abode_address(self) -> bool:
        lowered = [line.lower() for line in self.normalised_lines]
        return "nfa" in lowered or any(map(_NO_FIXED_ABODE.search, lowered))

    def has_valid_last_line(self, *, allow_international: bool) -> bool:
        """Return a UK postcode, a BFPO number at home, or a foreign country if letters may go there."""
        if self.international:
            return allow_international and self.bfpo_number is None
        return self.postcode is not None or self.bfpo_number is not None

    def error_code(self, *, allow_international: bool) -> str | None:
        """Return the code of the first check that fails, None when the address is valid (content.md
        §10.6).
        """
        if not self.has_content:
            return "address-is-empty"
        if not self.has_enough_lines:
            return "not-enough-address-lines"
        if self.has_too_many_lines:
            return "too-many-address-lines"
        if not self.lines_1_and_2_have_alphanumerics:
            return "invalid-address-line-1-or-2"
        if self.has_invalid_country_for_bfpo_address:
            return "has-country-for-bfpo-address"
        if not self.has_valid_last_line(allow_international=allow_international):
            if allow_international:
                return "not-a-real-uk-postcode-or-country"
            return "cant-send-international-letters" if self.international else "not-a-real-uk-postcode"
        if self.has_invalid_characters:
            return "invalid-char-in-address"
        return "no-fixed-abode-address" if self.has_no_fixed_abode_address else None

    def is_valid(self, *, allow_international: bool) -> bool:
        return self.error_code(allow_international=allow_international) is None

    def check(self, *, allow_international: bool) -> None:
        """Raise InvalidPostalAddress unless a letter can be sent here."""
        code = self.error_code(allow_international=allow_international)
        if code is not None:
            raise InvalidPostalAddress(code)


def _take_bfpo_number(lines: list[str]) -> tuple[list[str], int | None]:
    """All lines but the BFPO lines, and the first BFPO number; the lines as they are if there is none."""
    matches = [_BFPO_LINE.fullmatch(line) for line in lines]
    number = next((int(match[1]) for match in matches if match and match[1]), None)
    if number is None:
        return lines, None
    return [line for line, match in zip(lines, matches, strict=True) if match is None], number


def _take_country(lines: list[str]) -> tuple[list[str], Country]:
    """Return the lines above the country and the country; all lines and the United Kingdom if none is named.

    As many lines are cut from the end as name the United Kingdom, wherever they stand below a foreign
    country: a line that names none may be cut in the place of one that does (content.md §10.3).
    """
    country = countries.lookup(lines[-1]) if lines else None
    if country is None:
        return lines, countries.UNITED_KINGDOM
    if country != countries.UNITED_KINGDOM:
        return lines[:-1], country
    cut = 0
    for line in reversed(lines):
        named = countries.lookup(line)
        if named == countries.UNITED_KINGDOM:
            cut += 1
        elif named is not None:
            break
    return lines[: len(lines) - cut], country

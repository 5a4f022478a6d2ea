"""Phone numbers: parsing, permission to send, and the facts billing needs (content.md §8).

libphonenumber supplies the numbering plans. A plain UK mobile number, the commonest by far, is answered
without it, as is one reserved for drama; the answer is the one that goes by way of libphonenumber.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberType, ValidationResult

from notify_content.charsets import ascii_fold
from notify_content.international_rates import NUMERIC_SENDER_PREFIXES, RATE_MULTIPLIERS
from notify_content.text import ALL_WHITESPACE, clean_number

_Parsed = phonenumbers.PhoneNumber

_UK_CODE: Final = 44
_NORTH_AMERICA_CODE: Final = 1
_NORTH_AMERICA_PREFIX_DIGITS: Final = 4
_UK_REGION: Final = "GB"
_EMERGENCY_NUMBERS: Final = frozenset({"999", "112"})

_UNKNOWN_CHARACTER: Final = re.compile(rf"[^0-9()+\-{re.escape(ALL_WHITESPACE)}]")
# Longer text with its spaces taken out could pass for a number that libphonenumber finds too long to read.
_PLAIN_LENGTH: Final = 32
_SHORT_CODE: Final = re.compile("[0-9]{3}")
_TV_NUMBER: Final = re.compile("7700[0-9]")
# What is reserved for drama of the TV numbers, and so in no numbering plan.
_DRAMA_NUMBER: Final = "7700900[0-9]{3}"

_ALLOWED_TYPES: Final = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.UAN,
        PhoneNumberType.PERSONAL_NUMBER,
    }
)
_LANDLINE_TYPES: Final = frozenset(
    {PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.UAN}
)

# (user wording, public API wording) by code; content.md §8.6. The hyphen in one of them is as published.
_MESSAGES: Final = {
    "invalid_number": (
        "Number is not valid – double check the phone number you entered",
        "Number is not valid – double check the phone number you entered",
    ),
    "too_long": ("Mobile number is too long", "Too many digits"),
    "too_short": ("Mobile number is too short", "Not enough digits"),
    "not_a_uk_mobile": (
        "This does not look like a UK mobile number – double check the mobile number you entered",
        "Not a UK mobile number",
    ),
    "unknown_character": (
        "Mobile numbers can only include: 0 1 2 3 4 5 6 7 8 9 ( ) + -",
        "Must not contain letters or symbols",
    ),
    "unsupported_country_code": (
        "Country code not found - double check the mobile number you entered",
        "Not a valid country prefix",
    ),
    "unsupported_emergency_number": (
        "Phone number cannot be an emergency number",
        "Phone number cannot be an emergency number",
    ),
}

_LENGTH_ERRORS: Final = {
    ValidationResult.TOO_LONG: "too_long",
    ValidationResult.TOO_SHORT: "too_short",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "too_short",
    ValidationResult.INVALID_COUNTRY_CODE: "unsupported_country_code",
}


class InvalidPhoneNumber(ValueError):
    """A number that cannot be sent to.

    `code` is one of content.md §8.6, `message` its wording for users and `api_message` the public API's,
    without the field name. None of them contains the number.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self.message, self.api_message = _MESSAGES[code]
        super().__init__(self.message)


class PhoneNumber(NamedTuple):
    """A number that can be sent to, with its derived facts (content.md §8.4)."""

    normalised: str
    """E.164 without the plus: `447400123456`. To be read again it needs its plus, without which the digits of
    some foreign numbers are a UK number."""
    human_readable: str
    """National format for country code 44, international format otherwise."""
    is_uk: bool
    """Country code 44, so Jersey, Guernsey and the Isle of Man too."""
    international: bool
    """In the billing sense: true for the crown dependencies."""
    crown_dependency: bool
    country_prefix: str
    """Billing prefix, a key of `international_rates.RATE_MULTIPLIERS`."""
    rate_multiplier: int
    """Times the domestic rate that a fragment costs; 1 unless `international`."""
    use_numeric_sender: bool
    """Whether the destination refuses alphanumeric senders."""


def parse(number: str, *, allow_international: bool, allow_uk_landline: bool = False) -> PhoneNumber:
    """Return the number as sent to and billed, if the service may send to it.

    Accepts what people type and programs mangle: spaces, brackets, dashes, lost or doubled pluses, extra
    zeros, invisible characters of address books. Raises InvalidPhoneNumber for every other text
    (content.md §8.2, §8.3).
    """
    return _plain_uk_mobile(number) or parse_by_numbering_plan(
        number, allow_international=allow_international, allow_uk_landline=allow_uk_landline
    )


def parse_by_numbering_plan(
    number: str, *, allow_international: bool, allow_uk_landline: bool = False
) -> PhoneNumber:
    """Return what `parse` answers, always by way of libphonenumber; the two never differ."""
    parsed = _parse(number, _check_plan)
    _check_permission(parsed, allow_international, allow_uk_landline)
    return _facts(parsed)


def parse_service_contact_number(number: str) -> PhoneNumber:
    """Return a number that a service shows to the public: any sendable number or a three-digit short number.

    Raises InvalidPhoneNumber; for emergency numbers too (content.md §8.2 step 4).
    """
    parsed = _parse(number, _check_contact_plan)
    _check_permission(parsed, allow_international=True, allow_uk_landline=True)
    return _facts(parsed)


def normalise(number: str) -> str:
    """E.164 without the plus of any number that parses, whether or not a service may send to it.

    With the plus put back it normalises to itself.
    Raises InvalidPhoneNumber for a number that does not parse (content.md §8.2).
    """
    plain = _plain_uk_mobile(number)
    return plain.normalised if plain else _e164(_parse(number, _check_plan))


def is_foreign(number: str) -> bool:
    """Whether the text parses as a number whose country code is not 44 (content.md §11.6)."""
    if _plain_uk_mobile(number):
        return False
    try:
        return _parse(number, _check_plan).country_code != _UK_CODE
    except InvalidPhoneNumber:
        return False


def _plain_uk_mobile_pattern() -> str:
    plan: Any = PhoneMetadata.metadata_for_region(_UK_REGION)
    return rf"(?:0|\+44|0044|44|)({plan.mobile.national_number_pattern}|{_DRAMA_NUMBER})"


_PLAIN_UK_MOBILE: Final = re.compile(_plain_uk_mobile_pattern(), re.ASCII)


def _plain_uk_mobile(number: str) -> PhoneNumber | None:
    if len(number) > _PLAIN_LENGTH:
        return None
    match = _PLAIN_UK_MOBILE.fullmatch(number.replace(" ", ""))
    if match is None:
        return None
    national = match[1]
    return PhoneNumber("44" + national, f"0{national[:4]} {national[4:]}", True, False, False, "44", 1, False)


def _parse(number: str, check: Callable[[_Parsed, str], _Parsed]) -> _Parsed:
    """Two attempts at one number; the second, on a repaired text, stands with its error (content.md §8.2)."""
    number = clean_number(number)
    try:
        return _attempt(number, check)
    except InvalidPhoneNumber:
        return _attempt(ascii_fold(number.replace("+", "").lstrip("0")), check)


def _attempt(number: str, check: Callable[[_Parsed, str], _Parsed]) -> _Parsed:
    if _UNKNOWN_CHARACTER.search(number):
        raise InvalidPhoneNumber("unknown_character")
    if not number:
        raise InvalidPhoneNumber("too_short")
    return check(_parse_in_uk(number), number)


def _parse_in_uk(number: str) -> _Parsed:
    try:
        return phonenumbers.parse(number, _UK_REGION)
    except NumberParseException:
        raise InvalidPhoneNumber("invalid_number") from None


def _check_contact_plan(parsed: _Parsed, number: str) -> _Parsed:
    national = phonenumbers.national_significant_number(parsed)
    if not _SHORT_CODE.fullmatch(national):
        return _check_plan(parsed, number)
    if national in _EMERGENCY_NUMBERS:
        raise InvalidPhoneNumber("unsupported_emergency_number")
    return parsed


def _check_plan(parsed: _Parsed, number: str) -> _Parsed:
    """Return `parsed`, or what the same digits mean abroad, if of a possible length and an allowed type."""
    length = phonenumbers.is_possible_number_with_reason(parsed)
    if length != ValidationResult.IS_POSSIBLE:
        abroad = _possible_with_plus(number)
        if abroad is None:
            raise InvalidPhoneNumber(_LENGTH_ERRORS.get(length, "invalid_number"))
        parsed = abroad
    if not _is_tv_number(parsed) and (
        not phonenumbers.is_valid_number(parsed) or phonenumbers.number_type(parsed) not in _ALLOWED_TYPES
    ):
        raise InvalidPhoneNumber("invalid_number")
    return parsed


def _possible_with_plus(number: str) -> _Parsed | None:
    """Return the number with the plus that spreadsheets drop, or None if that has no possible length
    either.
    """
    try:
        parsed = phonenumbers.parse("+" + number, _UK_REGION)
    except NumberParseException:
        return None
    return parsed if phonenumbers.is_possible_number(parsed) else None


def _check_permission(parsed: _Parsed, allow_international: bool, allow_uk_landline: bool) -> None:
    is_uk = parsed.country_code == _UK_CODE
    if not is_uk and not allow_international:
        raise InvalidPhoneNumber("not_a_uk_mobile")
    if is_uk and not allow_uk_landline and phonenumbers.number_type(parsed) in _LANDLINE_TYPES:
        raise InvalidPhoneNumber("not_a_uk_mobile")
    if str(parsed.country_code) not in RATE_MULTIPLIERS:
        raise InvalidPhoneNumber("unsupported_country_code")


def _is_tv_number(parsed: _Parsed) -> bool:
    """Meant for numbers reserved for drama; the rest of the digits are not looked at (content.md §8.4)."""
    return _TV_NUMBER.match(str(parsed.national_number)) is not None


def _e164(parsed: _Parsed) -> str:
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def _billing_prefix(parsed: _Parsed, normalised: str) -> str:
    if parsed.country_code == _NORTH_AMERICA_CODE:
        prefix = normalised[:_NORTH_AMERICA_PREFIX_DIGITS]
        return prefix if prefix in RATE_MULTIPLIERS else str(_NORTH_AMERICA_CODE)
    return str(parsed.country_code)


def _facts(parsed: _Parsed) -> PhoneNumber:
    is_uk = parsed.country_code == _UK_CODE
    normalised = _e164(parsed)
    prefix = _billing_prefix(parsed, normalised)
    # A UK short number belongs to no region; like a TV number it is domestic.
    region = phonenumbers.region_code_for_number(parsed) or (_UK_REGION if is_uk else None)
    international = region != _UK_REGION and not _is_tv_number(parsed)
    style = phonenumbers.PhoneNumberFormat
    return PhoneNumber(
        normalised=normalised,
        human_readable=phonenumbers.format_number(parsed, style.NATIONAL if is_uk else style.INTERNATIONAL),
        is_uk=is_uk,
        international=international,
        crown_dependency=is_uk and international,
        country_prefix=prefix,
        rate_multiplier=RATE_MULTIPLIERS[prefix] if international else 1,
        use_numeric_sender=prefix in NUMERIC_SENDER_PREFIXES,
    )

"""`postal_address.json`: postal addresses and their checks."""

from typing import Any, Final

from notify_content.postal_address import PostalAddress

INPUT_FIELDS: Final = frozenset({"allow_international"})


def actual(case_input: dict[str, Any]) -> dict[str, Any]:
    allowed = case_input["allow_international"]
    if "address" in case_input:
        address = PostalAddress.from_lines(case_input["address"])
    else:
        address = PostalAddress.from_personalisation(case_input["personalisation"])
    return {
        "valid": address.is_valid(allow_international=allowed),
        "error_code": address.error_code(allow_international=allowed),
        "normalised_lines": list(address.normalised_lines),
        "as_single_line": address.as_single_line,
        "line_count": address.line_count,
        "postcode": address.postcode,
        "country": address.country.name,
        "postage_zone": address.postage_zone,
        "international": address.international,
        "bfpo_number": address.bfpo_number,
        "as_personalisation": address.as_personalisation,
        "checks": {
            "has_enough_lines": address.has_enough_lines,
            "has_too_many_lines": address.has_too_many_lines,
            "has_valid_postcode": address.postcode is not None,
            "has_valid_last_line": address.has_valid_last_line(allow_international=allowed),
            "has_invalid_characters": address.has_invalid_characters,
            "has_no_fixed_abode_address": address.has_no_fixed_abode_address,
            "has_invalid_country_for_bfpo_address": address.has_invalid_country_for_bfpo_address,
            "lines_1_and_2_have_alphanumerics": address.lines_1_and_2_have_alphanumerics,
        },
    }

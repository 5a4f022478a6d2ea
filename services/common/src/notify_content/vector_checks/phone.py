"""`phone.json`: phone numbers and permission to send to them."""

from typing import Any, Final

from notify_content import phone

INPUT_FIELDS: Final = frozenset({"phone_number"})


def actual(case_input: dict[str, Any]) -> dict[str, Any]:
    number = case_input["phone_number"]
    try:
        if case_input.get("is_service_contact_number"):
            contact = phone.parse_service_contact_number(number)
            return {
                "valid": True,
                "normalised": contact.normalised,
                "human_readable": contact.human_readable,
            }
        parsed = phone.parse(
            number,
            allow_international=case_input.get("allow_international", False),
            allow_uk_landline=case_input.get("allow_uk_landline", False),
        )
    except phone.InvalidPhoneNumber as error:
        return {
            "valid": False,
            "error_code": error.code,
            "error_message": error.message,
            "api_error_message": error.api_message,
        }
    return {"valid": True} | parsed._asdict()

"""`email_address.json`: email addresses."""

from typing import Any, Final

from notify_content import email_address

INPUT_FIELDS: Final = frozenset({"email_address"})


def actual(case_input: dict[str, Any]) -> dict[str, Any]:
    try:
        parsed = email_address.parse(case_input["email_address"])
    except email_address.InvalidEmailAddress as error:
        return {"valid": False, "error_message": error.message}
    return {"valid": True} | parsed._asdict()

"""Reading the form-encoded bodies of callbacks."""

from typing import Final
from urllib.parse import parse_qsl

_MAX_FIELDS: Final = 200


def fields_of(body: bytes) -> dict[str, str] | None:
    """Return the fields of an `application/x-www-form-urlencoded` body, or None if it is none.

    Of fields that come more than once the first counts. NUL, which no database keeps, is left out.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="replace",
        )
    except ValueError:
        return None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value.replace("\0", ""))
    return fields

"""Reading JSON objects that come from providers."""

import json
from typing import Any


def members_of(text: bytes | str) -> dict[str, Any]:
    """Return the members of a JSON object; none of anything else, be it no JSON or too deep to be read."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}

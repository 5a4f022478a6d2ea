"""Codes that prove that a user reads a phone or an inbox (internal-api.md §4.8)."""

import secrets
from datetime import timedelta
from typing import Final

LIFETIME: Final = timedelta(minutes=30)
KEPT: Final = timedelta(days=1)
"""After which a code is deleted."""
MOST_UNUSED: Final = 5
"""Codes of a user that are neither used nor expired."""
MOST_FAILURES: Final = 10
"""Failed attempts to sign in after which no code is right any more."""
_DIGITS: Final = 5


def new_digits() -> str:
    """Return five digits of which no two neighbours are equal, so that none is typed twice by mistake."""
    digits = secrets.choice("0123456789")
    while len(digits) < _DIGITS:
        digits += secrets.choice("0123456789".replace(digits[-1], ""))
    return digits

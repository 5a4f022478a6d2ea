"""Personalisation as it is carried and stored: pairs in the client's order (public-api.md §2.2)."""

from collections.abc import Iterable
from typing import Final

Value = str | list[str] | None
"""A text, a list of texts, or None for a null that counts as missing."""

Pairs = list[tuple[str, Value]]
"""Keys with their values, in the client's order."""

_ADDRESS_KEYS: Final = frozenset([*(f"address_line_{number}" for number in range(1, 8)), "postcode"])


def address_values(pairs: Pairs) -> dict[str, Value]:
    """Return the entries whose keys are exactly those of address lines (public-api.md §2.6)."""
    return {key: value for key, value in pairs if key in _ADDRESS_KEYS}


def texts(pairs: Pairs) -> Iterable[str]:
    """Yield every text in it, keys and values."""
    for key, value in pairs:
        yield key
        if isinstance(value, str):
            yield value
        elif value is not None:
            yield from value

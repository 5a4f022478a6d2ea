"""Email addresses (content.md §9)."""

import re
from typing import Final, NamedTuple

from notify_content.text import remove_invisible, strip_obscure

MESSAGE: Final = "Not a valid email address"

_MAX_LENGTH: Final = 320
_MAX_DOMAIN_LENGTH: Final = 253
_MAX_LABEL_LENGTH: Final = 63

_SHAPE: Final = re.compile(r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@([^@\s.][^@\s]+)")
_LABEL: Final = re.compile(r"[a-z0-9]+(?:--?[a-z0-9]+)*", re.IGNORECASE | re.ASCII)
_LAST_LABEL: Final = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]*[a-z0-9]", re.IGNORECASE | re.ASCII)


class InvalidEmailAddress(ValueError):
    """Not an address that can be sent to.

    `message` is the one wording for users and, after the field name, for the public API. It does not contain
    the address.
    """

    def __init__(self) -> None:
        self.message = MESSAGE
        super().__init__(MESSAGE)


class EmailAddress(NamedTuple):
    """A valid address."""

    validated: str
    """As given, without invisible and obscure characters; case kept, domain not turned into ASCII."""
    normalised: str
    """Lower-cased, for storage, sending and comparison."""


def parse(address: str) -> EmailAddress:
    """Return the address without invisible characters and no-break spaces and without space around it.

    Raises InvalidEmailAddress for every other text.
    """
    validated = strip_obscure(remove_invisible(address))
    shape = _SHAPE.fullmatch(validated) if len(validated) <= _MAX_LENGTH else None
    if shape is None or ".." in validated or not _is_valid_domain(shape[1]):
        raise InvalidEmailAddress
    return EmailAddress(validated, validated.lower())


def _is_valid_domain(domain: str) -> bool:
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    labels = ascii_domain.split(".")
    return (
        len(ascii_domain) <= _MAX_DOMAIN_LENGTH
        and len(labels) >= 2
        and all(len(label) <= _MAX_LABEL_LENGTH and _LABEL.fullmatch(label) for label in labels)
        and _LAST_LABEL.fullmatch(labels[-1]) is not None
    )

"""Every text that an index holds has a length that the index takes, in whatever script it is written.

An entry of a B-tree holds about 2,700 bytes, and what compresses badly is stored as it is.
"""

from collections.abc import Callable
from random import Random

import pytest
from notify_testing.calls import reason

from .conftest import Admin

LONGEST = 255


def text(length: int) -> str:
    """Return characters of four bytes that don't compress."""
    return "".join(chr(Random(length + number).randrange(0x20000, 0x2A000)) for number in range(length))


def api_key(admin: Admin, value: str) -> None:
    number = str(len(value))
    admin.make_key(admin.make_service(number).id, admin.make_user(address=f"{number}@example.gov.uk"), value)


STORES: dict[str, Callable[[Admin, str], object]] = {
    "api_key": api_key,
    "service": lambda admin, value: admin.make_service(value[:-1] + "a"),
    "organisation": lambda admin, value: admin.CreateOrganisation(organisation={"name": value}),
    "domain": lambda admin, value: admin.CreateOrganisation(
        organisation={"name": "Pigeons", "domains": [value]}
    ),
    "email_branding": lambda admin, value: admin.CreateEmailBranding(
        email_branding={"name": value, "text": "x"}
    ),
    "letter_branding": lambda admin, value: admin.CreateLetterBranding(
        letter_branding={"name": value, "filename": value}
    ),
}


@pytest.mark.parametrize("name", STORES)
def test_the_longest_text_is_stored_and_a_longer_one_refused(admin: Admin, name: str) -> None:
    for length in (LONGEST + 1, 10_000):
        assert reason(STORES[name], admin, text(length)) == "INVALID_FIELD"
    STORES[name](admin, text(LONGEST))

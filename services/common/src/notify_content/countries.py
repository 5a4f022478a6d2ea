"""Which line of an address names a country, and the postage zone it is in (content.md §10.7)."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from notify_content import country_names
from notify_content.charsets import UNENCODABLE, ascii_fold

_DIGIT: Final = re.compile(r"\d")
_KEY_CHARACTERS: Final = str.maketrans({"&": "and", "+": "and"} | dict.fromkeys(" _-'’,.()"))
# Names are listed with their article where they have one; people leave it out.
_ARTICLES: Final = ("", "the ", "yr ", "y ")
# Or they add one to a name that is listed without.
_ADDED_ARTICLE: Final = re.compile("the ", re.IGNORECASE)


class Country(NamedTuple):
    """A country as an envelope names it."""

    name: str
    zone: str
    """Postage zone: `united-kingdom`, `europe` or `rest-of-world`."""


UNITED_KINGDOM: Final = Country("United Kingdom", "united-kingdom")


def key(name: str) -> str:
    """Return the form in which country names are compared: without spaces, punctuation, case and accents."""
    unfolded = name.translate(_KEY_CHARACTERS).lower()
    folded = ascii_fold(unfolded)
    return unfolded if UNENCODABLE in folded else folded


def lookup(line: str) -> Country | None:
    """Return the country that a whole address line names, or None. A line with a digit names none."""
    if _DIGIT.search(line):
        return None
    for article in _ARTICLES:
        country = _COUNTRIES.get(key(article + line))
        if country is not None:
            return country
    article_found = _ADDED_ARTICLE.match(line)
    return _COUNTRIES.get(key(line[article_found.end() :])) if article_found else None


def _entries(zone: str, table: str) -> Iterator[tuple[str, Country]]:
    for entry in re.findall(r"(?m)^\S.*:\n(?:^ .*\n)+", table):
        name, _, keys = entry.partition(":\n")
        for name_key in re.split(r",\s+", keys.strip()):
            yield name_key, Country(name, zone)


_COUNTRIES: Final[dict[str, Country]] = dict(
    entry
    for zone, table in (
        ("united-kingdom", country_names.UNITED_KINGDOM),
        ("europe", country_names.EUROPE),
        ("rest-of-world", country_names.REST_OF_WORLD),
    )
    for entry in _entries(zone, table)
)

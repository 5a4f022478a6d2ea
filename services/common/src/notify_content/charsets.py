"""Kept character sets and downgrading to them (content.md §3.2)."""

import unicodedata
from collections.abc import Iterable
from string import ascii_letters, digits
from typing import Final

GSM_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà" + ascii_letters + digits
)
GSM_EXTENSION: Final = frozenset("^{}\\[~]|€")
WELSH: Final = frozenset("àèìòùẁỳÀÈÌÒÙẀỲáéíóúẃýÁÉÍÓÚẂÝäëïöüẅÿÄËÏÖÜẄŸâêîôûŵŷÂÊÎÔÛŴŶ")
WELSH_NON_GSM: Final = WELSH - GSM_BASIC
UNENCODABLE: Final = "?"

_REPLACEMENTS: Final = (
    dict.fromkeys("\u2011\u2013\u2014\u2212", "-")
    | dict.fromkeys("\u2018\u2019\u201a", "'")
    | dict.fromkeys("\u201c\u201d\u201e", '"')
    | dict.fromkeys("\u180e\u200b\u200c\u200d\u2060\ufeff\u2028\u2029", "")
    | dict.fromkeys("\u00a0\u202f\t", " ")
    | {"\u2026": "...", "Ł": "L", "ł": "l"}
)


class Charset(dict[int, str]):
    """A set of characters to keep and the replacement of every other; a table for `str.translate`.

    Replacements are worked out when first met and remembered, at most one for each code point.
    """

    def __init__(self, kept: Iterable[str]) -> None:
        self.kept = frozenset(kept)
        super().__init__((ord(character), character) for character in self.kept)

    def __missing__(self, code_point: int) -> str:
        replacement = self._replacement(chr(code_point))
        self[code_point] = UNENCODABLE if replacement is None else replacement
        return self[code_point]

    def _replacement(self, character: str) -> str | None:
        decomposition = unicodedata.decomposition(character)
        if decomposition and not decomposition.startswith("<"):
            first = chr(int(decomposition.split()[0], 16))
            return first if first in self.kept else None
        return _REPLACEMENTS.get(character)

    def downgrade(self, text: str) -> str:
        """`text` with every character outside the set replaced; `?` where nothing fits."""
        return text.translate(self)

    def unencodable(self, text: str) -> list[str]:
        """Return the characters of `text` that become `?`, sorted by code point."""
        return sorted(
            character for character in set(text) - self.kept if self._replacement(character) is None
        )


SMS: Final = Charset(GSM_BASIC | GSM_EXTENSION | WELSH)
ASCII: Final = Charset(map(chr, range(0x20, 0x7F)))


def ascii_fold(text: str) -> str:
    """`text` in printable ASCII, as phone numbers and country names are compared (content.md §3.2)."""
    return ASCII.downgrade(text)

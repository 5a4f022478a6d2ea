"""Character classes and the small text operations every other module is built from.

Source of the rules: content.md §1.
"""

import html
import re
import reprlib
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from functools import cache, lru_cache
from html.entities import html5
from typing import Final, overload

ASCII_WHITESPACE: Final = " \t\n\r\x0b\x0c"
ZERO_WIDTH_OBSCURE: Final = "\u180e\u200b\u200c\u200d\u2060\ufeff\u2028\u2029"
FULL_WIDTH_OBSCURE: Final = "\u00a0\u202f"
ALL_WHITESPACE: Final = ASCII_WHITESPACE + ZERO_WIDTH_OBSCURE + FULL_WIDTH_OBSCURE
UNICODE_SPACES: Final = (
    " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
"""General category Zs."""


DASHES: Final = (
    "-\u058a\u05be\u1400\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d\u301c\u3030"
    "\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d\U00010d6e\U00010ead\u2212"
)
"""General category Pd, and the minus sign."""


def _characters(*ranges: tuple[int, int]) -> str:
    """Return the characters of ranges of code points, each with its last."""
    return "".join(chr(one) for first, last in ranges for one in range(first, last + 1))


INVISIBLE: Final = "\u00ad\ufeff" + _characters(
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x2069),
    (0x180B, 0x180D),
    (0x180F, 0x180F),
    (0xFE00, 0xFE0F),
    (0xE0100, 0xE01EF),
)
"""Characters that nobody can see: direction marks, soft hyphens, joiners, variation selectors."""

_DELETE_OBSCURE: Final = dict.fromkeys(map(ord, ZERO_WIDTH_OBSCURE + FULL_WIDTH_OBSCURE))
_DELETE_INVISIBLE: Final = dict.fromkeys(map(ord, INVISIBLE))
_PLAIN_SPACES: Final = dict.fromkeys(map(ord, UNICODE_SPACES), " ")
_PLAIN_NUMBER: Final = _DELETE_INVISIBLE | _PLAIN_SPACES | dict.fromkeys(map(ord, DASHES), "-")
_IGNORED_IN_KEYS: Final = dict.fromkeys(map(ord, f"{UNICODE_SPACES}_-"))
_DELETE_ALL_WHITESPACE: Final = dict.fromkeys(map(ord, ALL_WHITESPACE))
_SPACE_OUT_OBSCURE: Final = dict.fromkeys(map(ord, ZERO_WIDTH_OBSCURE)) | dict.fromkeys(
    map(ord, FULL_WIDTH_OBSCURE), " "
)
# The lookbehind and the possessive repeat keep a long run of spaces linear: the run is read once.
_SPACE_BEFORE_PUNCTUATION: Final = re.compile(r"(?<![ \t])[ \t]++(?=[.,])")
_MANY_LINE_FEEDS: Final = re.compile(r"\n{3,}")
_TRUE_VALUES: Final = frozenset({"yes", "y", "true", "t", "1", "include", "show"})

_AMPERSAND: Final = re.compile(r"&(?:#[0-9]++;|#[xX][0-9a-fA-F]++;|[^\t\n\x0c <&#;]{1,32}+;)?")
_ESCAPED: Final = {"&": "&amp;", "&amp;": "&amp;", "&nbsp;": "&nbsp;"}
_REFERENCE: Final = re.compile(r"&(?:#[0-9]++;|#[xX][0-9a-fA-F]++;|[a-zA-Z0-9]{1,32}+;)")
_LARGEST_CODE_POINT_DIGITS: Final = len("1114111")

_FEW_MARKS: Final = 32
_SHORT_TEXT: Final = 256
_SHORT_KEY: Final = 64
_LAST_COMBINING_MARK: Final = 0x1FFFF

_GOV_UK: Final = re.compile(r"(?:^|(?<=\s))([#*^]?GOV\.)(?=UK(?![/?#]))", re.IGNORECASE)


def normalise_whitespace(text: str) -> str:
    """One trimmed line with single spaces; zero-width characters gone (content.md §1.2)."""
    if not text.isascii():
        text = text.translate(_SPACE_OUT_OBSCURE)
    return " ".join(text.split())


def normalise_lines(text: str) -> str:
    """`normalise_whitespace` applied to each line, joined with line feeds (content.md §1.2)."""
    return "\n".join(map(normalise_whitespace, text.splitlines()))


def strip_obscure(text: str) -> str:
    """Delete zero-width and no-break spaces anywhere, then trim ASCII whitespace (content.md §1.2)."""
    if not text.isascii():
        text = text.translate(_DELETE_OBSCURE)
    return text.strip(ASCII_WHITESPACE)


def clean_cell(text: str) -> str:
    """As `strip_obscure`, but no-break spaces become ordinary spaces (content.md §1.2)."""
    if not text.isascii():
        text = text.translate(_SPACE_OUT_OBSCURE)
    return text.strip(ASCII_WHITESPACE)


def remove_invisible(text: str) -> str:
    """Delete every invisible character (content.md §1.1)."""
    return text if text.isascii() else text.translate(_DELETE_INVISIBLE)


def plain_spaces(text: str) -> str:
    """Every Unicode space as an ordinary one (content.md §1.1)."""
    return text if text.isascii() else text.translate(_PLAIN_SPACES)


def clean_number(text: str) -> str:
    """Return a phone number without invisible characters, with ordinary spaces and hyphens (content.md
    §8.2).
    """
    return text if text.isascii() else text.translate(_PLAIN_NUMBER)


@cache
def _many_marks() -> re.Pattern[str]:
    """Return a run of combining marks that is longer than any in a language."""
    marks = "".join(
        mark
        for mark in _characters((0x300, _LAST_COMBINING_MARK))
        if unicodedata.combining(unicodedata.normalize("NFD", mark)[0])
    )
    return re.compile(f"[{re.escape(marks)}]{{{_FEW_MARKS},}}+")


def _in_canonical_order(marks: re.Match[str]) -> str:
    decomposed = (part for mark in marks[0] for part in unicodedata.normalize("NFD", mark))
    return "".join(sorted(decomposed, key=unicodedata.combining))


def compose(text: str) -> str:
    """`text` in Unicode normalization form C."""
    if text.isascii():
        return text
    if len(text) > _SHORT_TEXT:
        # Python puts marks in order by exchanging neighbours, in quadratic time.
        text = _many_marks().sub(_in_canonical_order, text)
    return unicodedata.normalize("NFC", text)


def remove_all_whitespace(text: str) -> str:
    """Delete every "all whitespace" character (content.md §1.2)."""
    return text.translate(_DELETE_ALL_WHITESPACE)


def strip_all(text: str, extra: str = "") -> str:
    """Trim "all whitespace" at both ends and, at the right-hand end, `extra` as well (content.md §1.2)."""
    return text.lstrip(ALL_WHITESPACE).rstrip(ALL_WHITESPACE + extra)


def tidy_punctuation(text: str) -> str:
    """Delete spaces and tabs that stand directly before a comma or full stop (content.md §1.2)."""
    if " ." in text or " ," in text or "\t." in text or "\t," in text:
        return _SPACE_BEFORE_PUNCTUATION.sub("", text)
    return text


def limit_blank_lines(text: str) -> str:
    """Three or more line feeds in a row become two (content.md §1.2)."""
    return _MANY_LINE_FEEDS.sub("\n\n", text) if "\n\n\n" in text else text


def _decode_reference(reference: str) -> str:
    # A number too long for int() is out of range whatever its digits, once leading zeros are gone.
    if reference[1] == "#" and len(reference) > _LARGEST_CODE_POINT_DIGITS:
        digits = reference[2:].rstrip(";").lstrip("xX0")
        if len(digits) > _LARGEST_CODE_POINT_DIGITS:
            return "\ufffd"
        return html.unescape(f"&#{'x' if reference[2] in 'xX' else ''}{digits or '0'};")
    return html.unescape(reference)


def _decode_match(match: re.Match[str]) -> str:
    reference = match[0]
    if reference[1] == "#":
        return _decode_reference(reference)
    return html5.get(reference[1:], reference)


def _escape_match(match: re.Match[str]) -> str:
    found = match[0]
    escaped = _ESCAPED.get(found)
    return escaped if escaped is not None else html.escape(_decode_reference(found), quote=False)


def escape_html(text: str) -> str:
    """Escape `&`, `<` and `>`, tolerating character references already there (content.md §1.3).

    References that end in a semicolon are decoded first; `&amp;` and `&nbsp;` survive as written.
    Quotation marks are left alone, so the result is safe as element content, not inside an attribute.
    """
    if "&" in text:
        text = _AMPERSAND.sub(_escape_match, text)
    if "<" in text or ">" in text:
        text = text.replace("<", "&lt;").replace(">", "&gt;")
    return text


def decode_entities(text: str) -> str:
    """Decode every character reference that ends in a semicolon (content.md §4.1 step 8).

    A name is decoded if all of it is one of HTML5's, so `&section=8` and `&notaword;` stay as written.
    """
    return _REFERENCE.sub(_decode_match, text) if "&" in text else text


def unlink_govuk(text: str) -> str:
    """Put a zero-width space into `GOV.UK` so that mail programs do not link it (content.md §1.4)."""
    return _GOV_UK.sub("\\1\u200b", text) if "gov.uk" in text.lower() else text


def sentence_list(items: Iterable[str]) -> str:
    """Return `a`, `a and b`, `a, b and c` (content.md §1.6)."""
    *head, last = items
    return f"{', '.join(head)} and {last}" if head else last


@overload
def insensitive_key(key: str) -> str: ...
@overload
def insensitive_key(key: None) -> None: ...
def insensitive_key(key: str | None) -> str | None:
    """Return the form in which placeholder names, personalisation keys and headings are compared (content.md
    §1.7).

    It is composed, Unicode spaces, underscores and hyphens are deleted and the rest is lower-cased. None, the
    key of cells without a heading, stays None.
    """
    if key is None:
        return None
    return _short_key(key) if len(key) <= _SHORT_KEY else _insensitive_key(key)


def _insensitive_key(key: str) -> str:
    if not key.isascii():
        return compose(key).translate(_IGNORED_IN_KEYS).lower()
    return key.replace(" ", "").replace("_", "").replace("-", "").lower()


# Messages of a template have the same few keys.
_short_key: Final = lru_cache(maxsize=4096)(_insensitive_key)


def is_true(text: str) -> bool:
    """Whether a conditional's value, as text, shows its text (content.md §1.8)."""
    return text.lower() in _TRUE_VALUES


def _long_integer_text(value: int) -> str:
    # str() refuses integers beyond some thousands of digits; Decimal prints them.
    return str(Decimal(value))


class _AbridgedRepr(reprlib.Repr):
    """For objects nested too deep, or holding integers too long, to be printed whole."""

    def repr_int(self, x: int, level: int) -> str:
        return _long_integer_text(x)


_ABRIDGED: Final = _AbridgedRepr()


def text_of(value: object) -> str:
    """Return a personalisation value as text: `True`, `12`, `2.5` (content.md §2.2)."""
    if isinstance(value, str):
        return value
    try:
        return str(value)
    except (ValueError, RecursionError):
        return _long_integer_text(value) if isinstance(value, int) else _ABRIDGED.repr(value)

"""Emails written once for a template and filled in for each recipient.

A job writes one template for many recipients, and most values are a name, a date, a number: they neither are
Markdown nor change what is around them. For these the body is written once with a mark in place of each
value, and a recipient's values then replace the marks in what came out. `Precompiled.render` answers only
when that is certain to give what writing the filled-in body would give, and None otherwise. It is certain
because

- a mark is a letter, and a value (`_INERT`) is words of letters, digits and currency signs with single
  separators inside, so both begin and end in ink and hold nothing that begins, ends or escapes a construct;
- an apostrophe between two letters always becomes the closing mark, but within tags and the text of links;
- a mark and its value stand between characters (`_BEFORE`, `_AFTER`) that no rule joins to what a value may
  begin or end with, such as an entity, an address, a placeholder or a quotation mark;
- where only digits, spaces and punctuation come before it on its line, a value may not begin with a digit,
  as it could number a list;
- texts with what rules read as a whole together with words in it (`_JOINING`) are left to the full way, and
  so is a text of which each mark does not come out exactly once, as in a link's percent-encoded address.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from notify_content.placeholders import Parts
from notify_content.text import escape_html, is_true, text_of

_MAX_CONDITIONALS: Final = 4
"""Each combination of shown conditionals is written separately, so their number is bounded."""
_MAX_VALUES: Final = 64
"""Each mark is looked up in the whole text."""

_WORD: Final = "[A-Za-z0-9£€À-ÖØ-öø-ž]++"
_INERT: Final = re.compile(rf"{_WORD}(?:(?:[,.]? |[,.:/\-]|(?<=[^\W\d_])'(?=[^\W\d_])){_WORD})*+")
_BEFORE: Final = re.compile(r"(?:\A|[ \n])\Z")
_AFTER: Final = re.compile(r"[ \n,.!?)]|:(?!/)|\Z")
_JOINING: Final = re.compile(r"[<@\t\r]|\]:|```|~~~")
_LETTER: Final = re.compile("[A-Za-z]")
_MARKS: Final = range(0x20000, 0x2A6D0)


class _Slot(NamedTuple):
    """The place of a value in what was written."""

    key: str
    begins_line: bool
    curls: bool
    """Whether an apostrophe here is made curly."""


class _Written(NamedTuple):
    """A body written with marks, cut at them."""

    pieces: tuple[str, ...]
    slots: tuple[_Slot, ...]


class Precompiled:
    """A body as it was written for each combination of its conditionals so far; safe to share by threads."""

    def __init__(self, parts: Parts, write: Callable[[str], str | None], *, escape: bool) -> None:
        """`write` turns a filled-in body into a part of an email; None when its values have to be known."""
        self._parts = parts
        self._write = write
        self._escape = escape
        self._conditionals = [one for one in parts.placeholders if one.text is not None]
        self._written: dict[tuple[bool, ...], _Written | None] = {}

    def render(self, values: Mapping[str, object]) -> str | None:
        """Return the part for one recipient, or None when it has to be written in full."""
        values_number = len(self._parts.placeholders) - len(self._conditionals)
        if len(self._conditionals) > _MAX_CONDITIONALS or values_number > _MAX_VALUES:
            return None
        shown = []
        for placeholder in self._conditionals:
            value = values.get(placeholder.key)
            if not isinstance(value, str | int | float):
                return None
            text = text_of(value)
            shown.append(is_true(escape_html(text) if self._escape else text))
        written = self._written_with(tuple(shown))
        if written is None:
            return None
        out = [written.pieces[0]]
        for index, slot in enumerate(written.slots, 1):
            value = values.get(slot.key)
            text = value if isinstance(value, str) else text_of(value) if type(value) is int else ""
            if (
                not _INERT.fullmatch(text)
                or "gov" in text.lower()
                or (slot.begins_line and text[0].isdigit())
            ):
                return None
            if slot.curls:
                text = text.replace("'", "’")
            out += (text, written.pieces[index])
        return "".join(out)

    def _written_with(self, shown: tuple[bool, ...]) -> _Written | None:
        if shown not in self._written:
            self._written[shown] = self._write_marked(shown)
        return self._written[shown]

    def _write_marked(self, shown: tuple[bool, ...]) -> _Written | None:
        literals = self._parts.literals
        used = set("".join(literals))
        marks = (mark for mark in map(chr, _MARKS) if mark not in used)
        is_shown = iter(shown)
        text = [literals[0]]
        keys: dict[str, str] = {}
        for placeholder, literal in zip(self._parts.placeholders, literals[1:], strict=True):
            if placeholder.text is not None:
                text.append(placeholder.text if next(is_shown) else "")
            else:
                mark = next(marks, "")
                if not mark:
                    return None
                keys[mark] = placeholder.key
                text.append(mark)
            text.append(literal)
        marked = "".join(text)
        if _JOINING.search(marked) or not all(_stands_apart(marked, mark) for mark in keys):
            return None
        output = self._write(marked)
        return None if output is None else _cut(output, marked, keys, has_tags=self._escape)


def _stands_apart(text: str, mark: str) -> bool:
    at = text.index(mark)
    return bool(_BEFORE.match(text[max(0, at - 1) : at]) and _AFTER.match(text, at + 1))


def _cut(output: str, marked: str, keys: Mapping[str, str], *, has_tags: bool) -> _Written | None:
    """`output` cut at its marks; None unless each of them is there once."""
    if any(output.count(mark) != 1 for mark in keys):
        return None
    pieces = []
    slots = []
    end = 0
    for at, mark in sorted((output.index(mark), mark) for mark in keys):
        line = marked[: marked.index(mark)].rpartition("\n")[2]
        in_tag = has_tags and output.rfind("<", 0, at) > output.rfind(">", 0, at)
        in_link = has_tags and output.rfind("<a ", 0, at) > output.rfind("</a>", 0, at)
        slots.append(_Slot(keys[mark], not _LETTER.search(line), not in_tag and not in_link))
        pieces.append(output[end:at])
        end = at + 1
    return _Written((*pieces, output[end:]), tuple(slots))

"""Raw HTML inside Markdown: tags, elements and comments (content.md §5.2 row 10, §5.6 item 2).

Only the plain-text part of an email can hold any, since elsewhere `<` is escaped. Every lookup is by position
in lists made once, so that text full of unclosed tags is still read in linear time.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Final, NamedTuple

INLINE_TAGS: Final = frozenset(
    {
        "a",
        "em",
        "strong",
        "small",
        "s",
        "cite",
        "q",
        "dfn",
        "abbr",
        "data",
        "time",
        "code",
        "var",
        "samp",
        "kbd",
        "sub",
        "sup",
        "i",
        "b",
        "u",
        "mark",
        "ruby",
        "rt",
        "rp",
        "bdi",
        "bdo",
        "span",
        "br",
        "wbr",
        "ins",
        "del",
        "img",
        "font",
    }
)

_NAME: Final = re.compile(r"<(\w++)(?!:/|[^\w\s@]*+@)")
_CLOSER: Final = re.compile(r"</(\w+)>")
_ATTRIBUTE_NAME: Final = re.compile(r"\s*+[a-zA-Z\-]")
_EQUALS: Final = re.compile(r"\s*+=\s*+")
_VALUE_STOP: Final = re.compile(r"[\s'\">]")
_CLOSE_ANGLE: Final = re.compile(r"\s*+>")
_END_OF_TAG: Final = re.compile(r"\s*+/?>")
_END_OF_BLOCK: Final = re.compile(r" *+(?:\n{2,}|\s*\Z)")
_SPACES: Final = re.compile(r" *+")


class HtmlBlock(NamedTuple):
    """A block of raw HTML: what is printed and where in the text it ends."""

    printed: str
    end: int


def _first_from(positions: Sequence[int], start: int) -> int | None:
    index = bisect_left(positions, start)
    return positions[index] if index < len(positions) else None


class RawHtml:
    """The raw HTML of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._attributes_end: dict[int, int] = {}

    def starts_block(self, position: int) -> bool:
        """Whether a block-level tag opens here."""
        name = _NAME.match(self._text, position)
        return name is not None and name[1] not in INLINE_TAGS

    def inline_end(self, position: int) -> int | None:
        """Where the comment, element or tag that starts here ends; None when none starts."""
        text = self._text
        if text.startswith("<!--", position):
            end = _first_from(self._comment_ends, position + 4)
            if end is not None:
                return end + 3
        name = _NAME.match(text, position)
        if name is None:
            return None
        attributes_end = self._skip_attributes(name.end())
        opened = _CLOSE_ANGLE.match(text, attributes_end)
        if opened:
            closer = _first_from(self._closers.get(name[1], ()), opened.end())
            if closer is not None:
                return closer + len(name[1]) + 3
        tag = _END_OF_TAG.match(text, attributes_end)
        return tag.end() if tag else None

    def block(self, position: int) -> HtmlBlock | None:
        """Return the raw HTML block at the start of a line, if there is one."""
        text = self._text
        spaces = _SPACES.match(text, position)
        start = spaces.end() if spaces else position
        if text.startswith("<!--", start):
            comment = _first_from(self._block_comment_ends, start + 4)
            return None if comment is None else self._printed_with_blank_lines(position, comment + 3)
        name = _NAME.match(text, start)
        if name is None or name[1] in INLINE_TAGS:
            return None
        attributes_end = self._skip_attributes(name.end())
        if text.startswith(">", attributes_end):
            closer = _first_from(self._block_closers.get(name[1], ()), attributes_end + 1)
            if closer is not None:
                element_end = closer + len(name[1]) + 3
                return HtmlBlock(text[start:element_end], self._end_of_block(element_end))
        tag = _END_OF_TAG.match(text, attributes_end)
        if tag is None or not _END_OF_BLOCK.match(text, tag.end()):
            return None
        return self._printed_with_blank_lines(position, tag.end())

    def _printed_with_blank_lines(self, start: int, end: int) -> HtmlBlock:
        end = self._end_of_block(end)
        return HtmlBlock(self._text[start:end], end)

    def _end_of_block(self, position: int) -> int:
        match = _END_OF_BLOCK.match(self._text, position)
        return match.end() if match else position

    def _skip_attributes(self, position: int) -> int:
        known = self._attributes_end
        passed = []
        while position not in known:
            passed.append(position)
            following = self._skip_attribute(position)
            if following == position:
                known[position] = position
            position = following
        end = known[position]
        for one in passed:
            known[one] = end
        return end

    def _skip_attribute(self, position: int) -> int:
        text = self._text
        name = _ATTRIBUTE_NAME.match(text, position)
        if name is None:
            return position
        equals = _EQUALS.match(text, name.end())
        if equals is None:
            return name.end()
        value = equals.end()
        quote = text[value : value + 1]
        if quote in {'"', "'"}:
            closing = text.find(quote, value + 1)
            return name.end() if closing < 0 else closing + 1
        stop = _first_from(self._value_stops, value)
        value_end = len(text) if stop is None else stop
        return name.end() if value_end == value else value_end

    @cached_property
    def _value_stops(self) -> list[int]:
        return [match.start() for match in _VALUE_STOP.finditer(self._text)]

    @cached_property
    def _comment_ends(self) -> list[int]:
        return [match.start() for match in re.finditer("-->", self._text)]

    @cached_property
    def _block_comment_ends(self) -> list[int]:
        return [end for end in self._comment_ends if _END_OF_BLOCK.match(self._text, end + 3)]

    @cached_property
    def _closers(self) -> dict[str, list[int]]:
        closers = defaultdict(list)
        for match in _CLOSER.finditer(self._text):
            closers[match[1]].append(match.start())
        return dict(closers)

    @cached_property
    def _block_closers(self) -> dict[str, list[int]]:
        return {
            name: [at for at in starts if _END_OF_BLOCK.match(self._text, at + len(name) + 3)]
            for name, starts in self._closers.items()
        }

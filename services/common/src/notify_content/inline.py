"""Inline constructs of the Markdown dialect (content.md §5.6): a block's text as a list of nodes."""

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from notify_content.raw_html import RawHtml

_SPECIAL: Final = re.compile(r"[\\<!\[\n]|https?://")
_ESCAPE: Final = re.compile(r"\\([\\`*{}\[\]()#+\-.!_>~|])")
_URL: Final = re.compile(r"https?://([^\s<]++)")
_NOT_LAST_IN_URL: Final = "<.,:\"')]"
# An underscore always begins a new run of text, so a name with one in it is no entity.
_BARE_AMPERSAND: Final = re.compile(r"&(?!#?[^\W_]+;)")
# A round bracket that a backslash stands before does not count.
_PARENTHESIS: Final = re.compile(r"(?<!\\)[()]")
_ESCAPED_PARENTHESIS: Final = re.compile(r"\\([()])")
_WHITESPACE: Final = re.compile(r"\s*+")
_TITLE_OPENER: Final = re.compile(r"(?<!\s)\s++['\"]")
_TITLE_CLOSER: Final = re.compile(r"['\"](?=\s*+\))")
_ANGLE_CLOSER: Final = re.compile(r">(?=\s*+\))")
_ANGLE_TITLE: Final = re.compile(r">(?=\s++['\"])")
_REFERENCE_KEY: Final = re.compile(r"\]\s*+\[([^^\]]*+)\]")

_MAX_LINK_DEPTH: Final = 32
"""Links within the text of links are read to this depth; the text of a deeper one is printed as it is."""
_MAX_ADDRESS_DEPTH: Final = 32
"""Round brackets in the address of a link nest to this depth, as in CommonMark; deeper there is no link."""
_MAX_KEY_LENGTH: Final = 999
"""Longest key of a link or footnote reference, as in CommonMark; it keeps nested brackets linear."""
_MIN_REFERENCE_BUDGET: Final = 100_000
"""Characters of addresses and titles that the reference links of a short text may add to it."""


class Break:
    """A hard line break."""


class Url(NamedTuple):
    """A bare or angle-bracketed address, as written."""

    address: str


class Html(NamedTuple):
    """Raw HTML, copied as it is."""

    html: str


class Link(NamedTuple):
    """A link; `children` are the nodes of its text."""

    address: str
    title: str | None
    children: "list[Inline]"


Inline = str | Break | Url | Html | Link
"""A node. A str is text in which `&`, `<` and `>` are already escaped."""

BREAK: Final = Break()


class TooManyLinks(Exception):
    """The text has more links than it may."""


class Target(NamedTuple):
    """Where a reference link leads."""

    address: str
    title: str | None


def escape_text(text: str) -> str:
    """Escape `<` and `>`, and `&` where it does not begin an entity (content.md §5.6 item 9)."""
    if "&" in text:
        text = _BARE_AMPERSAND.sub("&amp;", text)
    return text.replace("<", "&lt;").replace(">", "&gt;")


def reference_key(key: str) -> str:
    """Return the form in which the keys of references and definitions are compared (content.md §5.6 item
    7).
    """
    return re.sub(r"\s+", " ", escape_text(key.lower()))


@dataclass
class InlineParser:
    """Reads the inline constructs of one document, block after block in document order."""

    links: Mapping[str, Target]
    text_length: int
    """Characters of the document. Reference links may add as many again, as an address or title is written
    for each reference to it; those beyond are printed as they are."""
    footnotes: dict[str, int]
    """The defined footnotes, with 0 or the order in which each was first referred to."""
    in_footnote: bool = False
    most_links: int | None = None
    """Links and addresses after which TooManyLinks is raised, those in footnotes not counted."""
    _footnotes_seen: int = 0
    _added_by_references: int = 0
    _links: int = 0
    _in_link: bool = False
    _depth: int = 0

    def parse(self, text: str) -> list[Inline]:
        """Return the nodes of a block's text."""
        text = text.rstrip("\n")
        if not _SPECIAL.search(text):
            return [escape_text(text)] if text else []
        return _Run(self, text).parse()

    def refer_to_footnote(self, key: str) -> bool:
        """Take note of a reference; False when it refers to nothing, or again to the same footnote."""
        if self.in_footnote or self.footnotes.get(key) != 0:
            return False
        self._footnotes_seen += 1
        self.footnotes[key] = self._footnotes_seen
        return True

    def refer_to_link(self, key: str) -> Target | None:
        """Where a reference leads; None when it leads nowhere, or would make the document too long."""
        target = self.links.get(reference_key(key))
        if target is None:
            return None
        added = self._added_by_references + len(target.address) + len(target.title or "")
        if added > max(self.text_length, _MIN_REFERENCE_BUDGET):
            return None
        self._added_by_references = added
        return target

    def link(self, target: Target, text: str) -> Link:
        """Return the link with its text read."""
        if self.most_links is not None:
            self._count_link(self.most_links)
        if self._depth >= _MAX_LINK_DEPTH:
            return Link(target.address, target.title, [escape_text(text)])
        self._depth += 1
        self._in_link = True
        children = self.parse(text)
        # Also after a link inside this one: what follows the inner link counts as outside.
        self._in_link = False
        self._depth -= 1
        return Link(target.address, target.title, children)

    def url(self, address: str) -> Inline:
        """Return a bare address, or its text where it stands in the text of a link."""
        if self._in_link:
            return escape_text(address)
        if self.most_links is not None:
            self._count_link(self.most_links)
        return Url(address)

    def _count_link(self, most: int) -> None:
        self._links += not self.in_footnote
        if self._links > most:
            raise TooManyLinks


class _Run:
    """One text being read."""

    def __init__(self, parser: InlineParser, text: str) -> None:
        self._parser = parser
        self._text = text
        self._nodes: list[Inline] = []
        self._html: RawHtml | None = None
        self._ink_end = len(text.rstrip())
        self._may_link = "](" in text

    def parse(self) -> list[Inline]:
        text = self._text
        literal = position = 0
        while match := _SPECIAL.search(text, position):
            start = match.start()
            special = text[start]
            if special == "\n":
                position = start + 1
                # With nothing but whitespace to come, a line feed is ordinary text.
                if position < self._ink_end:
                    self._add_text(text[literal:start].rstrip(" "))
                    self._nodes.append(BREAK)
                    literal = position
                continue
            read = self._read(special, start)
            if read is None:
                position = start + 1
                continue
            node, position = read
            # The text before comes first, although a link had to be read to know where it ends.
            self._add_text(text[literal:start])
            if node is not None:
                self._nodes.append(node)
            literal = position
        self._add_text(text[literal:])
        return self._nodes

    def _add_text(self, text: str) -> None:
        if text:
            self._nodes.append(escape_text(text))

    def _read(self, special: str, start: int) -> tuple[Inline | None, int] | None:
        """Return the node that starts here and its end; None when the character is ordinary text."""
        text = self._text
        match special:
            case "\\":
                escape = _ESCAPE.match(text, start)
                return (escape_text(escape[1]), escape.end()) if escape else None
            case "h":
                return self._read_url(start)
            case "[":
                return self._read_footnote(start) or self._read_link(start, start)
            case "!":
                return self._read_link(start, start + 1) if text.startswith("[", start + 1) else None
            case _:
                return self._read_angle(start)

    def _read_url(self, start: int) -> tuple[Inline, int] | None:
        match = _URL.match(self._text, start)
        if match is None:
            return None
        length = _url_length(match[1])
        if length < 2:
            return None
        end = match.start(1) + length
        return self._parser.url(self._text[start:end]), end

    def _read_angle(self, start: int) -> tuple[Inline, int] | None:
        if self._html is None:
            self._html = RawHtml(self._text)
        end = self._html.inline_end(start)
        if end is not None:
            return Html(self._text[start:end]), end
        end = self._brackets.angle_link_end(start)
        if end is not None:
            return Url(self._text[start + 1 : end - 1]), end
        return None

    def _read_footnote(self, start: int) -> tuple[None, int] | None:
        if not self._parser.footnotes or not self._text.startswith("[^", start):
            return None
        close = self._brackets.next_close(start + 2)
        if close is None or not 0 < close - start - 2 <= _MAX_KEY_LENGTH:
            return None
        if not self._parser.refer_to_footnote(reference_key(self._text[start + 2 : close])):
            return None
        return None, close + 1

    def _read_link(self, start: int, bracket: int) -> tuple[Inline | None, int] | None:
        text = self._text
        found = self._brackets.link(bracket) if self._may_link else None
        if found is not None:
            label_end, target, end = found
        elif self._parser.links:
            reference = self._read_reference(bracket)
            if reference is None:
                return None
            label_end, target, end = reference
        else:
            return None
        if start != bracket:
            return None, end
        return self._parser.link(target, text[bracket + 1 : label_end]), end

    def _read_reference(self, bracket: int) -> tuple[int, Target, int] | None:
        text = self._text
        label_end = self._brackets.reference_label_end(bracket)
        if label_end is not None:
            match = _REFERENCE_KEY.match(text, label_end)
            key = match.span(1) if match and match[1] else (bracket + 1, label_end)
            target = match and self._target(*key)
            if match and target:
                return label_end, target, match.end()
        label_end = self._brackets.lone_label_end(bracket)
        if label_end is not None:
            target = self._target(bracket + 1, label_end)
            if target:
                return label_end, target, label_end + 1
        return None

    def _target(self, start: int, end: int) -> Target | None:
        """Where the key between two positions leads."""
        return self._parser.refer_to_link(self._text[start:end]) if end - start <= _MAX_KEY_LENGTH else None

    @cached_property
    def _brackets(self) -> "_Brackets":
        return _Brackets(self._text)


def _url_length(address: str) -> int:
    """Length of a bare address without the punctuation of the sentence around it (content.md §5.6 item 4)."""
    length = len(address.rstrip(_NOT_LAST_IN_URL))
    if "(" not in address or ")" not in address[length:]:
        return length
    # The last bracket that closes one of the address ends it, when nothing but punctuation follows.
    depth = 0
    last_closer = 0
    for match in re.finditer("[()]", address):
        if match[0] == "(":
            depth += 1
        elif depth:
            depth -= 1
            last_closer = match.end()
    return max(length, last_closer)


class _Destination(NamedTuple):
    """Where the parts of a link's `(address "title")` stand; they may be long, and most are never read."""

    address: slice
    title: slice | None
    end: int
    in_angles: bool

    def target(self, text: str) -> Target:
        address = text[self.address]
        if not self.in_angles:
            address = address.rstrip()
        if "\\" in address:
            address = _ESCAPED_PARENTHESIS.sub(r"\1", address)
        return Target(address, None if self.title is None else text[self.title])


class _Brackets:
    """Where each square bracket of a text leads, worked out for all of them in one pass from the right.

    The text of a link runs over whole `[…]` groups, and over a lone `]` when the next bracket is another `]`
    (content.md §5.6 item 6, "balanced square brackets"); of the places where it may end the last is taken.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._positions = [match.start() for match in re.finditer(r"[\[\]]", text)]
        self._carets = [match.start() for match in re.finditer(r"\^", text)]

    def _index(self, bracket: int) -> int:
        return bisect_left(self._positions, bracket)

    def next_close(self, position: int) -> int | None:
        """Return the next `]` at or after `position`."""
        index = bisect_left(self._closes, position)
        return self._closes[index] if index < len(self._closes) else None

    @cached_property
    def _closes(self) -> list[int]:
        return [position for position in self._positions if self._text[position] == "]"]

    def link(self, bracket: int) -> tuple[int, Target, int] | None:
        """Label end, target and end of the inline link or image whose label opens at `bracket`."""
        label_end = self._link_label_ends[self._index(bracket) + 1]
        if label_end is None:
            return None
        destination = self._destination(label_end + 1)
        return destination and (label_end, destination.target(self._text), destination.end)

    def reference_label_end(self, bracket: int) -> int | None:
        """Where the label of `[label][key]` that opens at `bracket` ends."""
        return self._reference_label_ends[self._index(bracket) + 1]

    def lone_label_end(self, bracket: int) -> int | None:
        """Where the label of `[label]` that opens at `bracket` ends."""
        return self._lone_label_ends[self._index(bracket) + 1]

    def angle_link_end(self, start: int) -> int | None:
        """Return the end of `<something:…>` or `<something@…>` that opens at `start`."""
        stop = self._first(self._angle_stops, start + 1)
        if stop is None or self._text[stop] != ">":
            return None
        mark = self._first(self._at_or_colons, start + 2)
        return stop + 1 if mark is not None and mark < stop - 1 else None

    @staticmethod
    def _first(positions: list[int], start: int) -> int | None:
        index = bisect_left(positions, start)
        return positions[index] if index < len(positions) else None

    @cached_property
    def _angle_stops(self) -> list[int]:
        return [match.start() for match in re.finditer("[ >]", self._text)]

    @cached_property
    def _at_or_colons(self) -> list[int]:
        return [match.start() for match in re.finditer("[@:]", self._text)]

    def _after_groups(self, groups_may_hold_carets: bool) -> list[int | None]:
        """For each bracket, the index of the bracket after the group it opens; None when it opens none."""
        after: list[int | None] = []
        close: int | None = None
        for index in range(len(self._positions) - 1, -1, -1):
            position = self._positions[index]
            if self._text[position] == "]":
                after.append(None)
                close = index
                continue
            following = None if close is None else close + 1
            if close is not None and not groups_may_hold_carets and self._carets:
                caret = self._first(self._carets, position)
                if caret is not None and caret < self._positions[close]:
                    following = None
            after.append(following)
        after.reverse()
        return after

    @cached_property
    def _after_group(self) -> list[int | None]:
        return self._after_groups(groups_may_hold_carets=False)

    def _is_close(self, index: int) -> bool:
        return index < len(self._positions) and self._text[self._positions[index]] == "]"

    @cached_property
    def _link_label_ends(self) -> list[int | None]:
        """For each bracket, the end of a link label that has been read up to it; one more None at the end."""
        ends: list[int | None] = [None] * (len(self._positions) + 2)
        for index in range(len(self._positions) - 1, -1, -1):
            position = self._positions[index]
            if not self._is_close(index):
                following = self._after_group[index]
                ends[index] = None if following is None else ends[following]
                continue
            if self._is_close(index + 1):
                ends[index] = ends[index + 1]
            if ends[index] is None and self._destination(position + 1):
                ends[index] = position
        return ends

    @cached_property
    def _reference_label_ends(self) -> list[int | None]:
        ends: list[int | None] = [None] * (len(self._positions) + 2)
        for index in range(len(self._positions) - 1, -1, -1):
            if not self._is_close(index):
                following = self._after_group[index]
                ends[index] = None if following is None else ends[following]
            elif self._is_close(index + 1):
                ends[index] = ends[index + 1]
            elif index + 1 < len(self._positions):
                ends[index] = self._positions[index]
        return ends

    @cached_property
    def _lone_label_ends(self) -> list[int | None]:
        after = self._after_groups(groups_may_hold_carets=True)
        ends: list[int | None] = [None] * (len(self._positions) + 2)
        for index in range(len(self._positions) - 1, -1, -1):
            if self._is_close(index):
                ends[index] = self._positions[index]
            else:
                following = after[index]
                ends[index] = None if following is None else ends[following]
        return ends

    def _destination(self, position: int) -> _Destination | None:
        """Return the `(address "title")` at `position`."""
        text = self._text
        if not text.startswith("(", position) or position > self._last_parenthesis:
            return None
        start = self._skip_whitespace(position + 1)
        if text.startswith("<", start):
            destination = self._angle_destination(start + 1)
            if destination:
                return destination
        opener = self._title_opener(position, start)
        if opener is not None:
            titled = self._titled(start, opener)
            if titled:
                return titled
        parenthesis = self._parentheses.closers.get(position)
        if parenthesis is None:
            return None
        return _Destination(slice(start, parenthesis), None, parenthesis + 1, in_angles=False)

    def _angle_destination(self, start: int) -> _Destination | None:
        plain = self._first(self._angle_closers, start)
        titled = self._first(self._angle_titles, start)
        if titled is not None and (plain is None or titled < plain):
            destination = self._titled(start, titled, in_angles=True)
            if destination:
                return destination
        if plain is None:
            return None
        return _Destination(slice(start, plain), None, self._skip_whitespace(plain + 1) + 1, in_angles=True)

    def _titled(self, start: int, address_end: int, *, in_angles: bool = False) -> _Destination | None:
        """Return the destination whose title's whitespace and quotation mark follow `address_end`."""
        title_start = self._skip_whitespace(address_end + in_angles) + 1
        title_end = self._first(self._title_closers, title_start)
        if title_end is None:
            return None
        end = self._skip_whitespace(title_end + 1) + 1
        return _Destination(slice(start, address_end), slice(title_start, title_end), end, in_angles)

    def _skip_whitespace(self, position: int) -> int:
        match = _WHITESPACE.match(self._text, position)
        return match.end() if match else position

    @cached_property
    def _last_parenthesis(self) -> int:
        return self._text.rfind(")")

    def _title_opener(self, parenthesis: int, start: int) -> int | None:
        """Where a title may open in the round brackets that open at `parenthesis`, in none within them."""
        openers = self._parentheses.title_openers.get(parenthesis, ())
        return next((opener for opener in openers if opener >= start), None)

    @cached_property
    def _parentheses(self) -> "_Parentheses":
        return _Parentheses(self._text)

    @cached_property
    def _title_closers(self) -> list[int]:
        return [match.start() for match in _TITLE_CLOSER.finditer(self._text)]

    @cached_property
    def _angle_closers(self) -> list[int]:
        return [match.start() for match in _ANGLE_CLOSER.finditer(self._text)]

    @cached_property
    def _angle_titles(self) -> list[int]:
        return [match.start() for match in _ANGLE_TITLE.finditer(self._text)]


class _Parentheses:
    """Which round brackets of a text belong together, worked out for all of them in one pass."""

    def __init__(self, text: str) -> None:
        self.closers: dict[int, int] = {}
        """The closing bracket for each that opens, unless brackets within them nest too deep."""
        self.title_openers: dict[int, list[int]] = {}
        """For a bracket that opens, the first two places directly in it where a title may open.

        Two, because one may stand before the address. None counts after brackets that nest too deep.
        """
        # Brackets that are open, each with the greatest depth of those closed within it.
        open_brackets: list[list[int]] = []
        marks = [(match.start(), match[0]) for match in _PARENTHESIS.finditer(text)]
        marks += [(match.start(), "") for match in _TITLE_OPENER.finditer(text)]
        for position, mark in sorted(marks):
            if mark == "(":
                open_brackets.append([position, 0])
                continue
            if not open_brackets:
                continue
            opened, depth = open_brackets[-1]
            if not mark:
                openers = self.title_openers.setdefault(opened, [])
                if depth <= _MAX_ADDRESS_DEPTH and len(openers) < 2:
                    openers.append(position)
                continue
            open_brackets.pop()
            if open_brackets:
                open_brackets[-1][1] = max(open_brackets[-1][1], depth + 1)
            if depth <= _MAX_ADDRESS_DEPTH:
                self.closers[opened] = position

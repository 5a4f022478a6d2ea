"""Block constructs of the Markdown dialect of emails and letters (content.md §5.1–5.5).

`parse` reads a text into a `Document`; what becomes of it is in `markdown_output`. A position is an index
into the text being read; every construct is recognised at a position without copying what follows, and
lookups that reach far ahead are remembered, so that reading is linear in the text.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

from notify_content.inline import Target, reference_key
from notify_content.raw_html import RawHtml

MAX_DEPTH: Final = 6
"""Lists within lists, and insets within insets, nested deeper than this are printed literally."""

# CommonMark's limit of digits; what has more are telephone and reference numbers.
_NUMBER: Final = r"[0-9]{1,9}\.(?!\d)"
_MARKER: Final = rf"(?:[•*\-]|{_NUMBER})"
_BLANK: Final = re.compile(r"^ +$", re.MULTILINE)
_LINE_FEEDS: Final = re.compile(r"\n*+")
# What may begin anything but a paragraph, an underlined heading or a bare table.
_MARKED: Final = re.compile(rf" {{4}}| *+(?:[-*_`~#^•|\[<]|{_NUMBER})")
_RULE: Final = re.compile(r" {0,3}[-*_](?: *+[-*_]){2,}+ *+(?:\n++|\Z)")
_UNDERLINE: Final = re.compile(r" *+[=\-]*([=\-]) *+(?:\n++|\Z)")
_INDENTED: Final = re.compile(r"(?: {4}[^\n]++\n*+)++")
_INDENTATION: Final = re.compile(r"^ {4}", re.MULTILINE)
_FENCE: Final = re.compile(r" *+(`{3,}+|~{3,}+)( *+)([^`\s]*+) *+\n")
_FENCE_RUN: Final = {
    "`": re.compile(r"(?<!`)`{3,}+(?= *+(?:\n|\Z))"),
    "~": re.compile(r"(?<!~)~{3,}+(?= *+(?:\n|\Z))"),
}
_HEADING: Final = re.compile(r" *+(#{1,6})( *+)([^\n]*+)")
_BARE_TABLE: Final = re.compile(
    r"( *+\S[^|\n]*+\|[^\n]*+)\n *+[-:]++ *+\|[-| :]*+(\n(?:[^|\n]*+\|[^\n]*+(?:\n|\Z))*+)\n*+"
)
_PIPED_TABLE: Final = re.compile(r"( *+\|[^\n]++)\n *+\| *+[-:]++[-| :]*+(\n(?: *+\|[^\n]*+(?:\n|\Z))*+)\n*+")
_INSET: Final = re.compile(r"(?: *+\^[^\n]++(?:\n[^\n]++)*+\n*+)++")
_INSET_MARK: Final = re.compile(r"^ *+\^ ?", re.MULTILINE)
_LIST: Final = re.compile(rf"( *+)({_MARKER})")
_MARKER_THEN_SPACE: Final = re.compile(rf"{_MARKER} ")
_LIST_RULE: Final = re.compile(r"(?:[-*_] *+){3,}+(?:\n|\Z)")
_UNINDENTED_ITEM: Final = re.compile(rf"\n(?={_MARKER})")
_ITEM: Final = re.compile(rf"\n( *+){_MARKER}")
_ITEM_MARKER: Final = re.compile(rf" *+{_MARKER}")
_LEADING_SPACES: Final = re.compile(r"^ +", re.MULTILINE)
_DEFINITION: Final = re.compile(r" *+\[")
_LINK_TARGET: Final = re.compile(r": *+<?([^\s>]+)>?(?: +[\"(]([^\n]+)[\")])? *+(?:\n++|\Z)")
_FOOTNOTE_TEXT: Final = re.compile(r": *+([^\n]*+(?:\n++|\Z)(?: ++[^\n]*+(?:\n++|\Z))*+)")
# Lines of a paragraph up to one that, itself or with the line after it, might end the paragraph.
_PARAGRAPH_LINES: Final = re.compile(r"[^\n]++(?:\n(?! *+[`~*+\-_#>\[<\d])(?![^\n]*+\n *+[=\-])[^\n]++)*+")
_INTERRUPTING_HEADING: Final = re.compile(r" *+#[^\n]")
_INTERRUPTING_ANGLE: Final = re.compile(r" *+>[^\n]")
_INTERRUPTING_ITEM: Final = re.compile(rf" *+(?=[*+\-]|{_NUMBER})[*+\-]?(?:{_NUMBER})? [\s\S]")


class Blank(NamedTuple):
    """Two or more line feeds where a block could begin."""


class Rule(NamedTuple):
    """A horizontal rule."""


class Verbatim(NamedTuple):
    """Indented or fenced text, its line feeds included."""

    text: str


class Heading(NamedTuple):
    level: int
    text: str


class Paragraph(NamedTuple):
    text: str


class Lines(NamedTuple):
    """Text lines in a list item, joined with hard breaks."""

    lines: list[str]


class Inset(NamedTuple):
    blocks: "list[Block]"


class Item(NamedTuple):
    loose: bool
    blocks: "list[Block]"


class List(NamedTuple):
    start: int | None
    """The number of the first item; None when the list is not ordered."""
    items: list[Item]


class RawBlock(NamedTuple):
    """A block of raw HTML, as printed."""

    html: str


class Footnote(NamedTuple):
    key: str
    blocks: "list[Block]"


Block = Blank | Rule | Verbatim | Heading | Paragraph | Lines | Inset | List | RawBlock | Footnote


@dataclass
class Document:
    """The blocks of a text, whose own text is still to be read by an `InlineParser`."""

    blocks: list[Block] = field(default_factory=list)
    links: dict[str, Target] = field(default_factory=dict)
    footnotes: set[str] = field(default_factory=set)
    """Keys of the defined footnotes."""


class _Context(Enum):
    """Where blocks are being read, which decides what constructs there are."""

    BODY = "body"
    ITEM = "item"
    FOOTNOTE = "footnote"


def parse(text: str) -> Document:
    """Read the blocks of `text`."""
    parser = _Parser()
    parser.document.blocks = parser.parse(prepare(text), _Context.BODY)
    return parser.document


def prepare(text: str) -> str:
    """`text` with its line ends, tabs and blank lines as the grammar has them (content.md §5.1)."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\t" in text:
        text = text.expandtabs(4)
    text = text.replace("\u2424", "\n")
    return _BLANK.sub("", text) if " \n" in text or text.endswith(" ") else text


class _Source:
    """One text being read, with the lookups that reach far ahead of the position."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.end = len(text)
        self._found: dict[str, tuple[int, int]] = {}
        self._fences: dict[str, tuple[list[int], list[int], list[int]]] = {}

    def next(self, character: str, position: int) -> int:
        """Return the next place of `character` at or after `position`; the end of the text when there is
        none.
        """
        searched_from, found = self._found.get(character, (0, -1))
        if not searched_from <= position <= found:
            at = self.text.find(character, position)
            found = self.end if at < 0 else at
            self._found[character] = (position, found)
        return found

    def end_of_line(self, position: int) -> int:
        at = self.text.find("\n", position)
        return self.end if at < 0 else at

    def skip_line_feeds(self, position: int) -> int:
        match = _LINE_FEEDS.match(self.text, position)
        return match.end() if match else position

    @cached_property
    def ink_end(self) -> int:
        """Where nothing but whitespace is left."""
        return len(self.text.rstrip())

    @cached_property
    def html(self) -> RawHtml:
        return RawHtml(self.text)

    def fence(self, position: int) -> tuple[str, int] | None:
        """Return the content of the fenced block at `position` and where the block ends."""
        opening = _FENCE.match(self.text, position)
        if opening is None:
            return None
        marks, spaces, word = opening.groups()
        mark, content_start = marks[0], opening.end()
        # Of tildes, unlike backticks, some may be read as the start of the word after a shorter fence.
        shortest = 3 if mark == "~" and not (spaces and word) else len(marks)
        for length in range(len(marks), shortest - 1, -1):
            closing = self._closing_fence(mark, length, content_start + 1)
            if closing is not None:
                content = self.text[content_start:closing].rstrip() or self.text[content_start]
                return content, self.skip_line_feeds(self.skip_spaces(closing + length))
        return None

    def skip_spaces(self, position: int) -> int:
        while self.text.startswith(" ", position):
            position += 1
        return position

    def _fence_runs(self, mark: str) -> tuple[list[int], list[int], list[int]]:
        """Return the ends of the fences that close, their lengths, and the longest from each one on."""
        if mark not in self._fences:
            runs = [match.span() for match in _FENCE_RUN[mark].finditer(self.text)]
            lengths = [end - start for start, end in runs]
            longest = lengths.copy()
            for index in range(len(longest) - 2, -1, -1):
                longest[index] = max(longest[index], longest[index + 1])
            self._fences[mark] = ([end for _, end in runs], lengths, longest)
        return self._fences[mark]

    def _closing_fence(self, mark: str, length: int, start: int) -> int | None:
        """Return the first place at or after `start` where `length` marks end a line."""
        ends, lengths, longest = self._fence_runs(mark)
        index = bisect_left(ends, start + length)
        while index < len(ends) and longest[index] >= length:
            if lengths[index] >= length:
                return ends[index] - length
            index += 1
        return None


class _Parser:
    """Reads blocks, and the blocks within them, into one document."""

    def __init__(self) -> None:
        self.document = Document()
        self._list_depth = 0
        self._inset_depth = 0

    def parse(self, text: str, context: _Context) -> list[Block]:
        source = _Source(text.rstrip("\n"))
        text, end = source.text, source.end
        read = self._read_in_item if context is _Context.ITEM else self._read
        blocks: list[Block] = []
        position = 0
        while position < end:
            if text[position] == "\n":
                start, position = position, source.skip_line_feeds(position)
                if position - start > 1:
                    blocks.append(Blank())
            else:
                position = read(source, position, blocks, context)
        return blocks

    def _read(self, source: _Source, position: int, blocks: list[Block], context: _Context) -> int:
        """Read the one block at `position`; returns where it ends."""
        text = source.text
        marked = _MARKED.match(text, position)
        if not marked:
            return (
                self._table(_BARE_TABLE, source, position, blocks)
                or self._underlined_heading(source, position, blocks)
                or self._paragraph(source, position, blocks)
            )
        in_footnote = context is _Context.FOOTNOTE
        return (
            (not in_footnote and self._rule(source, position, blocks))
            or self._indented(source, position, blocks)
            or self._fenced(source, position, blocks)
            or self._heading(source, position, blocks)
            or self._table(_BARE_TABLE, source, position, blocks)
            or self._underlined_heading(source, position, blocks)
            or (in_footnote and self._rule(source, position, blocks))
            or self._inset(source, position, blocks)
            or self._list(source, position, blocks)
            or self._raw_html(source, position, blocks)
            or (not in_footnote and self._definition(source, position, blocks))
            or self._table(_PIPED_TABLE, source, position, blocks)
            or self._paragraph(source, position, blocks)
        )

    def _read_in_item(self, source: _Source, position: int, blocks: list[Block], _context: _Context) -> int:
        return (
            self._indented(source, position, blocks)
            or self._fenced(source, position, blocks)
            or self._underlined_heading(source, position, blocks)
            or self._rule(source, position, blocks)
            or self._inset(source, position, blocks)
            or self._list(source, position, blocks)
            or self._raw_html(source, position, blocks)
            or self._line(source, position, blocks)
        )

    # Each of the following reads one construct: it returns where the construct ends, or 0 when there is none
    # at this position.

    def _rule(self, source: _Source, position: int, blocks: list[Block]) -> int:
        match = _RULE.match(source.text, position)
        if match is None:
            return 0
        blocks.append(Rule())
        return match.end()

    def _indented(self, source: _Source, position: int, blocks: list[Block]) -> int:
        match = _INDENTED.match(source.text, position)
        if match is None:
            return 0
        blocks.append(Verbatim(_INDENTATION.sub("", match[0])))
        return match.end()

    def _fenced(self, source: _Source, position: int, blocks: list[Block]) -> int:
        fence = source.fence(position)
        if fence is None:
            return 0
        content, end = fence
        blocks.append(Verbatim(content))
        return end

    def _heading(self, source: _Source, position: int, blocks: list[Block]) -> int:
        match = _HEADING.match(source.text, position)
        if match is None:
            return 0
        marks, spaces, rest = match.groups()
        level = len(marks)
        if rest:
            text = rest.rstrip(" ").rstrip("#").rstrip(" ") or rest[0]
        elif spaces:
            text = " "
        elif level > 1:
            level, text = level - 1, "#"
        else:
            return 0
        blocks.append(Heading(level, text))
        return source.skip_line_feeds(match.end())

    def _underlined_heading(self, source: _Source, position: int, blocks: list[Block]) -> int:
        line_end = source.end_of_line(position)
        underline = _UNDERLINE.match(source.text, line_end + 1)
        if underline is None:
            return 0
        blocks.append(Heading(1 if underline[1] == "=" else 2, source.text[position:line_end]))
        return underline.end()

    def _table(self, grammar: re.Pattern[str], source: _Source, position: int, blocks: list[Block]) -> int:
        """Read a table as the paragraph of its lines, without the line of dashes."""
        match = grammar.match(source.text, position)
        if match is None:
            return 0
        blocks.append(Paragraph((match[1] + match[2]).rstrip("\n")))
        return match.end()

    def _inset(self, source: _Source, position: int, blocks: list[Block]) -> int:
        match = _INSET.match(source.text, position)
        if match is None:
            return 0
        self._inset_depth += 1
        if self._inset_depth > MAX_DEPTH:
            blocks.append(Inset([Lines([match[0]])]))
        else:
            inside = _INSET_MARK.sub("", match[0])
            blocks.append(Inset(self.parse(inside, _Context.BODY)))
        self._inset_depth -= 1
        return match.end()

    def _list(self, source: _Source, position: int, blocks: list[Block]) -> int:
        match = _LIST.match(source.text, position)
        if match is None or match.end() == source.end:
            return 0
        end = self._list_end(source, match[1], match.end() + 1)
        text = source.text[position:end]
        self._list_depth += 1
        if self._list_depth > MAX_DEPTH:
            items = [Item(False, [Lines([text])])]
        else:
            items = self._items(text, len(match[1]))
        self._list_depth -= 1
        number = match[2].removesuffix(".")
        blocks.append(List(int(number) if number != match[2] else None, items))
        return end

    def _list_end(self, source: _Source, indent: str, position: int) -> int:
        text = source.text
        whitespace_only = max(source.ink_end, position)
        while 0 <= (start := text.find("\n", position)) <= whitespace_only:
            position = source.skip_line_feeds(start)
            line_feeds = position - start
            if line_feeds > 2 or (
                line_feeds == 2
                and text[position] != " "
                and not (
                    text.startswith(indent, position)
                    and _MARKER_THEN_SPACE.match(text, position + len(indent))
                )
            ):
                return position
            unindented = position + (len(indent) if text.startswith(indent, position) else 0)
            if (
                _LIST_RULE.match(text, unindented)
                or _LIST_RULE.match(text, position)
                or self._definition_match(source, position)
            ):
                return position
        return source.end

    def _items(self, text: str, indent: int) -> list[Item]:
        if indent == 0:
            texts = _UNINDENTED_ITEM.split(text)
        else:
            starts = [match.start() for match in _ITEM.finditer(text) if len(match[1]) == indent]
            bounds = [-1, *starts, len(text)]
            texts = [text[start + 1 : end] for start, end in pairwise(bounds)]
        items = []
        blank_before = False
        for index, item in enumerate(texts):
            marker = _ITEM_MARKER.match(item)
            width = marker.end() if marker else 0
            item = item[width:]
            if "\n " in item:
                item = _LEADING_SPACES.sub(lambda spaces, width=width: spaces[0][width:], item)
            loose = blank_before or "\n\n" in item.rstrip()
            if item and index < len(texts) - 1:
                blank_before = item.endswith("\n")
                loose = loose or blank_before
            items.append(Item(loose, self.parse(item, _Context.ITEM)))
        return items

    def _raw_html(self, source: _Source, position: int, blocks: list[Block]) -> int:
        if not source.text.startswith("<", source.skip_spaces(position)):
            return 0
        block = source.html.block(position)
        if block is None:
            return 0
        blocks.append(RawBlock(block.printed))
        return block.end

    def _definition_match(self, source: _Source, position: int) -> tuple[str, re.Match[str]] | None:
        """Return the key, with its caret if it is a footnote's, and the match of what follows the key's
        bracket.
        """
        text = source.text
        opening = _DEFINITION.match(text, position)
        if opening is None:
            return None
        start = opening.end()
        is_footnote = text.startswith("^", start)
        if is_footnote and start > position + 1:
            return None
        close = source.next("]", start)
        if close == source.end or close <= start + is_footnote:
            return None
        if is_footnote:
            match = _FOOTNOTE_TEXT.match(text, close + 1)
        elif source.next("^", start) < close:
            return None
        else:
            match = _LINK_TARGET.match(text, close + 1)
        return (text[start:close], match) if match else None

    def _definition(self, source: _Source, position: int, blocks: list[Block]) -> int:
        definition = self._definition_match(source, position)
        if definition is None:
            return 0
        key, match = definition
        if not key.startswith("^"):
            self.document.links[reference_key(key)] = Target(match[1], match[2])
            return match.end()
        key = reference_key(key[1:])
        if key not in self.document.footnotes:
            self.document.footnotes.add(key)
            blocks.append(Footnote(key, self.parse(_outdent(match[1]), _Context.FOOTNOTE)))
        return match.end()

    def _paragraph(self, source: _Source, position: int, blocks: list[Block]) -> int:
        text = source.text
        end = position
        while match := _PARAGRAPH_LINES.match(text, end):
            end = match.end()
            following = end + 1
            if following >= source.end or text[following] == "\n" or self._interrupts(source, following):
                break
            end = following
        blocks.append(Paragraph(text[position:end]))
        return source.skip_line_feeds(end)

    def _interrupts(self, source: _Source, position: int) -> bool:
        """Whether the line at `position` ends the paragraph before it (content.md §5.5)."""
        text = source.text
        return bool(
            _UNDERLINE.match(text, source.end_of_line(position) + 1)
            or _INTERRUPTING_ITEM.match(text, position)
            or _RULE.match(text, position)
            or _INTERRUPTING_HEADING.match(text, position)
            or _INTERRUPTING_ANGLE.match(text, position)
            or source.fence(position)
            or self._definition_match(source, position)
            or (text.startswith("<", position) and source.html.starts_block(position))
        )

    def _line(self, source: _Source, position: int, blocks: list[Block]) -> int:
        end = source.end_of_line(position)
        line = source.text[position:end]
        if blocks and isinstance(blocks[-1], Lines):
            blocks[-1].lines.append(line)
        else:
            blocks.append(Lines([line]))
        return end


def _outdent(text: str) -> str:
    """Return a footnote's text less the smallest indent of its continuation lines."""
    first, *rest = text.split("\n")
    indents = [indent for line in rest if (indent := len(line) - len(line.lstrip()))]
    indent = min(indents, default=0)
    return "\n".join([first, *(line[indent:] for line in rest)])

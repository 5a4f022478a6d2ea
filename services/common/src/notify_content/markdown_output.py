"""What Markdown becomes: HTML email, plain text and preheader (content.md §6); letters are in `letters`."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final
from urllib.parse import quote

from notify_content import markdown
from notify_content.inline import Break, Html, Inline, InlineParser, Link, TooManyLinks, Url, escape_text
from notify_content.markdown import Block
from notify_content.text import ALL_WHITESPACE

_STYLE: Final = {
    "paragraph": "Margin: 0 0 20px 0; font-size: 19px; line-height: 25px; color: #0B0C0C;",
    "heading 1": "Margin: 0 0 15px 0; padding: 10px 0 0 0; font-size: 27px; line-height: 35px; "
    "font-weight: bold; color: #0B0C0C;",
    "heading 2": "Margin: 0 0 15px 0; padding: 10px 0 0 0; font-size: 19px; line-height: 25px; "
    "font-weight: bold; color: #0B0C0C;",
    "rule": "border: 0; height: 1px; background: #B1B4B6; Margin: 30px 0 30px 0;",
    "list": "Margin: 0 0 0 {margin}px; padding: 0; list-style-type:",
    "item": "Margin: 5px 0 5px; padding: 0 0 0 5px; font-size: 19px;line-height: 25px; color: #0B0C0C;",
    "inset": "Margin: 0; border-left: 10px solid #B1B4B6;padding: 15px 0 0.1px 15px; font-size: 19px; "
    "line-height: 25px;",
    "link": "word-wrap: break-word; color: #1D70B8;",
}
_PARAGRAPH_START: Final = f'<p style="{_STYLE["paragraph"]}">'
_HEADING_1_START: Final = f'<h2 style="{_STYLE["heading 1"]}">'
_HEADING_2_START: Final = f'<h3 style="{_STYLE["heading 2"]}">'
_RULE: Final = f'<hr style="{_STYLE["rule"]}">'
_ITEM_START: Final = f'<li style="{_STYLE["item"]}">'
_INSET_START: Final = f'<div style="Margin: 0 0 20px 0;"><blockquote style="{_STYLE["inset"]}">'
_LIST_START: Final = (
    '<table role="presentation" style="padding: 0 0 20px 0;"><tr>'
    '<td style="font-family: Helvetica, Arial, sans-serif;">'
)
_LIST_END: Final = "</td></tr></table>"
_LIST_MARGIN: Final = 20
_DIGITS_IN_MARGIN: Final = 2
_DIGIT_WIDTH: Final = 11
_UNORDERED_START: Final = f'{_LIST_START}<ul style="{_STYLE["list"]} disc;">'.format(margin=_LIST_MARGIN)
_ORDERED_START: Final = f'{_LIST_START}<ol style="{_STYLE["list"]} decimal;"'
_LINK_START: Final = f'<a style="{_STYLE["link"]}" href="'

_KNOWN_SCHEME: Final = re.compile(r"(?:https?|ftp|file|mailto|tel):", re.IGNORECASE)
_URL_SAFE: Final = ":/?#@!$&()*+,;=%"
_CONTROLS: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))
_UNFILLED_ADDRESS: Final = "span class='placeholder"
# The brackets of a gap inside an address whose ampersands are escaped, up to those of the next gap.
_ESCAPED_GAP: Final = re.compile(
    r"(span class='placeholder(?:-conditional)?'>)&amp;#40;&amp;#40;"
    r"((?:(?!&amp;#40;&amp;#40;)[^()])*?)&amp;#41;&amp;#41;"
)
_GAP_TAG: Final = re.compile(r"(<span class='placeholder(?:-conditional)?'>|</span>)")

_WHITESPACE: Final = rf"\s{re.escape(ALL_WHITESPACE)}"
_INK: Final = re.compile(f"[^{_WHITESPACE}]")
# Text outside tags, a rule, or the place of a QR code in a letter.
_SOMETHING_SHOWN: Final = re.compile(rf"(?:\A|>)[{_WHITESPACE}]*+[^<{_WHITESPACE}]|<hr |<qr>")
# Letters are printed wherever they stand but in link text, addresses, definitions, fences and references.
_LETTER: Final = r"[^\W\d_]"
# So are `<`, `>` and `&` in a text that has been through escape mode, when they come first.
_LETTER_FIRST: Final = re.compile(rf"[^\[`~&<]*?{_LETTER}|&(?:lt|gt|amp);")
_PARAGRAPH: Final = re.compile(rf"\n\n{_LETTER}")
_PARAGRAPH_END: Final = re.compile(r"\n{2,}")
_LINE_END: Final = re.compile(r" *+\n")

COLUMNS: Final = 65
"""Width of rules and underlines in plain text."""
_PLAIN_RULE: Final = ("=-" * COLUMNS)[:COLUMNS]


def href(address: str) -> str:
    """Return a link's address, safe inside a double-quoted attribute (content.md §6.1 "Link addresses")."""
    # The grammar takes the angle brackets off a highlighted placeholder that is the whole address.
    if address.startswith(_UNFILLED_ADDRESS):
        address = f"<{address}>"
    if not address.isprintable():
        address = address.translate(_CONTROLS)
    if not _KNOWN_SCHEME.match(address):
        address = f"http://{address}"
    return quote(address, safe=_URL_SAFE, errors="replace")


def surely_shows(text: str) -> bool:
    """Whether it is plain, without reading it, that something of a text in the dialect is printed."""
    if _LETTER_FIRST.match(text):
        return True
    hidden = "]:" in text or "```" in text or "~~~" in text
    return not hidden and _PARAGRAPH.search(text) is not None


def shows_nothing(text: str, html: str) -> bool:
    """Whether nothing of a text in the dialect is left in what it became (content.md §4.1)."""
    return not _SOMETHING_SHOWN.search(html) and _INK.search(text) is not None


class WrittenTooLong(Exception):
    """What is being written is longer than it may be."""


class Writer(ABC):
    """Writes a text in the dialect as a string; use a new one for each text.

    With a `limit`, what has more characters is not written to its end.
    """

    break_text: str
    """A hard line break, and a blank token."""

    link_characters: ClassVar[int] = 0
    """What a link brings along besides its text and address."""
    item_characters: ClassVar[int] = 0
    """What an item of a list brings along."""

    def __init__(self, limit: int | None = None) -> None:
        self._left = limit
        self._most_links = None if limit is None else limit // max(1, self.link_characters)
        self._inline = InlineParser({}, 0, {})
        self._footnotes: dict[str, str] = {}
        self._writers: dict[type, Callable[[Any], str]] = {
            markdown.Blank: lambda _: self.break_text,
            markdown.Rule: lambda _: self.rule(),
            markdown.Verbatim: lambda block: block.text,
            markdown.Heading: lambda block: self.heading(block.level, self._text(block.text)),
            markdown.Paragraph: lambda block: self.paragraph(self._text(block.text)),
            markdown.Lines: lambda block: self.paragraph(self._text("\n".join(block.lines))),
            markdown.Inset: lambda block: self.inset(self._blocks(block.blocks)),
            markdown.List: lambda block: self.list(block.start, [self._item(one) for one in block.items]),
            markdown.RawBlock: lambda block: block.html,
            markdown.Footnote: self._footnote,
        }

    def write(self, text: str) -> str:
        """Return the whole text; footnotes that are referred to come last, in the order of their references.

        Raises WrittenTooLong.
        """
        document = markdown.parse(text)
        order = dict.fromkeys(document.footnotes, 0)
        self._inline = InlineParser(document.links, len(text), order, most_links=self._most_links)
        try:
            body = self._blocks(document.blocks)
        except TooManyLinks:
            raise WrittenTooLong from None
        if not order:
            return body
        used = sorted((key for key in self._footnotes if order[key]), key=order.__getitem__)
        return body + "".join(self._footnotes[key] for key in used)

    def write_as_text(self, text: str) -> str:
        """Return the whole text as paragraphs of what is written, with no construct but gaps (content.md
        §4.1).
        """
        paragraphs = _PARAGRAPH_END.split(markdown.prepare(text).strip("\n"))
        return "".join(self.paragraph(self._as_written(paragraph)) for paragraph in paragraphs)

    def _as_written(self, text: str) -> str:
        lines = []
        for line in _LINE_END.split(text):
            pieces = _GAP_TAG.split(line)
            pieces[::2] = map(escape_text, pieces[::2])
            lines.append("".join(pieces))
        return self.break_text.join(lines)

    def _blocks(self, blocks: list[Block]) -> str:
        writers = self._writers
        return "".join([writers[type(block)](block) for block in blocks])

    def _item(self, item: markdown.Item) -> str:
        if self._left is not None:
            self._count(self._left, self.item_characters)
        if item.loose:
            return self.item(self._blocks(item.blocks))
        return self.item(
            "".join(
                self._text("\n".join(block.lines))
                if isinstance(block, markdown.Lines)
                else self._blocks([block])
                for block in item.blocks
            )
        )

    def _footnote(self, footnote: markdown.Footnote) -> str:
        self._inline.in_footnote = True
        self._footnotes[footnote.key] = self._blocks(footnote.blocks)
        self._inline.in_footnote = False
        return ""

    def _text(self, text: str) -> str:
        nodes = self._inline.parse(text)
        written = nodes[0] if len(nodes) == 1 and isinstance(nodes[0], str) else self._nodes(nodes)
        if self._left is not None:
            self._count(self._left, len(written))
        return written

    def _count(self, left: int, characters: int) -> None:
        """Take off characters that are printed; those of footnotes may not be."""
        if not self._inline.in_footnote:
            self._left = left - characters
            if characters > left:
                raise WrittenTooLong

    def _nodes(self, nodes: list[Inline]) -> str:
        out = []
        for node in nodes:
            match node:
                case str():
                    out.append(node)
                case Break():
                    out.append(self.break_text)
                case Url():
                    out.append(self.url(node.address))
                case Html():
                    out.append(node.html)
                case Link():
                    out.append(self.link(node.address, node.title, self._nodes(node.children)))
        return "".join(out)

    @abstractmethod
    def rule(self) -> str: ...

    @abstractmethod
    def heading(self, level: int, text: str) -> str: ...

    @abstractmethod
    def paragraph(self, text: str) -> str: ...

    @abstractmethod
    def inset(self, inside: str) -> str: ...

    @abstractmethod
    def list(self, start: int | None, items: list[str]) -> str: ...

    @abstractmethod
    def item(self, text: str) -> str: ...

    @abstractmethod
    def url(self, address: str) -> str: ...

    @abstractmethod
    def link(self, address: str, title: str | None, text: str) -> str: ...


class HtmlWriter(Writer):
    """The HTML part of an email (content.md §6.1). The text has been through escape mode."""

    break_text = "<br>"
    link_characters = len(_LINK_START)
    item_characters = len(_ITEM_START)

    def rule(self) -> str:
        return _RULE

    def heading(self, level: int, text: str) -> str:
        match level:
            case 1:
                return f"{_HEADING_1_START}{text}</h2>"
            case 2:
                return f"{_HEADING_2_START}{text}</h3>"
        return self.paragraph(text)

    def paragraph(self, text: str) -> str:
        return f"{_PARAGRAPH_START}{text}</p>" if text.strip() else ""

    def inset(self, inside: str) -> str:
        return f"{_INSET_START}{inside}</blockquote></div>"

    def list(self, start: int | None, items: list[str]) -> str:
        if start is not None:
            digits = len(str(start + len(items) - 1))
            margin = _LIST_MARGIN + _DIGIT_WIDTH * max(0, digits - _DIGITS_IN_MARGIN)
            number = "" if start == 1 else f' start="{start}"'
            return f"{_ORDERED_START.format(margin=margin)}{number}>{''.join(items)}</ol>{_LIST_END}"
        return f"{_UNORDERED_START}{''.join(items)}</ul>{_LIST_END}"

    def item(self, text: str) -> str:
        return f"{_ITEM_START}{text.strip()}</li>"

    def url(self, address: str) -> str:
        return f'{_LINK_START}{href(address)}">{address}</a>'

    def link(self, address: str, title: str | None, text: str) -> str:
        attribute = ' title="{}"'.format(title.replace('"', "&quot;")) if title else ""
        return f'{_LINK_START}{href(address)}"{attribute}>{text or address}</a>'


class PlainTextWriter(Writer):
    """The plain-text part of an email, before typography and entity decoding (content.md §6.2)."""

    break_text = "\n"

    def rule(self) -> str:
        return self.paragraph(_PLAIN_RULE)

    def heading(self, level: int, text: str) -> str:
        if level > 2:
            return self.paragraph(text)
        return f"\n\n\n{text}\n{('=' if level == 1 else '-') * COLUMNS}"

    def paragraph(self, text: str) -> str:
        return f"\n\n{text}" if text.strip() else ""

    def inset(self, inside: str) -> str:
        return inside

    def list(self, start: int | None, items: list[str]) -> str:
        if start is None:
            return "\n" + "".join(f"\n• {item}" for item in items)
        return "\n" + "".join(f"\n{number}. {item}" for number, item in enumerate(items, start))

    def item(self, text: str) -> str:
        return text.strip()

    def url(self, address: str) -> str:
        # The decoding of references that follows gives back the address as it was written.
        escaped = address.replace("&", "&amp;")
        return _ESCAPED_GAP.sub(r"\1&#40;&#40;\2&#41;&#41;", escaped) if "&" in address else escaped

    def link(self, address: str, title: str | None, text: str) -> str:
        return f"{text}{f' ({title})' if title else ''}: {self.url(address)}"


class PreheaderWriter(PlainTextWriter):
    """The hidden preview line of an email, before typography (content.md §6.3)."""

    def rule(self) -> str:
        return ""

    def heading(self, level: int, text: str) -> str:
        return self.paragraph(text)

    def url(self, address: str) -> str:
        return address

    def link(self, address: str, title: str | None, text: str) -> str:
        return f"{text}{f' ({title})' if title else ''}"

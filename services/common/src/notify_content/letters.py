"""Letters as structured blocks for typesetting (content.md §7).

The body goes through the same Markdown and typography as an email, and the result, whose tags are all of our
own making, is read back into typed blocks. Typesetting gets data: text in them is never markup.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cached_property
from typing import Any, Final

from notify_content import placeholders
from notify_content.markdown_output import Writer, shows_nothing
from notify_content.placeholders import (
    Gaps,
    Lists,
    Personalisation,
    Values,
    compile_content,
    filled_in,
    is_empty_message,
    unique_names,
)
from notify_content.postal_address import MAX_LINES, PostalAddress
from notify_content.text import decode_entities, normalise_whitespace, tidy_punctuation
from notify_content.typography import typography

QR_CODE_MAX_BYTES: Final = 504
"""Most UTF-8 bytes of a QR code's data, counted before entities are decoded (content.md §7.4)."""

CHARACTER_LIMIT: Final = 100_000
"""A longer text fills more than ten pages in any layout: they hold some 63,000 of the narrowest letters."""

_QR_CODE: Final = re.compile(r"qr\s*:\s*(.+)", re.IGNORECASE | re.DOTALL)
_HIDDEN_PROTOCOL: Final = re.compile(
    r"<strong data-original-protocol='(https?://)'>(.*?)</strong>", re.DOTALL
)
_SHOWN_PROTOCOL: Final = r"\1\2"
_PROTOCOL: Final = re.compile(r"https?://")
_UNFILLED_ADDRESS: Final = "span class='placeholder"
_START: Final = re.compile("[0-9]+")
_TOKEN: Final = re.compile(r"<(/?)(\w+)([^>]*)>")
_NON_BREAKING_HYPHEN: Final = "\u2011"

_ADDRESS: Final = compile_content(
    "\n".join(f"((address line {number}))" for number in range(1, MAX_LINES + 1))
)


class QrCodeTooLong(ValueError):
    """The data of a QR code is over the limit; `num_bytes` says how long it is.

    `data` is the client's: it is no part of the text, which may be logged.
    """

    def __init__(self, data: str, num_bytes: int) -> None:
        self.data = data
        self.num_bytes = num_bytes
        super().__init__(f"Too much data for QR code (num_bytes={num_bytes}, max_bytes={QR_CODE_MAX_BYTES})")


class Language(Enum):
    """Language of a letter's furniture."""

    ENGLISH = "english"
    WELSH = "welsh"


_MONTHS: Final = {
    Language.ENGLISH: (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    Language.WELSH: (
        "Ionawr",
        "Chwefror",
        "Mawrth",
        "Ebrill",
        "Mai",
        "Mehefin",
        "Gorffennaf",
        "Awst",
        "Medi",
        "Hydref",
        "Tachwedd",
        "Rhagfyr",
    ),
}
_FOOTERS: Final = {Language.ENGLISH: "Page {} of {}", Language.WELSH: "Tudalen {} o {}"}


def format_date(day: date, language: Language) -> str:
    """`5 March 2026`, with the month in the letter's language (content.md §7.2)."""
    return f"{day.day} {_MONTHS[language][day.month - 1]} {day.year}"


def page_footer(page: int, pages: int, language: Language) -> str:
    """`Page 1 of 3` (content.md §7.2)."""
    return _FOOTERS[language].format(page, pages)


@dataclass(frozen=True)
class Run:
    """Text in one style. `placeholder` marks a gap that no value fills."""

    text: str
    bold: bool = False
    placeholder: bool = False


@dataclass(frozen=True)
class LineBreak:
    """A line break."""


Runs = tuple[Run | LineBreak, ...]


@dataclass(frozen=True)
class Heading:
    """A heading below the letter's subject."""

    runs: Runs


@dataclass(frozen=True)
class Paragraph:
    runs: Runs


@dataclass(frozen=True)
class Plain:
    """Text that is no paragraph of its own: a tight list item's, indented or fenced text, a blank token."""

    runs: Runs


@dataclass(frozen=True)
class PageBreak:
    """What follows begins a new page."""


@dataclass(frozen=True)
class QrCode:
    """A QR code, error correction level M, in place of a paragraph (content.md §7.4)."""

    data: str


@dataclass(frozen=True)
class QrCodePlaceholder:
    """The dashed box of a QR code whose data still has a gap."""

    runs: Runs


@dataclass(frozen=True)
class Item:
    blocks: "tuple[Block, ...]"


@dataclass(frozen=True)
class BulletList:
    items: tuple[Item, ...]


@dataclass(frozen=True)
class OrderedList:
    """Numbered from the number that its first item was written with."""

    items: tuple[Item, ...]
    start: int = 1


Block = Heading | Paragraph | Plain | PageBreak | QrCode | QrCodePlaceholder | BulletList | OrderedList


_TYPE_NAMES: Final = {
    Run: "text",
    LineBreak: "line_break",
    Heading: "heading",
    Paragraph: "paragraph",
    Plain: "plain",
    PageBreak: "page_break",
    QrCode: "qr_code",
    QrCodePlaceholder: "qr_code_placeholder",
    BulletList: "bullet_list",
    OrderedList: "ordered_list",
    Item: "item",
}


def _to_json(node: Block | Item | Run | LineBreak) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": _TYPE_NAMES[type(node)]}
    for name, value in vars(node).items():
        fields[name] = [_to_json(one) for one in value] if isinstance(value, tuple) else value
    return fields


class LetterTemplate:
    """A letter template in one language, compiled once; immutable and safe to share between threads.

    A bilingual letter is two of them; its placeholders are `unique_names` of the Welsh one's followed by the
    English one's (content.md §2.1).
    """

    __slots__ = ("body", "contact_block", "placeholders", "subject")

    def __init__(self, subject: str, body: str, contact_block: str | None = None) -> None:
        lines = (contact_block or "").strip().split("\n")
        self.contact_block = compile_content("\n".join(line.strip() for line in lines))
        self.subject = compile_content(subject)
        self.body = compile_content(body)
        self.placeholders = unique_names(
            (*self.contact_block.placeholders, *self.subject.placeholders, *self.body.placeholders)
        )
        """Unique placeholder names: the contact block's, the subject's, then the body's (content.md §2.1)."""

    def missing(self, values: Values) -> list[str]:
        """Placeholders whose value is absent or None, in order (content.md §2.2)."""
        return placeholders.missing(self.placeholders, values)

    def length(self, values: Values = None) -> int:
        """Characters of all its parts with values filled in, found without filling them in."""
        return sum(part.length(values) for part in (self.contact_block, self.subject, self.body))

    def render(self, values: Values = None) -> "LetterContent":
        """One letter's words; each of its parts is worked out when first asked for."""
        return LetterContent(self, Personalisation.of(values))


class LetterContent:
    """The words of one letter. Every part is worked out on first use and kept."""

    def __init__(self, template: LetterTemplate, values: Personalisation) -> None:
        self._template = template
        self._values = values

    @cached_property
    def content(self) -> str:
        """The body with placeholders filled in, as the public API reports it (content.md §2.5)."""
        return filled_in(self._template.body, self._values)

    @property
    def is_empty(self) -> bool:
        """Whether the body says nothing (content.md §2.5)."""
        return is_empty_message(self._template.body, self._values)

    @cached_property
    def qr_code_too_long(self) -> bool:
        """Whether a QR code has more data than it can hold (content.md §7.4)."""
        # Only a reference could spell the mark of a QR code otherwise.
        if "qr" not in self.content.lower() and "&" not in self.content:
            return False
        try:
            _ = self.blocks
        except QrCodeTooLong:
            return True
        return False

    @cached_property
    def subject(self) -> Runs:
        """The subject, the letter's main heading (content.md §7.2)."""
        subject = self._template.subject.render(self._values, escape=True, gaps=Gaps.HTML)
        return _read_line(normalise_whitespace(typography(subject)))

    @cached_property
    def address_block(self) -> tuple[Runs, ...]:
        """The recipient's address by lines: as printed, or unfinished with its gaps (content.md §7.2)."""
        address = PostalAddress.from_personalisation(self._values)
        if address.has_enough_lines and not address.has_too_many_lines:
            return tuple((Run(line),) for line in address.normalised_lines)
        supplied = self._values.values
        values = {"addressline7": supplied.get("postcode"), **supplied}
        html = _ADDRESS.render(values, escape=True, gaps=Gaps.HTML_NO_BRACKETS)
        return tuple(map(_read_line, html.splitlines()))

    @cached_property
    def contact_block(self) -> tuple[Runs, ...]:
        """The lines of the sender's address; none when there is no contact block (content.md §7.2)."""
        html = self._template.contact_block.render(self._values, escape=True, gaps=Gaps.HTML)
        text = tidy_punctuation(html).strip()
        return tuple(map(_read_line, text.split("\n"))) if text else ()

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The body (content.md §7.3). Raises QrCodeTooLong."""
        body = self._template.body.render(self._values, escape=True, lists=Lists.BULLETS, gaps=Gaps.HTML)
        html, qr_codes = body_html(body)
        return _Reader(qr_codes).read(html)

    def to_dict(self) -> dict[str, Any]:
        """Subject, blocks and contact block as JSON values; every block and run has a `type`.

        Raises QrCodeTooLong.
        """
        return {
            "subject": [_to_json(run) for run in self.subject],
            "blocks": [_to_json(block) for block in self.blocks],
            "contact_block": [[_to_json(run) for run in line] for line in self.contact_block],
        }


def body_html(markdown: str) -> tuple[str, list[str]]:
    """Return a filled-in body as the HTML of content.md §7.3, and the data of its QR codes.

    Each code stands in the HTML as `<qr>`, out of the reach of typography. Raises QrCodeTooLong.
    """
    writer = _LetterWriter()
    text = f"{markdown}\n"
    html = writer.write(text)
    if shows_nothing(text, html):
        html = writer.write_as_text(text)
    html = typography(html)
    return html.replace("-", _NON_BREAKING_HYPHEN), writer.qr_codes


class _LetterWriter(Writer):
    break_text = "<br>"

    def __init__(self) -> None:
        super().__init__()
        self.qr_codes: list[str] = []

    def rule(self) -> str:
        return '<div class="page-break">&nbsp;</div>'

    def heading(self, level: int, text: str) -> str:
        return f"<h2>{text}</h2>\n" if level == 1 else self.paragraph(text)

    def paragraph(self, text: str) -> str:
        code = _QR_CODE.fullmatch(text)
        if code:
            return f"<p>{self._qr_code(_HIDDEN_PROTOCOL.sub(_SHOWN_PROTOCOL, code[1]))}</p>"
        return f"<p>{text}</p>" if text.strip() else ""

    def _qr_code(self, data: str) -> str:
        if "<span class='placeholder" in data:
            return f"<div class='qrcode-placeholder'>{data}</div>"
        num_bytes = len(data.encode("utf-8", "surrogatepass"))
        if num_bytes > QR_CODE_MAX_BYTES:
            raise QrCodeTooLong(decode_entities(data), num_bytes)
        self.qr_codes.append(decode_entities(data))
        return "<qr>"

    def inset(self, inside: str) -> str:
        return inside

    def list(self, start: int | None, items: list[str]) -> str:
        name = "ul" if start is None else "ol"
        number = "" if start in (None, 1) else f' start="{start}"'
        return f"<{name}{number}>\n{''.join(items)}</{name}>\n"

    def item(self, text: str) -> str:
        return f"<li>{text.strip()}</li>\n"

    def url(self, address: str) -> str:
        protocol = _PROTOCOL.match(address)
        if not protocol:
            return f"<strong>{address}</strong>"
        return f"<strong data-original-protocol='{protocol[0]}'>{address[protocol.end() :]}</strong>"

    def link(self, address: str, title: str | None, text: str) -> str:
        # The grammar takes the angle brackets off a highlighted placeholder that is the whole address.
        if address.startswith(_UNFILLED_ADDRESS):
            address = f"<{address}>"
        return f'[{text}]({address} "{title}")' if title else f"[{text}]({address})"


class _Reader:
    """Reads the HTML `_LetterWriter` makes into blocks."""

    def __init__(self, qr_codes: list[str]) -> None:
        self._qr_codes = iter(qr_codes)
        self._bold = self._placeholder = self._in_rule = self._after_layout = False
        self._runs: list[Run | LineBreak] = []
        self._blocks: list[Block] = []
        self._items: list[Item] = []
        self._start = 1
        self._outer: list[tuple[list[Block], list[Item], int]] = []

    def read(self, html: str) -> tuple[Block, ...]:
        """Return the blocks of a whole body."""
        end = 0
        for token in _TOKEN.finditer(html):
            self._read_text(html[end : token.start()])
            read = self._read_closing if token[1] else self._read_opening
            read(token[2], token[3])
            # The writer puts a line feed after these for the layout of the HTML alone.
            self._after_layout = token[2] in {"ul", "ol"} or (token[1] == "/" and token[2] in {"li", "h2"})
            end = token.end()
        self._read_text(html[end:])
        self._close_plain()
        return tuple(self._blocks)

    def _read_text(self, html: str) -> None:
        if self._after_layout:
            html = html.removeprefix("\n")
        if html and not self._in_rule:
            self._runs.append(Run(decode_entities(html), self._bold, self._placeholder))

    def _read_opening(self, name: str, attributes: str) -> None:
        match name:
            case "br":
                self._runs.append(LineBreak())
            case "strong":
                self._bold = True
            case "span":
                self._placeholder = True
            case "qr":
                self._blocks.append(QrCode(next(self._qr_codes)))
            case "div":
                self._close_plain()
                self._in_rule = "break" in attributes
            case "ul" | "ol":
                self._close_plain()
                self._outer.append((self._blocks, self._items, self._start))
                number = _START.search(attributes)
                self._blocks, self._items, self._start = [], [], int(number[0]) if number else 1
            case "p" | "h2":
                self._close_plain()

    def _read_closing(self, name: str, _attributes: str) -> None:
        match name:
            case "strong":
                self._bold = False
            case "span":
                self._placeholder = False
            case "div":
                self._blocks.append(PageBreak() if self._in_rule else QrCodePlaceholder(self._take_runs()))
                self._in_rule = False
            case "p" if self._runs:
                self._blocks.append(Paragraph(self._take_runs()))
            case "h2":
                self._blocks.append(Heading(self._take_runs()))
            case "li":
                self._close_plain()
                self._items.append(Item(tuple(self._blocks)))
                self._blocks = []
            case "ul" | "ol":
                items = tuple(self._items)
                ended = BulletList(items) if name == "ul" else OrderedList(items, self._start)
                self._blocks, self._items, self._start = self._outer.pop()
                self._blocks.append(ended)

    def _take_runs(self) -> Runs:
        runs, self._runs = tuple(self._runs), []
        return runs

    def _close_plain(self) -> None:
        if self._runs:
            self._blocks.append(Plain(self._take_runs()))


def _read_line(html: str) -> Runs:
    """Return the runs of one line that has no blocks."""
    blocks = _Reader([]).read(html)
    return blocks[0].runs if blocks and isinstance(blocks[0], Plain) else ()

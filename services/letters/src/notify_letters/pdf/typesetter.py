"""Typesetting with typst (design.md D11)."""

import json
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import typst

from notify_letters.pdf.fonts import Fonts
from notify_letters.pdf.layout import CharactersNotPrintable, Letter, printed_texts
from notify_letters.pdf.pages import count_pages

_TEMPLATE: Final = Path(__file__).with_name("letter.typ")


class Pdf(NamedTuple):
    """A typeset letter."""

    content: bytes
    page_count: int


class LetterHead(NamedTuple):
    """What stands at the top of every letter, left of the contact details; nothing where all is empty."""

    name: str = ""
    logo_svg: str = ""
    colour: str = ""
    """Of the name: `#` and six hexadecimal digits."""


NO_HEAD: Final = LetterHead()


class TypesettingFailed(Exception):
    """typst refused the letter. The text is typst's own and may quote the letter: never log it."""


class Typesetter:
    """Typesets letters one at a time; make one a process, since it keeps fonts and the template compiled.

    The letter is handed over as JSON, which `letter.typ` only ever puts out as text: whatever it holds can't
    become typst code, read a file or load a package. The machine's own fonts are never used, so that a letter
    looks the same on every machine.
    """

    def __init__(self, fonts: Fonts, head: LetterHead = NO_HEAD) -> None:
        """`head` is the operator's. Raises CharactersNotPrintable where no font has what its name needs."""
        if missing := fonts.without_glyph([head.name]):
            raise CharactersNotPrintable(missing)
        self._fonts = fonts
        self._families = json.dumps(fonts.families)
        self._head = json.dumps(head._asdict())
        self._compiler = typst.Compiler(
            _TEMPLATE,
            root=_TEMPLATE.parent,
            font_paths=list(fonts.directories),
            ignore_system_fonts=True,
        )

    def typeset(self, letter: Letter, create_time: datetime, *, allow_boxes: bool = False) -> Pdf:
        """Typeset a letter into a tagged PDF.

        Args:
            create_time: stands in the PDF's metadata in place of now, so that the same letter gives the same
            bytes.
            allow_boxes: whether a character that no font has is shown as an empty box.

        Raises:
            CharactersNotPrintable: no font has some of the letter's characters.
            TypesettingFailed
        """
        if not allow_boxes and (missing := self._fonts.without_glyph(printed_texts(letter))):
            raise CharactersNotPrintable(missing)
        try:
            content = self._compiler.compile(
                format="pdf",
                sys_inputs={"letter": json.dumps(letter), "head": self._head, "fonts": self._families},
                timestamp=int(create_time.timestamp()),
            )
        except typst.TypstError as error:
            raise TypesettingFailed(str(error)) from None
        except BaseException as error:
            # a panic within typst comes as an exception that `except Exception` lets through
            if type(error).__name__ != "PanicException":
                raise
            raise TypesettingFailed("typst panicked") from None
        assert isinstance(content, bytes)  # noqa: S101 - a PDF is one file, unlike pages as pictures
        return Pdf(content, count_pages(content))

"""Fonts for PDFs that use some and don't bring them (pipeline.md §4.3 step 9).

Whoever prints such a PDF takes a font of the same name, if there is one. So that a letter looks the same
wherever it is printed, the missing faces are put into it: Arimo, which is as wide as Arial and Helvetica, in
the weight and slope that the name asks for. A face of another width keeps the places of its letters.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import fontpkg_arimo
import uharfbuzz
from pikepdf import Array, Dictionary, Name, Pdf

from notify_letters.pdf.objects import dictionaries

_SIMPLE: Final = (Name.Type1, Name.MMType1, Name.TrueType)
_FILES: Final = ("/FontFile", "/FontFile2", "/FontFile3")
# faces of signs, for which letters would stand instead
_SIGNS: Final = ("Symbol", "ZapfDingbats", "Wingdings", "Webdings")
_NONSYMBOLIC: Final = 32
_ITALIC: Final = 64
_FIRST: Final = 32
_LAST: Final = 255
_BOLD_WEIGHT: Final = 700.0
_REGULAR_WEIGHT: Final = 400.0
# what the encodings of simple fonts can name: Latin letters, accents, dashes, quotes, signs of money
_CHARACTERS: Final = (
    *range(0x20, 0x17F),
    *(0x192, 0x218, 0x219, 0x21A, 0x21B, 0x2C6, 0x2C7, *range(0x2D8, 0x2DE)),
    *(*range(0x2013, 0x2027), 0x2030, 0x2039, 0x203A, 0x2044, 0x20AC, 0x2122, 0x2212, 0xFB01, 0xFB02),
)
_CODECS: Final = {"/WinAnsiEncoding": "cp1252", "/MacRomanEncoding": "mac_roman"}


class Substitutes:
    """The faces that are put in; each is made when it is first needed."""

    def embed(self, letter: Pdf) -> int:
        """Put in the fonts that a PDF lacks, in place; returns for how many there is none to put in."""
        without = 0
        for font in dictionaries(letter):
            if font.get("/Type") != Name.Font or _is_embedded(font):
                continue
            name = str(font.get("/BaseFont", ""))
            if font.get("/Subtype") not in _SIMPLE or any(sign in name for sign in _SIGNS):
                without += 1
                continue
            _put_in(letter, font, _face("Bold" in name, "Italic" in name or "Oblique" in name))
        return without


def _is_embedded(font: Any) -> bool:
    kind = font.get("/Subtype")
    if kind == Name.Type3:
        return True
    if kind == Name.Type0:
        # its descendant is the one that has a file or has none
        return True
    described = font.get("/FontDescriptor")
    return isinstance(described, Dictionary) and any(name in described for name in _FILES)


class _Face:
    """One weight and slope of Arimo, as PDFs hold it."""

    def __init__(self, bold: bool, italic: bool) -> None:
        style = "-Italic" if italic else ""
        folder = Path(next(iter(fontpkg_arimo.__path__))) / "files"
        face = uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(folder / f"Arimo{style}[wght].ttf")))
        asked = uharfbuzz.SubsetInput()
        asked.unicode_set.update(_CHARACTERS)
        asked.flags = uharfbuzz.SubsetFlags.NO_HINTING | uharfbuzz.SubsetFlags.GLYPH_NAMES
        asked.pin_axis_location(face, "wght", _BOLD_WEIGHT if bold else _REGULAR_WEIGHT)
        self.name = f"Arimo-{'Bold' if bold else ''}{'Italic' if italic else ''}".removesuffix("-")
        self.italic = italic
        made = uharfbuzz.subset(face, asked)
        self.file: bytes = made.blob.data
        self._font = uharfbuzz.Font(made)
        self._per_em = made.upem

    def width(self, glyph: int | None) -> int:
        """How far a glyph moves the pen on, in thousandths of the size; 0 for none."""
        return round(self._font.get_glyph_h_advance(glyph) * 1000 / self._per_em) if glyph else 0

    def named(self, name: str) -> int | None:
        """The glyph of a name such as eacute."""
        glyph: int | None = self._font.get_glyph_from_name(name)
        return glyph

    def of(self, character: str) -> int | None:
        """The glyph of a character."""
        glyph: int | None = self._font.get_nominal_glyph(ord(character))
        return glyph


@cache
def _face(bold: bool, italic: bool) -> _Face:
    return _Face(bold, italic)


def _put_in(letter: Pdf, font: Any, face: _Face) -> None:
    if "/Widths" not in font:
        font.FirstChar, font.LastChar = _FIRST, _LAST
        font.Widths = Array(_widths(font.get("/Encoding"), face))
    font.Subtype = Name.TrueType
    font.BaseFont = Name(f"/{face.name}")
    font.FontDescriptor = letter.make_indirect(
        Dictionary(
            Type=Name.FontDescriptor,
            FontName=font.BaseFont,
            Flags=_NONSYMBOLIC | (_ITALIC if face.italic else 0),
            FontBBox=Array([-700, -350, 2050, 1050]),
            ItalicAngle=-12 if face.italic else 0,
            Ascent=905,
            Descent=-212,
            CapHeight=716,
            StemV=80,
            FontFile2=letter.make_stream(face.file),
        )
    )


def _widths(encoding: Any, face: _Face) -> list[int]:
    """The widths of the codes of a font that every reader is supposed to have."""
    base = encoding.get("/BaseEncoding") if isinstance(encoding, Dictionary) else encoding
    codec = _CODECS.get(str(base), "cp1252")
    widths = [face.width(face.of(_decoded(code, codec))) for code in range(_FIRST, _LAST + 1)]
    code = 0
    for one in encoding.get("/Differences", ()) if isinstance(encoding, Dictionary) else ():
        if not isinstance(one, Name):
            code = int(one)
            continue
        if _FIRST <= code <= _LAST:
            widths[code - _FIRST] = face.width(face.named(str(one).removeprefix("/")))
        code += 1
    return widths


def _decoded(code: int, codec: str) -> str:
    return bytes([code]).decode(codec, errors="replace")

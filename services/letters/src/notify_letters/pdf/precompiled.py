"""Checking a letter that came as a PDF, and making it into one that is safe to print (pipeline.md §4.3).

Everything here reads what anybody may have sent. It runs in a process that may be killed at any time and has
nothing to lose: see `checker`, which starts it, and `checking`, which bounds it.
"""

import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pikepdf
import pypdfium2
from notify_content.postal_address import PostalAddress
from pikepdf import Array, Dictionary, Name, Pdf, Stream
from PIL import Image, ImageDraw

from notify_letters.domain.letter import MAX_ADDRESS_LINE, MAX_PAGES
from notify_letters.domain.precompiled import Failure, Inspected
from notify_letters.pdf.colours import to_ink
from notify_letters.pdf.geometry import (
    ADDRESS_SEARCH,
    ADDRESS_WINDOW,
    MM,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    PRINT_TOLERANCE,
    SIZE_TOLERANCE,
    START_MARK,
    ZONE_COLOUR,
    ZONE_OPACITY,
    Box,
    printable,
)
from notify_letters.pdf.substitutes import Substitutes

Overlay = Callable[[Sequence[str], bool], bytes]
"""Makes a PDF of one page with an address in its window, and with the printer's mark or without."""

OWN_OVERLAY: Final = "/NotifyOverlay"
"""Name of the drawing that has the address on a first page which was made printable here."""
MARK: Final = "NOTIFY"
"""The text by which the printer knows the first page of a letter."""
LARGEST_IMAGE_PIXELS: Final = 50_000_000
"""Pixels of the largest picture that is read: a whole page of 700 dots an inch."""

_DPI: Final = 200
_MOST_PARENTS: Final = 50
_WHITE: Final = (255, 255, 255)
# What pictures and drawings may carry that is never printed, or reaches beyond the file.
_DROPPED: Final = (
    *("/AF", "/Alternates", "/Metadata", "/OPI", "/PieceInfo", "/Ref", "/StructParent", "/StructParents"),
    *("/F", "/FFilter", "/FDecodeParms"),
)


class _Refused(Exception):
    """The letter breaks a rule."""

    def __init__(self, failure: str, page_count: int = 0, pages: Iterable[int] = ()) -> None:
        super().__init__(failure)
        self.inspected = Inspected(page_count=page_count, failure=failure, pages=tuple(pages))


@dataclass(frozen=True, slots=True)
class Tools:
    """What making a letter printable takes."""

    overlay: Overlay
    substitutes: Substitutes


def inspect(
    pdf: bytes, tools: Tools, *, allow_international: bool, is_attachment: bool = False
) -> tuple[Inspected, bytes]:
    """Check a letter and make it printable; returns what came of it, and the PDF to print.

    The PDF is empty where a check failed; the first one that does ends it. What is printed is made anew: the
    pages as they are drawn, and nothing else of the file (no scripts, actions, forms, notes, attachments or
    metadata); the address drawn again, the printer's mark added, colours as the printer's inks, fonts that
    the file lacks put in. The same letter gives the same bytes.

    Args:
        allow_international: whether the letter may go abroad.
        is_attachment: whether its pages come after a letter: none has an address or may have the mark.
    """
    try:
        return _inspect(pdf, tools, allow_international=allow_international, is_attachment=is_attachment)
    except _Refused as refused:
        return refused.inspected, b""


def _inspect(
    pdf: bytes, tools: Tools, *, allow_international: bool, is_attachment: bool
) -> tuple[Inspected, bytes]:
    with _open(pdf) as source:
        page_count = len(source.pages)
        if page_count > MAX_PAGES:
            raise _Refused(Failure.TOO_LONG, page_count)
        if not page_count:
            raise _Refused(Failure.UNREADABLE)
        _check_sizes(source, page_count)
        _check_images(source)
        overlay = _own_overlay(source)
        letter = _drawn(source)
    drawing = _saved(letter)
    document = pypdfium2.PdfDocument(drawing)
    try:
        outside = [
            number
            for number in _numbers(page_count)
            if _draws_outside(document, number, printable(number, is_attachment=is_attachment))
        ]
        if outside:
            raise _Refused(Failure.OUTSIDE_PRINTABLE_AREA, page_count, outside)
        marked = [number for number in _numbers(page_count) if MARK in _text_in(document, number, START_MARK)]
        misplaced = [number for number in marked if is_attachment or number != 1]
        if misplaced:
            raise _Refused(Failure.START_MARK_IN_CONTENT, page_count, misplaced)
        # what was in the window before is still there for who reads the text, clipped away
        address = _address(document) if overlay is None else _address_of_overlay(overlay)
    finally:
        document.close()
    if is_attachment:
        return _printable(letter, tools, Inspected(page_count))
    code = address.error_code(allow_international=allow_international)
    if code is not None:
        raise _Refused(code, page_count, [1])
    lines = address.normalised_lines
    if any(len(line) > MAX_ADDRESS_LINE for line in lines):
        raise _Refused(Failure.UNREADABLE, page_count)
    _redraw_first_page(letter, tools.overlay(lines, 1 not in marked))
    return _printable(letter, tools, Inspected(page_count, address_lines=lines, zone=address.postage_zone))


def _printable(letter: Pdf, tools: Tools, inspected: Inspected) -> tuple[Inspected, bytes]:
    to_ink(letter)
    missing = tools.substitutes.embed(letter)
    return replace(inspected, fonts_missing=missing), _saved(letter)


def with_zones(pdf: bytes, *, is_attachment: bool = False) -> tuple[bytes, int]:
    """Mark on every page where nothing may be printed and frame the address window; returns the number of
    pages too.

    The PDF is made anew as one to print is, so that nothing but drawings is left of it.

    Args:
        is_attachment: whether its pages come after a letter.

    Raises:
        ValueError: it has more pages than any letter of which such a thing is wrong.
    """
    with _open(pdf) as source:
        if len(source.pages) > MAX_PAGES:
            raise ValueError("too many pages")
        letter = _drawn(source)
    for number in _numbers(len(letter.pages)):
        page = letter.pages[number - 1]
        page.obj.Resources.ExtGState = Dictionary(Zones=Dictionary(ca=ZONE_OPACITY))
        zones = _zones(printable(number, is_attachment=is_attachment))
        page.obj.Contents = letter.make_stream(page.Contents.read_bytes() + zones)
    return _saved(letter), len(letter.pages)


def _zones(boxes: Sequence[Box]) -> bytes:
    red, green, blue = (f"{part / 255:.3f}" for part in ZONE_COLOUR)
    # what is within the page and within no box, as none overlaps another
    areas = " ".join(f"{_rectangle(box)} re" for box in (Box(0, 0, PAGE_WIDTH, PAGE_HEIGHT), *boxes))
    frame = f"{red} {green} {blue} RG {_rectangle(ADDRESS_WINDOW)} re S " if ADDRESS_WINDOW in boxes else ""
    return f"q {frame}/Zones gs {red} {green} {blue} rg {areas} f* Q\n".encode("ascii")


def _rectangle(box: Box) -> str:
    left, bottom, right, top = box.points()
    return f"{left:.3f} {bottom:.3f} {right - left:.3f} {top - bottom:.3f}"


def _numbers(page_count: int) -> range:
    return range(1, page_count + 1)


def _open(pdf: bytes) -> Pdf:
    # one that needs a password to be read fails here; what only forbids changes is opened
    return Pdf.open(io.BytesIO(pdf), suppress_warnings=True, access_mode=pikepdf.AccessMode.stream)


def _inherited(page: Any, name: str) -> Any:
    node = page
    for _ in range(_MOST_PARENTS):
        if node is None:
            return None
        if name in node:
            return node[name]
        node = node.get("/Parent")
    raise _Refused(Failure.UNREADABLE)


def _check_sizes(source: Pdf, page_count: int) -> None:
    wrong = [number for number, page in enumerate(source.pages, 1) if not _is_a4_portrait(page.obj)]
    if wrong:
        raise _Refused(Failure.NOT_A4_PORTRAIT, page_count, wrong)


def _is_a4_portrait(page: Any) -> bool:
    left, bottom, right, top = _corners(_inherited(page, "/MediaBox"))
    unit = float(page.get("/UserUnit", 1))
    width, height = ((right - left) * unit / MM, (top - bottom) * unit / MM)
    if int(_inherited(page, "/Rotate") or 0) % 180:
        width, height = height, width
    return abs(width - PAGE_WIDTH) <= SIZE_TOLERANCE and abs(height - PAGE_HEIGHT) <= SIZE_TOLERANCE


def _corners(box: Any) -> tuple[float, float, float, float]:
    if box is None or len(box) != 4:
        raise _Refused(Failure.UNREADABLE)
    x1, y1, x2, y2 = map(float, box)
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _check_images(source: Pdf) -> None:
    for one in source.objects:
        if not isinstance(one, Stream) or one.get("/Subtype") != Name.Image:
            continue
        if int(one.get("/Width", 0)) * int(one.get("/Height", 0)) > LARGEST_IMAGE_PIXELS:
            raise _Refused(Failure.UNREADABLE)


def _drawn(source: Pdf) -> Pdf:
    """A new PDF with the pages as they are drawn, upright and with their top left corners in place."""
    if "/AcroForm" in source.Root:
        source.generate_appearance_streams()
    source.flatten_annotations("print")
    letter = Pdf.new()
    for page in source.pages:
        for name in ("/CropBox", "/BleedBox", "/TrimBox", "/ArtBox"):
            page.obj[name] = _inherited(page.obj, "/MediaBox")
        form = letter.copy_foreign(page.as_form_xobject())
        content = f"q 1 0 0 1 {_shift(form)} cm /Letter Do Q\n".encode("ascii")
        letter.pages.append(_page(letter, content, Dictionary(Letter=form)))
    layers = source.Root.get("/OCProperties")
    if isinstance(layers, Dictionary):
        letter.Root.OCProperties = letter.copy_foreign(source.make_indirect(layers))
    _strip(letter)
    return letter


def _page(letter: Pdf, content: bytes, forms: Dictionary) -> Any:
    box = Array([0, 0, round(PAGE_WIDTH * MM, 3), round(PAGE_HEIGHT * MM, 3)])
    return pikepdf.Page(
        letter.make_indirect(
            Dictionary(
                Type=Name.Page,
                MediaBox=box,
                Resources=Dictionary(XObject=forms),
                Contents=letter.make_stream(content),
            )
        )
    )


def _shift(form: Any) -> str:
    """How far the drawing of a page is from where its top left corner belongs, as PDFs write it."""
    left, bottom, right, top = _corners(form.BBox)
    a, b, c, d, e, f = map(float, form.get("/Matrix", [1, 0, 0, 1, 0, 0]))
    corners = [(x, y) for x in (left, right) for y in (bottom, top)]
    x = min(a * x + c * y + e for x, y in corners)
    y = max(b * x + d * y + f for x, y in corners)
    return f"{-x:.4f} {PAGE_HEIGHT * MM - y:.4f}"


def _strip(letter: Pdf) -> None:
    """Take out what is not drawn, at whatever depth, and what would be read from other files."""
    for one in letter.objects:
        if not isinstance(one, Stream):
            continue  # dictionaries have names of the file's own, which may be any
        for name in _DROPPED:
            if name in one:
                del one[name]
        if one.get("/Subtype") == Name.PS:
            one.write(b"")
            del one["/Subtype"]


def _saved(letter: Pdf) -> bytes:
    out = io.BytesIO()
    letter.remove_unreferenced_resources()
    letter.save(
        out,
        deterministic_id=True,
        object_stream_mode=pikepdf.ObjectStreamMode.generate,
        min_version="1.7",
    )
    return out.getvalue()


def _draws_outside(document: pypdfium2.PdfDocument, page_number: int, boxes: Sequence[Box]) -> bool:
    """Whether anything on a page that is not white is outside of what may be printed on."""
    page = document[page_number - 1]
    image: Image.Image = page.render(scale=_DPI / 72, draw_annots=False).to_pil().convert("RGB")
    draw = ImageDraw.Draw(image)
    for box in boxes:
        corners = [length / 25.4 * _DPI for length in box.wider(PRINT_TOLERANCE)]
        draw.rectangle(corners, fill=_WHITE)
    return image.getextrema() != ((255, 255),) * 3


def _text_in(document: pypdfium2.PdfDocument, page_number: int, box: Box) -> str:
    left, bottom, right, top = box.points()
    text: str = document[page_number - 1].get_textpage().get_text_bounded(left, bottom, right, top)
    return text


def _address(document: pypdfium2.PdfDocument) -> PostalAddress:
    text = unicodedata.normalize("NFKD", _text_in(document, 1, ADDRESS_SEARCH))
    printed = "".join(
        character
        for character in text.replace("\r\n", "\n").replace("\r", "\n")
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cn", "Co", "Cs")
    )
    return PostalAddress.from_lines(unicodedata.normalize("NFC", printed))


def _own_overlay(source: Pdf) -> Pdf | None:
    """A PDF of what was drawn over a first page that was made printable here; None where it was not.

    A stranger's file may say so of a drawing of its own, and gains nothing: what is printed in the window is
    the address that is read there, whatever else the file draws.
    """
    form = _inherited(source.pages[0].obj, "/Resources")
    for name in ("/XObject", OWN_OVERLAY):
        form = form.get(name) if isinstance(form, Dictionary) else None
    if not isinstance(form, Stream) or form.get("/Subtype") != Name.Form:
        return None
    alone = Pdf.new()
    drawn = Dictionary({OWN_OVERLAY: alone.copy_foreign(source.make_indirect(form))})
    alone.pages.append(_page(alone, f"q {OWN_OVERLAY} Do Q".encode("ascii"), drawn))
    return alone


def _address_of_overlay(overlay: Pdf) -> PostalAddress:
    document = pypdfium2.PdfDocument(_saved(overlay))
    try:
        return _address(document)
    finally:
        document.close()


def _redraw_first_page(letter: Pdf, overlay: bytes) -> None:
    """Draw the address anew, with the printer's mark, over a first page without what was in its window."""
    left, bottom, right, top = (f"{length:.3f}" for length in ADDRESS_SEARCH.points())
    width, height = PAGE_WIDTH * MM, PAGE_HEIGHT * MM
    page = letter.pages[0]
    (old,) = page.Contents.read_bytes().splitlines()
    # the page and, within it, the window: of both together the window is outside
    window = f"{left} {bottom} m {right} {bottom} l {right} {top} l {left} {top} l h"
    clip = f"0 0 {width:.3f} {height:.3f} re {window}"
    with Pdf.open(io.BytesIO(overlay)) as drawn:
        form = letter.copy_foreign(drawn.pages[0].as_form_xobject())
    drawing = f"{clip} W* n {old.decode('ascii')} Q\nq {OWN_OVERLAY} Do Q\n"
    content = f"q {drawing}".encode("ascii")
    forms = Dictionary({"/Letter": page.Resources.XObject.Letter, OWN_OVERLAY: form})
    letter.pages[0] = _page(letter, content, forms)
    _strip(letter)


def overlay_input(address_lines: Sequence[str], *, start_mark: bool) -> str:
    """What `overlay.typ` is told."""
    return json.dumps({"address_lines": list(address_lines), "start_mark": start_mark})

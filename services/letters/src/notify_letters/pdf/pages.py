"""Pictures of a PDF's pages."""

import io
import threading
from collections.abc import Collection
from typing import Any, Final

import pypdfium2
from PIL import Image, ImageDraw

from notify_letters.pdf.geometry import ADDRESS_WINDOW, MM, ZONE_COLOUR, ZONE_OPACITY, Box

WIDTH_PIXELS: Final = 1000

_GREYS: Final = 16
_COLOURS: Final = 64
_WINDOW_LINE_PIXELS: Final = 3

# PDFium may be used by one thread of a process at a time
_pdfium = threading.Lock()


def count_pages(pdf: bytes) -> int:
    """How many pages a PDF has."""
    with _pdfium:
        document = pypdfium2.PdfDocument(pdf)
        try:
            return len(document)
        finally:
            document.close()


def page_png(
    pdf: bytes, page_number: int, printable: Collection[Box] = (), *, in_colour: bool = False
) -> bytes:
    """Render one page, from 1, as a PNG 1,000 pixels wide and below 2 MiB, in 16 greys or 64 colours.

    Args:
        page_number: a page that the PDF has.
        printable: where on it something may be printed. With any, all other parts are covered in a red that
            lets show what is below, and the address window has a red frame, which takes colours.
        in_colour: whether to keep the page's colours.
    """
    in_colour = in_colour or bool(printable)
    with _pdfium:
        document = pypdfium2.PdfDocument(pdf)
        try:
            page = document[page_number - 1]
            scale = WIDTH_PIXELS / page.get_width()
            image = page.render(scale=scale, grayscale=not in_colour).to_pil()
        finally:
            document.close()
    if printable:
        image = _with_zones(image.convert("RGB"), printable, scale * MM)
    out = io.BytesIO()
    image.convert("RGB" if in_colour else "L").quantize(_COLOURS if in_colour else _GREYS).save(
        out, "PNG", optimize=True
    )
    return out.getvalue()


def _with_zones(image: Image.Image, printable: Collection[Box], pixels_per_mm: float) -> Image.Image:
    cover = Image.new("L", image.size, round(255 * ZONE_OPACITY))
    draw: Any = ImageDraw.Draw(cover)
    for box in printable:
        draw.rectangle([length * pixels_per_mm for length in box], fill=0)
    covered = Image.composite(Image.new("RGB", image.size, ZONE_COLOUR), image, cover)
    if ADDRESS_WINDOW in printable:
        frame = [length * pixels_per_mm for length in ADDRESS_WINDOW]
        ImageDraw.Draw(covered).rectangle(frame, outline=ZONE_COLOUR, width=_WINDOW_LINE_PIXELS)
    return covered

"""Pictures of a PDF's pages."""

import io
import threading

import pypdfium2

WIDTH_PIXELS = 1000

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


def page_png(pdf: bytes, page_number: int) -> bytes:
    """Render one page, from 1, as a PNG 1,000 pixels wide, in 16 greys and far below 2 MiB.

    Args:
        page_number: a page that the PDF has.
    """
    with _pdfium:
        document = pypdfium2.PdfDocument(pdf)
        try:
            page = document[page_number - 1]
            image = page.render(scale=WIDTH_PIXELS / page.get_width(), grayscale=True).to_pil()
        finally:
            document.close()
    out = io.BytesIO()
    image.quantize(16).save(out, "PNG", optimize=True)
    return out.getvalue()

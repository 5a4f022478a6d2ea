"""Pictures of pages show where on them nothing may be printed (pipeline.md §4.3)."""

import io
import zlib
from collections.abc import Callable

import pytest
from notify_letters.pdf.geometry import ADDRESS_WINDOW, ZONE_COLOUR, Box, printable
from notify_letters.pdf.pages import page_png
from notify_letters.pdf.reader import Limits, PdfReader, ReaderDied, Zones
from notify_testing import pdfs
from notify_testing.pdfs import picture
from pikepdf import Dictionary, Name, Pdf
from PIL import Image

WHITE = (255, 255, 255)
COVERED_WHITE = (238, 174, 164)
COVERED_BLACK = (85, 21, 11)


def look(png: bytes) -> Image.Image:
    assert len(png) < 2 * 1024 * 1024
    image: Image.Image = Image.open(io.BytesIO(png))
    assert image.width == 1000
    return image.convert("RGB")


def is_at(image: Image.Image, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    """Whether this is about the colour at a point, in millimetres from the top left corner."""
    found = image.getpixel((round(x / 210 * 1000), round(y / 210 * 1000)))
    assert isinstance(found, tuple)
    return all(abs(one - other) <= 12 for one, other in zip(found, colour, strict=True))


WRONG = pdfs.letter(
    pdfs.address() + pdfs.bar(2, 150, 8, 8) + pdfs.bar(30, 150, 8, 8), pdfs.bar(100, 60, 8, 8)
)


def test_a_first_page_shows_where_nothing_may_be_printed() -> None:
    image = look(page_png(WRONG, 1, printable(1)))
    assert is_at(image, 6, 154, COVERED_BLACK), "what is wrong is seen through the red"
    assert is_at(image, 34, 154, (0, 0, 0))
    # between the logo and the window, and between the window and the body; then all that may be printed on
    assert all(is_at(image, x, y, COVERED_WHITE) for x, y in ((60, 34), (60, 80), (205, 150), (100, 295)))
    assert all(is_at(image, x, y, WHITE) for x, y in ((60, 20), (160, 50), (110, 60), (100, 200)))


@pytest.mark.parametrize("corner", [(ADDRESS_WINDOW.left, 50), (ADDRESS_WINDOW.right, 50), (70, 66.2)])
def test_the_address_window_has_a_frame(corner: tuple[float, float]) -> None:
    assert is_at(look(page_png(WRONG, 1, printable(1))), *corner, ZONE_COLOUR)


def test_a_later_page_has_margins_alone() -> None:
    image = look(page_png(WRONG, 2, printable(2)))
    assert is_at(image, 104, 64, (0, 0, 0))
    assert is_at(image, ADDRESS_WINDOW.left, 50, WHITE)
    assert is_at(image, 5, 64, COVERED_WHITE)


def test_a_picture_without_marks_is_grey() -> None:
    assert is_at(look(page_png(WRONG, 1)), 6, 154, (0, 0, 0))


def test_no_page_of_an_attachment_is_a_first_page() -> None:
    assert printable(1, is_attachment=True) == printable(2) != printable(1)
    reader = PdfReader(Limits())
    png, page_count = reader.page_png(WRONG, 1, Zones.ATTACHMENT)
    assert page_count == 2
    assert is_at(look(png), 60, 34, WHITE)
    png, _ = reader.page_png(WRONG, 1, Zones.LETTER)
    assert is_at(look(png), 60, 34, COVERED_WHITE)


def test_a_page_that_is_too_long_to_draw_ends_its_process_alone() -> None:
    ribbon = pdfs.letter(b"", size=(3, 14_000))
    with pytest.raises(ReaderDied):
        PdfReader(Limits(cpu_seconds=5, memory_mib=768)).page_png(ribbon, 1, Zones.LETTER)


def test_zones_reach_over_pages_of_other_sizes() -> None:
    image = look(page_png(pdfs.letter(b"", size=(pdfs.A4[1], pdfs.A4[0])), 1, (Box(15, 5, 195, 292),)))
    assert image.height < image.width


def of_a_hundred_megapixels() -> bytes:
    def change(pdf: Pdf) -> None:
        lines = zlib.compress(bytes(10_000) * 10_000)
        shown = picture(pdf, 10_000, 10_000, lines, ColorSpace=Name.DeviceGray, Filter=Name.FlateDecode)
        pdf.pages[0].obj.Resources.XObject = Dictionary(Im=shown)
        pdf.pages[0].obj.Contents = pdf.make_stream(b"q 500 0 0 500 50 50 cm /Im Do Q")

    return pdfs.letter(change=change)


HOSTILE = {
    "zero bytes": b"",
    "no PDF": b"GIF89a",
    "truncated": pdfs.letter()[:200],
    "a circle of pages": pdfs.circle_of_pages(),
    "encrypted": pdfs.encrypted("secret"),
    "100,000 pages": pdfs.many_pages(100_000),
    "a picture of 100 megapixels": of_a_hundred_megapixels(),
    "unpacks to 200 MB": pdfs.bomb(200_000_000),
    "forms within forms": pdfs.nested_forms(40),
}


@pytest.mark.parametrize("pdf", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_pdf_is_drawn_or_ends_its_process_alone(pdf: bytes) -> None:
    reader = PdfReader(Limits(cpu_seconds=2, memory_mib=768))
    draws: list[Callable[[], tuple[bytes, int]]] = [
        lambda: reader.page_png(pdf, 1, Zones.LETTER),
        lambda: reader.with_zones(pdf, Zones.LETTER),
    ]
    for draw in draws:
        try:
            made, page_count = draw()
        except ReaderDied:
            continue
        assert made[:4] in (b"\x89PNG", b"%PDF")
        assert page_count >= 1


@pytest.mark.parametrize("name", ["zero bytes", "no PDF", "truncated", "a circle of pages", "encrypted"])
def test_what_cannot_be_read_is_never_drawn(name: str) -> None:
    reader = PdfReader(Limits())
    with pytest.raises(ReaderDied):
        reader.page_png(HOSTILE[name], 1)
    with pytest.raises(ReaderDied):
        reader.with_zones(HOSTILE[name], Zones.LETTER)


def test_more_pages_than_a_letter_has_are_not_marked() -> None:
    reader = PdfReader(Limits())
    assert reader.with_zones(pdfs.letter(*[b""] * 10), Zones.ATTACHMENT)[1] == 10
    with pytest.raises(ReaderDied):
        reader.with_zones(pdfs.letter(*[b""] * 11), Zones.LETTER)


def test_a_marked_pdf_holds_nothing_but_drawings() -> None:
    marked, _ = PdfReader(Limits()).with_zones(pdfs.letter(change=pdfs.scripted), Zones.LETTER)
    with Pdf.open(io.BytesIO(marked)) as made:
        assert set(made.Root.keys()) == {"/Type", "/Pages"}
        assert len(made.attachments) == 0
        assert "/Annots" not in made.pages[0].obj

"""Letters that come as PDFs: each fault has its verdict, and what is printed is clean (pipeline.md §4.3)."""

import io
from collections.abc import Callable
from typing import Any

import pikepdf
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common.enums import Postage
from notify_letters.domain.precompiled import Failure, Inspected
from notify_letters.pdf.colours import ink
from notify_letters.pdf.fonts import Fonts
from notify_letters.pdf.overlays import OverlayTypesetter
from notify_letters.pdf.precompiled import LARGEST_IMAGE_PIXELS, OWN_OVERLAY, Tools, inspect
from notify_letters.pdf.substitutes import Substitutes
from notify_testing import pdfs
from notify_testing.pdfs import A4, MM, address, bar, letter, picture, text
from pikepdf import Array, Dictionary, Name, Pdf
from PIL import Image

Inspect = Callable[..., tuple[Inspected, bytes]]


@pytest.fixture(scope="module")
def check() -> Inspect:
    tools = Tools(OverlayTypesetter(Fonts()).overlay, Substitutes())

    def checked(pdf: bytes, *, allow_international: bool = False) -> tuple[Inspected, bytes]:
        return inspect(pdf, tools, allow_international=allow_international)

    return checked


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    return "\n".join(str(page.get_textpage().get_text_range()) for page in document)


def pixel(pdf: bytes, x: float, y: float) -> Any:
    """The colour at a point of the first page, in millimetres from the top left corner."""
    image: Image.Image = pypdfium2.PdfDocument(pdf)[0].render(scale=2).to_pil()
    return image.getpixel((round(x * MM * 2), round(y * MM * 2)))


def test_a_letter_that_is_right_is_printed(check: Inspect) -> None:
    inspected, made = check(letter())
    assert inspected == Inspected(1, address_lines=pdfs.ADDRESS, zone="united-kingdom")
    assert inspected.is_possible()
    assert inspected.postage is None
    assert "Dear Ms Example" in text_of(made)
    assert "NOTIFY" in text_of(made)
    assert check(letter())[1] == made, "the same letter gives the same bytes"


@pytest.mark.parametrize(
    ("pages", "failure", "wrong"),
    [
        pytest.param([address(), *[b""] * 10], Failure.TOO_LONG, (), id="eleven pages"),
        pytest.param([address() + bar(2, 100, 5, 5)], Failure.OUTSIDE_PRINTABLE_AREA, (1,), id="left margin"),
        pytest.param(
            [address() + bar(60, 32, 5, 2)], Failure.OUTSIDE_PRINTABLE_AREA, (1,), id="above the window"
        ),
        pytest.param(
            [address() + bar(60, 80, 5, 5)], Failure.OUTSIDE_PRINTABLE_AREA, (1,), id="below the window"
        ),
        pytest.param(
            [address() + bar(2, 100, 5, 5, "0.99 g")],
            Failure.OUTSIDE_PRINTABLE_AREA,
            (1,),
            id="nearly white",
        ),
        pytest.param(
            [address(), b"", bar(198, 10, 5, 5), bar(50, 293.5, 5, 3)],
            Failure.OUTSIDE_PRINTABLE_AREA,
            (3, 4),
            id="later pages",
        ),
        pytest.param(
            [address(), text(1, 4, "NOTIFY", size=6).replace(b"BT", b"BT 1 g")],
            Failure.START_MARK_IN_CONTENT,
            (2,),
            id="start mark on the second page",
        ),
        pytest.param([text(20, 110, "Hello")], "address-is-empty", (1,), id="no address"),
        pytest.param([address("Ms Example", "EX1 1EX")], "not-enough-address-lines", (1,), id="two lines"),
        pytest.param(
            [text(26, 42, *map(str, range(1, 8)), "EX1 1EX", size=6)],
            "too-many-address-lines",
            (1,),
            id="eight lines",
        ),
        pytest.param([address("??", "1 Road", "EX1 1EX")], "invalid-address-line-1-or-2", (1,), id="no name"),
        pytest.param(
            [address("Ms Example", "BFPO 12", "France")], "has-country-for-bfpo-address", (1,), id="BFPO"
        ),
        pytest.param([address("Ms Example", "1 Road", "Exeter")], "not-a-real-uk-postcode", (1,), id="code"),
        pytest.param(
            [address("Ms Example", "1 Rue", "France")], "cant-send-international-letters", (1,), id="abroad"
        ),
        pytest.param(
            [address("Ms Example", "[1 Road]", "EX1 1EX")], "invalid-char-in-address", (1,), id="bracket"
        ),
        pytest.param([address("Ms Example", "NFA", "EX1 1EX")], "no-fixed-abode-address", (1,), id="NFA"),
    ],
)
def test_each_fault_has_its_verdict(
    check: Inspect, pages: list[bytes], failure: str, wrong: tuple[int, ...]
) -> None:
    inspected, made = check(letter(*pages))
    assert (inspected.failure, inspected.pages) == (failure, wrong)
    assert inspected.page_count == len(pages)
    assert made == b""
    assert inspected.is_possible()


@pytest.mark.parametrize(
    ("size", "rotate", "right"),
    [
        pytest.param(A4, 180, True, id="upside down"),
        pytest.param((A4[1], A4[0]), 90, True, id="landscape turned upright"),
        pytest.param((A4[0] + 1.9 * MM, A4[1] - 1.9 * MM), 0, True, id="nearly A4"),
        pytest.param((A4[0] + 2.1 * MM, A4[1]), 0, False, id="too wide"),
        pytest.param((A4[1], A4[0]), 0, False, id="landscape"),
        pytest.param(A4, 90, False, id="portrait on its side"),
        pytest.param((612, 792), 0, False, id="letter size"),
    ],
)
def test_pages_are_a4_portrait(check: Inspect, size: tuple[float, float], rotate: int, right: bool) -> None:
    def turn(pdf: Pdf) -> None:
        pdf.pages[1].obj.Rotate = rotate

    def shape(pdf: Pdf) -> None:
        turn(pdf)
        pdf.pages[1].obj.MediaBox = Array([5, -7, 5 + size[0], size[1] - 7])

    inspected, _ = check(letter(address(), b"", change=shape))
    expected = ("", ()) if right else (Failure.NOT_A4_PORTRAIT, (2,))
    assert (inspected.failure, inspected.pages) == expected


def test_a_page_that_is_turned_and_moved_is_printed_upright(check: Inspect) -> None:
    def change(pdf: Pdf) -> None:
        page = pdf.pages[0].obj
        page.MediaBox = Array([100, 200, 100 + A4[1], 200 + A4[0]])
        page.Rotate = 90
        # upright, the page's x is its own height and its y runs the other way
        turned = b"q 0 1 -1 0 %.3f 200 cm " % (100 + A4[1])
        page.Contents = pdf.make_stream(turned + page.Contents.read_bytes() + b" Q")

    inspected, made = check(letter(address() + bar(50, 150, 20, 20), change=change))
    assert inspected.failure == ""
    assert inspected.address_lines == pdfs.ADDRESS
    with pikepdf.open(io.BytesIO(made)) as printed:
        assert "/Rotate" not in printed.pages[0].obj
    assert sum(pixel(made, 60, 160)) < 150
    assert pixel(made, 60, 140) == (255, 255, 255)


@pytest.mark.parametrize(
    "pdf",
    [
        pytest.param(b"", id="zero bytes"),
        pytest.param(b"GIF89a", id="no PDF"),
        pytest.param(letter()[:200], id="truncated"),
        pytest.param(pdfs.circle_of_pages(), id="a circle of pages"),
        pytest.param(pdfs.encrypted("secret"), id="encrypted"),
    ],
)
def test_what_cannot_be_read_raises(check: Inspect, pdf: bytes) -> None:
    """The process around it says `unable-to-read-the-file` for whatever is raised."""
    try:
        inspected, made = check(pdf)
    except Exception:
        return
    assert (inspected.failure, made) == (Failure.UNREADABLE, b"")


def test_a_large_picture_is_refused_unread(check: Inspect) -> None:
    def change(pdf: Pdf) -> None:
        side = int(LARGEST_IMAGE_PIXELS**0.5) + 1
        pdf.pages[0].obj.Resources.XObject = Dictionary(Im=picture(pdf, side, side, b""))

    assert check(letter(change=change))[0].failure == Failure.UNREADABLE


def test_a_hundred_thousand_pages_are_too_long(check: Inspect) -> None:
    inspected, _ = check(pdfs.many_pages(100_000))
    assert (inspected.failure, inspected.page_count) == (Failure.TOO_LONG, 100_000)


def test_one_that_only_forbids_changes_is_printed(check: Inspect) -> None:
    inspected, made = check(pdfs.encrypted(""))
    assert inspected.failure == ""
    with pikepdf.open(io.BytesIO(made)) as printed:
        assert not printed.is_encrypted


def test_only_what_is_drawn_is_printed(check: Inspect) -> None:
    inspected, made = check(letter(change=pdfs.scripted))
    assert inspected.failure == ""
    with pikepdf.open(io.BytesIO(made)) as printed:
        assert set(printed.Root.keys()) == {"/Type", "/Pages"}
        for page in printed.pages:
            assert set(page.obj.keys()) == {"/Type", "/Parent", "/MediaBox", "/Resources", "/Contents"}
        assert len(printed.attachments) == 0
        everything = b"".join(
            one.unparse() + (one.read_bytes() if isinstance(one, pikepdf.Stream) else b"")
            for one in printed.objects
        )
    for word in (b"JavaScript", b"/JS", b"evil", b"MZ not", b"secret", b"/Annot", b"/AcroForm"):
        assert word not in everything
    # the field's box is drawn
    assert sum(pixel(made, 150 / MM, 297 - 310 / MM)) < 150


def test_the_address_is_drawn_again_in_its_place(check: Inspect) -> None:
    """What stood in the window is gone, whatever it looked like; lines end 2 points above its foot."""
    sprawling = text(26, 44, "Zoë  Example,", "1 High Street ,", "ex11ex", size=13)
    inspected, made = check(letter(sprawling))
    assert inspected.address_lines == ("Zoë Example", "1 High Street", "EX1 1EX")
    image = pypdfium2.PdfDocument(made)[0].render(scale=4).to_pil().convert("L")
    window = [round(length * MM * 4) for length in (20, 36, 124, 70)]
    ink_box = image.crop(tuple(window)).point(lambda level: 255 if level < 128 else 0).getbbox()
    assert ink_box is not None
    left, top, _, bottom = ((length / 4 / MM) for length in ink_box)
    assert 24.6 <= left + 20 <= 25.5
    assert 66.3 - 2.5 <= bottom + 36 <= 66.3 - 0.5
    assert bottom - top <= 3 * 8.5 / MM


@pytest.mark.parametrize(
    ("country", "postage"), [("France", Postage.EUROPE), ("Japan", Postage.REST_OF_WORLD)]
)
def test_a_letter_abroad_takes_its_own_post(check: Inspect, country: str, postage: Postage) -> None:
    inspected, _ = check(letter(address("Ms Example", "1 Rue", country)), allow_international=True)
    assert (inspected.failure, inspected.postage) == ("", postage)
    refused, _ = check(letter(address("Ms Example", "1 Rue", "Exeter")), allow_international=True)
    assert refused.failure == "not-a-real-uk-postcode-or-country"


def test_a_start_mark_of_the_senders_is_enough(check: Inspect) -> None:
    marked = address() + b"1 g " + text(1.8, 3.6, "NOTIFY", size=6) + b"0 g "
    _, made = check(letter(marked))
    assert text_of(made).count("NOTIFY") == 1


def test_what_was_made_printable_is_printable(check: Inspect) -> None:
    """The web app has letters made printable when they are uploaded, and what came of it is sent."""
    inspected, made = check(letter(address("Ms Example", "1 High Street", "ex11ex"), b""))
    again, printed = check(made)
    assert (again.failure, again.page_count, again.zone) == ("", 2, inspected.zone)
    assert again.address_lines == ("MS EXAMPLE", "1 HIGH STREET", "EX1 1EX")
    assert pixel(printed, 26, 64) == pixel(made, 26, 64)
    assert text_of(printed).count("NOTIFY") == 1


def test_who_draws_an_overlay_gets_the_address_of_it(check: Inspect) -> None:
    def change(pdf: Pdf) -> None:
        form = pdf.make_stream(address("Mr Other", "2 Low Road", "EX1 1EX"))
        form.Type, form.Subtype, form.BBox = Name.XObject, Name.Form, Array([0, 0, *A4])
        form.Resources = Dictionary(Font=pdfs.fonts())
        pdf.pages[0].obj.Resources.XObject = Dictionary({OWN_OVERLAY: form})

    inspected, _ = check(letter(address() + f"{OWN_OVERLAY} Do".encode(), change=change))
    assert inspected.address_lines == ("Mr Other", "2 Low Road", "EX1 1EX")
    picture_instead = letter(
        change=lambda pdf: pdf.pages[0].obj.Resources.update(
            {"/XObject": Dictionary({OWN_OVERLAY: picture(pdf, 1, 1, bytes(3))})}
        )
    )
    assert check(picture_instead)[0].address_lines == pdfs.ADDRESS


def test_colours_become_inks(check: Inspect) -> None:
    red, green = (200, 10, 20), (0, 128, 0)

    def change(pdf: Pdf) -> None:
        content = bytes(red) * 100
        pdf.pages[0].obj.Resources.XObject = Dictionary(
            Im=picture(pdf, 10, 10, content),
            Jp=picture(pdf, 16, 16, _jpeg(green), Filter=Name.DCTDecode),
            Ix=picture(
                pdf,
                2,
                2,
                bytes(4),
                ColorSpace=Array([Name.Indexed, Name.DeviceRGB, 0, pdf.make_stream(bytes(red))]),
            ),
        )

    def at(name: str, x: float) -> bytes:
        return f"q 60 0 0 60 {x} 300 cm /{name} Do Q ".encode()

    drawing = (
        address()
        + bar(30, 120, 30, 20, "1 0 0 rg")
        + bar(80, 120, 30, 20, "/DeviceRGB cs 0 0 0 sc")
        + b"0 0 1 RG 100 200 m 200 200 l S "
        + at("Im", 100)
        + at("Jp", 200)
        + at("Ix", 300)
    )
    inspected, made = check(letter(drawing, change=change))
    assert inspected.failure == ""
    with pikepdf.open(io.BytesIO(made)) as printed:
        drawn = b"".join(
            one.read_bytes()
            for one in printed.objects
            if isinstance(one, pikepdf.Stream) and one.get("/Subtype") == Name.Form
        )
        pictures = [one for one in printed.objects if isinstance(one, pikepdf.Stream) and "/Width" in one]
        spaces = [one.ColorSpace for one in pictures]
        named = {str(space[1] if isinstance(space, Array) else space) for space in spaces}
    assert named == {"/DeviceCMYK"}
    assert b" rg" not in drawn
    assert b" RG" not in drawn
    assert b"DeviceRGB" not in drawn
    assert b"0 1 1 0 k" in drawn
    assert b"0 0 0 1 sc" in drawn, "black stays black ink alone"
    for x, colour in ((110, red), (210, green), (310, red)):
        seen = pixel(made, x / MM, 297 - 310 / MM)
        assert seen.index(max(seen)) == colour.index(max(colour)), (x, seen)


def _jpeg(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(out, "JPEG")
    return out.getvalue()


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_inks_give_the_colour_and_share_nothing_but_black(colour: tuple[float, float, float]) -> None:
    *parts, black = ink(*colour)
    assert min(parts) == pytest.approx(0, abs=1e-9)
    for part, light in zip(parts, colour, strict=True):
        assert 1 - part - black == pytest.approx(light, abs=1e-9)


def test_fonts_that_the_file_lacks_are_put_in(check: Inspect) -> None:
    inspected, made = check(letter(address() + text(20, 110, "Café", font="F2")))
    assert (inspected.failure, inspected.fonts_missing) == ("", 0)
    with pikepdf.open(io.BytesIO(made)) as printed:
        simple = [
            one
            for one in _dictionaries(printed)
            if one.get("/Type") == Name.Font and one.get("/Subtype") != Name.Type0
        ]
        assert all("/FontFile2" in one.FontDescriptor or "/FontFile3" in one.FontDescriptor for one in simple)
        assert {"/Arimo", "/Arimo-Bold"} <= {str(one.BaseFont) for one in simple}
    assert "Caf" in text_of(made)


def test_a_font_of_signs_is_counted_and_left(check: Inspect) -> None:
    def change(pdf: Pdf) -> None:
        pdf.pages[0].obj.Resources.Font.F2 = Dictionary(
            Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.ZapfDingbats
        )

    inspected, _ = check(letter(address() + text(20, 110, "4", font="F2"), change=change))
    assert (inspected.failure, inspected.fonts_missing) == ("", 1)


def _dictionaries(pdf: Pdf) -> list[Any]:
    from notify_letters.pdf.objects import dictionaries

    return list(dictionaries(pdf))

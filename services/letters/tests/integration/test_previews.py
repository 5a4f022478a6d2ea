"""Looks of letters that are not sent, and of PDFs that are no letters yet (pipeline.md §4.3)."""

import io
from collections.abc import Callable
from typing import Any

import pypdfium2
import pytest
from notify.common.v1.common_pb2 import PersonalisationField
from notify.letters.v1 import previews_service_pb2 as pb
from notify_common import ids
from notify_common.errors import NotifyError
from notify_letters.pdf.reader import Limits, PdfReader
from notify_letters.servicers.previews import PreviewsServicer
from notify_letters.usecases.template_assets import Logos
from notify_testing import pdfs
from pikepdf import Dictionary, Name
from PIL import Image

from .conftest import SERVICE_ID, World

Format = pb.RenderPreviewRequest
WORDING: dict[str, Any] = {
    "subject": "About ((topic))",
    "content": "Dear ((name))\n\n***\n\nGoodbye",
    "contact_block": "The office",
}


def render(world: World, **values: Any) -> tuple[pb.PreviewMetadata, bytes]:
    request = pb.RenderPreviewRequest(**{**WORDING, "format": Format.FORMAT_PDF, **values})
    first, *rest = world.previews.RenderPreview(request)
    return first.metadata, b"".join(part.chunk for part in rest)


def draw(world: World, pdf: bytes, **values: Any) -> tuple[int, bytes]:
    first, *rest = world.previews.DrawPdf(pb.DrawPdfRequest(pdf=pdf, **values))
    return first.metadata.page_count, b"".join(part.chunk for part in rest)


def sanitise(
    world: World, pdf: bytes, rules: pb.PageRules = pb.PAGE_RULES_LETTER, **values: Any
) -> tuple[pb.SanitisedPdf, bytes]:
    request = pb.SanitisePdfRequest(pdf=pdf, page_rules=rules, **values)
    first, *rest = world.previews.SanitisePdf(request)
    return first.result, b"".join(part.chunk for part in rest)


def attach(world: World, pdf: bytes) -> str:
    """Put a PDF where the admin web app does; returns its id."""
    store = world.parts().attachments
    assert store is not None
    store.ensure_bucket()
    attachment_id = ids.new_id()
    store.put(f"service-{SERVICE_ID}/{attachment_id}.pdf", pdf, content_type="application/pdf")
    return attachment_id


def texts(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(pdf)
    return [str(page.get_textpage().get_text_range()) for page in document]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(NotifyError) as caught:
        call()
    return caught.value.reason


def test_wording_shows_what_is_filled_in_and_what_is_not(world: World) -> None:
    metadata, pdf = render(world, personalisation=[PersonalisationField(key="Topic", text="your bins")])
    assert (metadata.page_count, metadata.welsh_page_count, metadata.attachment_page_count) == (2, 0, 0)
    first, second = texts(pdf)
    assert "About your bins" in first
    assert "((name))" in first
    assert "ADDRESS LINE 1" in first
    assert "The office" in first
    assert "Goodbye" in second
    # the letter's own date, which is summer in London
    request = pb.RenderPreviewRequest(**WORDING, format=Format.FORMAT_PDF)
    request.letter_time.FromJsonString("2026-07-31T23:30:00Z")
    _, *chunks = world.previews.RenderPreview(request)
    assert "1 August 2026" in texts(b"".join(part.chunk for part in chunks))[0]


def test_gaps_are_marked_in_colour(world: World) -> None:
    _, png = render(world, format=Format.FORMAT_PNG)
    image = Image.open(io.BytesIO(png))
    assert image.width == 1000
    colours = [colour for _, colour in image.convert("RGB").getcolors(10_000_000) or []]
    assert any(isinstance(c, tuple) and c[0] - c[2] > 100 for c in colours), "no yellow"


def test_pages_come_in_the_order_welsh_english_attached(world: World) -> None:
    attachment_id = attach(world, pdfs.letter(pdfs.text(20, 100, "Attached one"), b""))
    values = {
        "welsh_subject": "Pwnc",
        "welsh_content": "Annwyl",
        "service_id": SERVICE_ID,
        "attachment_id": attachment_id,
    }
    metadata, nothing = render(world, format=Format.FORMAT_COUNT, **values)
    assert (metadata.page_count, metadata.welsh_page_count, metadata.attachment_page_count) == (5, 1, 2)
    assert nothing == b""
    pages = texts(render(world, **values)[1])
    assert [
        word in page for word, page in zip(("Pwnc", "Dear", "Goodbye", "Attached one"), pages, strict=False)
    ]
    assert ("Pwnc" in pages[0], "Dear" in pages[1], "Attached one" in pages[3]) == (True, True, True)
    png = [render(world, format=Format.FORMAT_PNG, page_number=number, **values)[1] for number in (3, 4, 5)]
    assert len(set(png)) == 3
    assert all(one.startswith(b"\x89PNG") for one in png)
    past = {"format": Format.FORMAT_PNG, "page_number": 6, **values}
    assert refused(lambda: render(world, **past)) == "PAGE_NOT_FOUND"


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"content": "x" * 100_000}, id="more than a letter holds"),
        pytest.param({"content": "qr: " + "x" * 600}, id="too much for a QR code"),
        pytest.param({"content": "((a))" * 2_000, "subject": "x" * 70_000}, id="thousands of placeholders"),
    ],
)
def test_wording_that_is_too_much_is_refused(world: World, values: dict[str, str]) -> None:
    assert refused(lambda: render(world, **values)) == "LETTER_NOT_PREVIEWABLE"


def test_wording_can_be_no_markup(world: World) -> None:
    _, pdf = render(world, content='#panic("no") $x$ <b>*bold*</b>', subject='#read("/etc/passwd")')
    (page,) = texts(pdf)
    assert '#read("/etc/passwd")' in page.replace("\u201c", '"').replace("\u201d", '"')


def test_a_character_that_no_font_has_is_a_box(world: World) -> None:
    metadata, pdf = render(world, content="\U0010ffff and \ue000")
    assert metadata.page_count == 1
    assert pdf.startswith(b"%PDF-")


def test_a_pdf_is_drawn_page_by_page(world: World) -> None:
    wrong = pdfs.letter(pdfs.address() + pdfs.bar(2, 150, 8, 8), pdfs.bar(2, 150, 8, 8))
    count, plain = draw(world, wrong, page_number=1)
    assert (count, plain[:4]) == (2, b"\x89PNG")
    _, marked = draw(world, wrong, page_number=1, page_rules=pb.PAGE_RULES_LETTER)
    _, attached = draw(world, wrong, page_number=1, page_rules=pb.PAGE_RULES_ATTACHMENT)
    assert len({plain, marked, attached}) == 3
    assert refused(lambda: draw(world, wrong, page_number=3)) == "PAGE_NOT_FOUND"


def test_a_lone_page_has_the_rules_of_its_place(world: World) -> None:
    page = pdfs.letter(b"")
    as_first = draw(world, page, page_number=1, page_rules=pb.PAGE_RULES_LETTER)[1]
    as_third = draw(world, page, page_number=3, page_rules=pb.PAGE_RULES_LETTER)[1]
    assert as_first != as_third == draw(world, page, page_number=1, page_rules=pb.PAGE_RULES_ATTACHMENT)[1]


def test_a_marked_pdf_shows_the_zones_and_has_no_scripts(world: World) -> None:
    def with_script(pdf: Any) -> None:
        pdf.Root.OpenAction = Dictionary(S=Name.JavaScript, JS="app.alert(1)")

    pdf = pdfs.letter(pdfs.address() + pdfs.bar(2, 150, 8, 8), b"", change=with_script)
    count, marked = draw(world, pdf, page_rules=pb.PAGE_RULES_LETTER)
    assert count == 2
    assert b"JavaScript" not in marked
    document = pypdfium2.PdfDocument(marked)

    def pixel(page: int, x: float, y: float) -> Any:
        image = document[page].render(scale=2).to_pil().convert("RGB")
        return image.getpixel((round(x * pdfs.MM * 2), round(y * pdfs.MM * 2)))

    assert pixel(0, 60, 20) == pixel(1, 60, 34) == (255, 255, 255)
    assert pixel(0, 60, 34)[1] < 200, "above the window nothing may be printed"
    assert pixel(1, 5, 34)[1] < 200
    assert pixel(0, 6, 154)[0] < 120, "what is wrong is seen through"
    assert refused(lambda: draw(world, pdf)) == "INVALID_FIELD"


HOSTILE = {
    "junk": b"not a PDF",
    "cut off": pdfs.letter()[:300],
    "header alone": b"%PDF-1.7\n",
}


@pytest.mark.parametrize("pdf", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_pdf_is_unreadable(world: World, pdf: bytes) -> None:
    assert refused(lambda: draw(world, pdf, page_number=1)) == "PDF_UNREADABLE"
    assert refused(lambda: draw(world, pdf, page_rules=pb.PAGE_RULES_LETTER)) == "PDF_UNREADABLE"
    result, made = sanitise(world, pdf)
    assert (result.failure, result.page_count, made) == ("unable-to-read-the-file", 0, b"")


def test_a_pdf_has_an_end_and_a_beginning(world: World) -> None:
    assert sanitise(world, b"")[0].failure == "unable-to-read-the-file"
    assert refused(lambda: draw(world, b"", page_number=1)) == "INVALID_FIELD"
    assert refused(lambda: draw(world, bytes(4_128_769), page_number=1)) == "INVALID_FIELD"
    assert refused(lambda: sanitise(world, bytes(4_128_769))) == "INVALID_FIELD"


def test_a_letter_is_made_printable(world: World) -> None:
    result, made = sanitise(world, pdfs.letter())
    assert (result.page_count, result.failure, list(result.address_lines)) == (1, "", list(pdfs.ADDRESS))
    assert "NOTIFY" in texts(made)[0]
    abroad = pdfs.letter(pdfs.address("Ms Example", "1 Rue", "France"))
    assert sanitise(world, abroad)[0].failure == "cant-send-international-letters"
    assert sanitise(world, abroad, allow_international=True)[0].failure == ""


def test_an_attachment_has_rules_of_its_own(world: World) -> None:
    attachment = pdfs.letter(pdfs.text(60, 34, "Above a window"))
    as_letter, _ = sanitise(world, attachment)
    assert (as_letter.failure, list(as_letter.failure_pages)) == ("content-outside-printable-area", [1])
    result, made = sanitise(world, attachment, pb.PAGE_RULES_ATTACHMENT)
    assert (result.page_count, result.failure, list(result.address_lines)) == (1, "", [])
    assert "NOTIFY" not in texts(made)[0]
    marked = pdfs.letter(b"1 g " + pdfs.text(2, 4, "NOTIFY", size=6))
    result, made = sanitise(world, marked, pb.PAGE_RULES_ATTACHMENT)
    assert (result.failure, list(result.failure_pages), made) == ("notify-tag-found-in-content", [1], b"")


def test_pages_of_attachments_are_pictures(world: World) -> None:
    attachment_id = attach(world, pdfs.letter(b"", pdfs.text(20, 100, "Second")))
    broken_id = attach(world, b"no PDF")

    def page(**values: Any) -> pb.GetAttachmentPageImageResponse:
        fields = {"service_id": SERVICE_ID, "attachment_id": attachment_id, "page_number": 1, **values}
        answer: pb.GetAttachmentPageImageResponse = world.previews.GetAttachmentPageImage(
            pb.GetAttachmentPageImageRequest(**fields)
        )
        return answer

    assert (page().page_count, page().png[:4]) == (2, b"\x89PNG")
    assert page(page_number=2).png != page().png
    assert refused(lambda: page(page_number=3)) == "PAGE_NOT_FOUND"
    assert refused(lambda: page(service_id=ids.new_id())) == "ATTACHMENT_NOT_FOUND"
    assert refused(lambda: page(attachment_id=ids.new_id())) == "ATTACHMENT_NOT_FOUND"
    assert refused(lambda: page(attachment_id=broken_id)) == "PDF_UNREADABLE"
    wanted = {"service_id": SERVICE_ID, "attachment_id": ids.new_id()}
    assert refused(lambda: render(world, **wanted)) == "ATTACHMENT_NOT_FOUND"


def test_only_so_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notify_letters.servicers.previews._WAIT_SECONDS", 0.01)
    servicer = PreviewsServicer(PdfReader(Limits()), None, Logos(None), ("", "", ""), processes=1)
    context: Any = None
    request = pb.GetAttachmentPageImageRequest(service_id=ids.new_id(), attachment_id=ids.new_id())
    with servicer._process():
        assert refused(lambda: servicer.GetAttachmentPageImage(request, context)) == "OVERLOADED"
    assert refused(lambda: servicer.GetAttachmentPageImage(request, context)) == "ATTACHMENT_NOT_FOUND"

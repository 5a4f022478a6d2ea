"""What letters of templates hold besides their wording: attached PDFs, and logos of services."""

from typing import Any

import pypdfium2
import pytest
from notify.letters.v1 import letters_service_pb2 as pb
from notify.letters.v1 import previews_service_pb2 as previews
from notify.letters.v1.letter_pb2 import Letter
from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_common.enums import Channel
from notify_letters.domain.letter import attachment_key
from notify_letters.pdf.reader import Limits, PdfReader, ReaderDied
from notify_letters.usecases.template_assets import LARGEST_LOGO_BYTES
from notify_testing import pdfs
from PIL import ImageChops

from .conftest import SERVICE_ID, TEMPLATE_ID, World, letter

LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10">'
    '<rect width="20" height="10" fill="#ff0000"/></svg>'
)
TWO_PAGES = pdfs.letter(pdfs.text(60, 34, "Attached one"), pdfs.text(20, 100, "Attached two"))


def bucket(store: BlobStore | None) -> BlobStore:
    """Return a bucket of the web app's, which is there."""
    assert store is not None
    store.ensure_bucket()
    return store


def attach(world: World, pdf: bytes | None, template_id: str = TEMPLATE_ID) -> str:
    """Attach a PDF to a template; None for one that is not where it should be."""
    attachment_id = world.admin.attach(template_id)
    if pdf is not None:
        bucket(world.parts().attachments).put(f"service-{SERVICE_ID}/{attachment_id}.pdf", pdf)
    return attachment_id


def letter_at(world: World) -> Letter:
    """Have a letter of the current version taken over."""
    one = letter(template_version=world.admin.get_template(SERVICE_ID, TEMPLATE_ID).version)
    world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=[one]))
    return one


def render(world: World, parts: Any = None) -> list[bool]:
    parts = parts or world.parts()
    return [parts.render_batch(batch_id) for batch_id in world.batch_ids("render_batches")]


def get(world: World, one: Letter) -> Letter:
    request = pb.GetLetterRequest(service_id=SERVICE_ID, letter_id=one.id)
    answer: pb.GetLetterResponse = world.letters.GetLetter(request)
    return answer.letter


def download(world: World, one: Letter) -> bytes:
    _, *rest = world.letters.DownloadPdf(pb.DownloadPdfRequest(service_id=SERVICE_ID, letter_id=one.id))
    return b"".join(part.chunk for part in rest)


def page_texts(pdf: bytes) -> list[str]:
    return [str(page.get_textpage().get_text_range()) for page in pypdfium2.PdfDocument(pdf)]


def reds(pdf: bytes) -> tuple[float, float, float, float]:
    """Return the box of what is red on the first page, in millimetres; fails where nothing is."""
    image = pypdfium2.PdfDocument(pdf)[0].render(scale=2).to_pil().convert("RGB")
    red, green, _ = image.split()
    found = ImageChops.subtract(red, green).point(lambda more: 255 * (more > 128)).getbbox()
    assert found is not None
    left, top, right, bottom = (length * 210 / image.width for length in found)
    return left, top, right, bottom


def test_an_attachment_is_printed_behind_each_letter(world: World) -> None:
    before = letter_at(world)
    attachment_id = attach(world, TWO_PAGES)
    after, second = letter_at(world), letter_at(world)
    assert all(render(world))
    assert get(world, before).page_count == 1
    printed = get(world, after)
    assert (printed.state, printed.page_count, printed.sheet_count) == (Letter.STATE_READY, 3, 2)
    first, *behind = page_texts(download(world, after))
    assert "MS EXAMPLE" in first
    assert [text.strip() for text in behind] == ["Attached one", "Attached two"]
    kept = world.parts().blobs.head(attachment_key(attachment_id))
    assert kept.metadata["page_count"] == "2"
    # it is read from strangers once
    bucket(world.parts().attachments).delete(f"service-{SERVICE_ID}/{attachment_id}.pdf")
    third = letter_at(world)
    assert all(render(world))
    assert download(world, third)[:9] == download(world, second)[:9] == b"%PDF-1.7\n"
    assert get(world, third).page_count == 3


RULES: dict[str, tuple[bytes | None, int, str]] = {
    "eleven in all": (pdfs.letter(*[b""] * 10), Letter.STATE_VALIDATION_FAILED, "letter-too-long"),
    "ten in all": (pdfs.letter(*[b""] * 9), Letter.STATE_READY, ""),
    "in the margin": (
        pdfs.letter(pdfs.bar(2, 100, 5, 5)),
        Letter.STATE_VALIDATION_FAILED,
        "content-outside-printable-area",
    ),
    "the printer's mark": (
        pdfs.letter(pdfs.text(1.8, 3.6, "NOTIFY", size=6).replace(b"BT", b"1 g BT")),
        Letter.STATE_VALIDATION_FAILED,
        "notify-tag-found-in-content",
    ),
    "no PDF": (b"GIF89a", Letter.STATE_VALIDATION_FAILED, "unable-to-read-the-file"),
    "gone": (None, Letter.STATE_TECHNICAL_FAILURE, ""),
}
"""What is attached, and what becomes of the letter."""


def test_attachments_have_rules(world: World) -> None:
    sent = {}
    for name, (pdf, _, _) in RULES.items():
        template_id = world.admin.add_template(SERVICE_ID, Channel.LETTER, "x", name)
        attach(world, pdf, template_id)
        sent[name] = letter(template_id=template_id, template_version=2)
    world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=sent.values()))
    assert all(render(world))
    found = {name: get(world, one) for name, one in sent.items()}
    assert {name: (one.state, one.failure) for name, one in found.items()} == {
        name: (state, failure) for name, (_, state, failure) in RULES.items()
    }


def test_a_reader_that_was_ended_is_no_fault_of_the_letter(world: World) -> None:
    attach(world, TWO_PAGES)
    one = letter_at(world)

    class Dying(PdfReader):
        def check(self, pdf: bytes, **rules: Any) -> Any:
            raise ReaderDied("ended")

    parts = world.parts()
    parts.pdf_reader = Dying(Limits())
    assert render(world, parts) == [False]
    assert get(world, one).state == Letter.STATE_CREATED
    world.due_again()
    assert render(world) == [True]
    assert get(world, one).state == Letter.STATE_READY


def test_the_logo_of_a_service_stands_on_its_letters(world: World) -> None:
    world.admin.add_letter_branding(SERVICE_ID, "0123-council")
    logos = bucket(world.parts()._bucket(world.settings.logo_bucket or ""))
    one = letter_at(world)
    # a letter does not go without its logo
    assert render(world) == [False]
    assert get(world, one).state == Letter.STATE_CREATED
    key = "letters/static/images/letter-template/0123-council.svg"
    logos.put(key, LOGO.encode() + b" " * LARGEST_LOGO_BYTES)
    with pytest.raises(BlobNotFound):
        world.parts().logos.get("0123-council")
    logos.put(key, LOGO.encode())
    world.due_again()
    assert render(world) == [True]
    left, top, right, bottom = reds(download(world, one))
    assert (left, top) == pytest.approx((15, 10), abs=0.5)
    assert (right - left, bottom - top) == pytest.approx((36, 18), abs=0.5)

    wide = LOGO.replace('viewBox="0 0 20 10"', 'viewBox="0 0 100 10"').replace('width="20"', 'width="100"')
    logos.put("letters/static/images/letter-template/wide.svg", wide.encode())
    left, top, right, _ = reds(preview(world, "wide"))
    assert (left, top) == pytest.approx((15, 10), abs=0.5)
    assert right - left == pytest.approx(70, abs=0.5)
    # in previews one that there is not is left out
    assert page_texts(preview(world, "missing"))


def preview(world: World, logo_filename: str) -> bytes:
    ask = previews.RenderPreviewRequest(
        subject="s", content="c", logo_filename=logo_filename, format=previews.RenderPreviewRequest.FORMAT_PDF
    )
    _, *parts = world.previews.RenderPreview(ask)
    return b"".join(part.chunk for part in parts)

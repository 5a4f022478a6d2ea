"""The look of letters: each page beside the picture of it that was approved.

A picture that differs is kept in the test's temporary folder and named in the failure. Look at it; to approve
it, copy it over the one in `approved/`.
"""

from datetime import UTC, datetime
from pathlib import Path

import pypdfium2
import pytest
from notify_letters.domain.template import TemplateVersion
from notify_letters.pdf.fonts import Fonts
from notify_letters.pdf.layout import LetterLayout
from notify_letters.pdf.typesetter import Pdf, Typesetter
from PIL import Image, ImageChops

APPROVED = Path(__file__).with_name("approved")
POINTS_PER_INCH = 72
DOTS_PER_INCH = 72
# What a rasteriser of another version may draw differently: some edges of glyphs.
DARKER = 96
TOLERANCE = 0.0003

CREATED = datetime(2026, 3, 5, 12, tzinfo=UTC)
ADDRESS = ["Ms Zoë Example", "Flat 4", "27 High Street", "Exampleton", "EX1 2BB"]
CONTACT = "Example Council\nParking Services\nTown Hall\nExampleton\nEX1 1AA\n\n020 7946 0000"
BODY = """Dear ((name)),

Your application has been received – we are dealing with it. ‘Well-known’ words stay together, as in a-b-c.

# What happens next

* we check your address
* we write to you within
    1. ten working days
    2. or sooner
* nothing else

We are closed on

24. December 2026
25. December 2026

Item | Cost
--- | ---
Bus | £2

Pay at https://www.example.gov.uk/pay-for-a-permit or read [the guide](https://example.gov.uk/guide_(1)).

QR: https://www.example.gov.uk/permits/1

***

# The second page

^ An inset

Yours sincerely,
"""
ENGLISH = TemplateVersion("Your permit", BODY, "", "", CONTACT)
LETTERS = {
    "english": ENGLISH,
    "welsh-then-english": TemplateVersion(
        "Your permit", "Dear ((name))", "Eich trwydded", "Annwyl ((name)), tŷ a dŵr", CONTACT
    ),
    "scripts": TemplateVersion(
        "Αγαπητέ Уважаемый",
        "# مرحبا بكم\n\nשלום וברכה\n\nनमस्ते, यह एक पत्र है\n\nสวัสดี\n\n中文漢字 日本語のかな 한국어",
        "",
        "",
        "",
    ),
}

typesetter = Typesetter(Fonts())


def typeset(version: TemplateVersion, name: str = "Ms Example") -> Pdf:
    return typesetter.typeset(LetterLayout(version).letter({"name": name}, ADDRESS, CREATED), CREATED)


def pictures(pdf: Pdf) -> list[Image.Image]:
    document = pypdfium2.PdfDocument(pdf.content)
    return [
        page.render(scale=DOTS_PER_INCH / POINTS_PER_INCH, grayscale=True).to_pil().convert("L")
        for page in document
    ]


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the share of dots that are much darker or lighter in one than in the other."""
    if one.size != other.size:
        return 1.0
    differing = ImageChops.difference(one, other).point(lambda value: 255 if value > DARKER else 0)
    return differing.histogram()[255] / (one.width * one.height)


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_looks_as_approved(name: str, tmp_path: Path) -> None:
    made = pictures(typeset(LETTERS[name]))
    approved = sorted(APPROVED.glob(f"{name}-*.png"))
    for number, picture in enumerate(made, start=1):
        file = f"{name}-{number}.png"
        picture.save(tmp_path / file, optimize=True)
        assert APPROVED / file in approved, f"approve {tmp_path / file}"
        with Image.open(APPROVED / file) as before:
            assert difference(picture, before.convert("L")) <= TOLERANCE, f"compare {tmp_path / file}"
    assert len(approved) == len(made)


def test_a_letter_that_moved_or_changed_a_little_does_not_look_as_approved() -> None:
    before = pictures(typeset(ENGLISH))[0]
    moved = ImageChops.offset(before, 0, 3)
    another = pictures(typeset(ENGLISH, "Ms Someone Else Entirely"))[0]
    assert difference(before, moved) > TOLERANCE
    assert difference(before, another) > TOLERANCE
    assert difference(before, before) == 0

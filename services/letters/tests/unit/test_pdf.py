"""The look of letters: what is printed, where, and that data stays data."""

import shutil
import unicodedata
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import manimgx_fonts
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notify_content.letters import CHARACTER_LIMIT
from notify_letters.domain.letter import MAX_PAGES
from notify_letters.domain.template import TemplateVersion
from notify_letters.pdf.fonts import Fonts
from notify_letters.pdf.layout import CharactersNotPrintable, ContentInvalid, LetterLayout, LetterTooLong
from notify_letters.pdf.pages import page_png
from notify_letters.pdf.typesetter import LetterHead, Pdf, Typesetter, TypesettingFailed

MILLIMETRE = 72 / 25.4
ADDRESS = ["Ms Example", "1 High Street", "EX1 1EX"]
# 23:30 UTC in summer is the next day in London
CREATED = datetime(2026, 7, 31, 23, 30, tzinfo=UTC)

FONTS = Fonts()
typesetter = Typesetter(FONTS)


class LatinAlone(Fonts):
    """The fonts without those for other scripts and symbols."""

    def __init__(self) -> None:
        super().__init__()
        self._has_glyph = bytes(code_point < 0x500 and has for code_point, has in enumerate(self._has_glyph))


LATIN = LatinAlone()


def typeset(content: str, personalisation: dict[str, Any] | None = None, **values: Any) -> Pdf:
    """Return a letter of a template."""
    address = values.pop("address_lines", ADDRESS)
    fields = {
        "subject": "The subject",
        "welsh_subject": "",
        "welsh_content": "",
        "contact_block": "",
        **values,
    }
    layout = LetterLayout(TemplateVersion(content=content, **fields))
    return typesetter.typeset(layout.letter(personalisation or {}, address, CREATED), CREATED)


def pages(pdf: Pdf) -> list[str]:
    """Return the text of each page."""
    document = pypdfium2.PdfDocument(pdf.content)
    return [
        page.get_textpage().get_text_range().replace("\r\n", "\n").replace("\u200b", "") for page in document
    ]


def box(pdf: Pdf, text: str, page: int = 0) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a text, in mm from the page's top left corner."""
    sheet = pypdfium2.PdfDocument(pdf.content)[page]
    searched = sheet.get_textpage()
    found = searched.search(text).get_next()
    assert found is not None, f"{text} is not on the page"
    boxes = [searched.get_charbox(found[0] + offset) for offset in range(found[1])]
    height = sheet.get_height()
    left, right = min(one[0] for one in boxes), max(one[2] for one in boxes)
    top, bottom = height - max(one[3] for one in boxes), height - min(one[1] for one in boxes)
    return left / MILLIMETRE, top / MILLIMETRE, right / MILLIMETRE, bottom / MILLIMETRE


def test_the_page_is_a4() -> None:
    sheet = pypdfium2.PdfDocument(typeset("x").content)[0]
    assert (sheet.get_width() / MILLIMETRE, sheet.get_height() / MILLIMETRE) == pytest.approx(
        (210, 297), abs=0.1
    )


@pytest.mark.parametrize("count", [3, 7])
def test_the_address_stands_in_the_window(count: int) -> None:
    address = [f"Line {number} of the address" for number in range(1, count + 1)]
    pdf = typeset("x", address_lines=address)
    boxes = [box(pdf, line.upper()) for line in address]
    for left, top, right, bottom in boxes:
        assert left == pytest.approx(24.6, abs=0.5)
        assert top >= 39.5
        assert right <= 120
        assert bottom <= 66.3
    pitches = [(below[3] - above[3]) * MILLIMETRE for above, below in pairwise(boxes)]
    assert all(pitch == pytest.approx(8.5, abs=1) for pitch in pitches)


def test_a_long_address_line_is_narrowed_and_stays_one_line() -> None:
    long = "A world with a very long name in a street with a name that is longer still and does not end"
    pdf = typeset("x", address_lines=[long, *ADDRESS[1:]])
    left, top, right, bottom = box(pdf, long.upper())
    assert right - left <= 85.5
    assert bottom - top < 4
    assert right - left > 80, "only as much as needed"


def test_the_contact_block_stands_at_the_top_right() -> None:
    pdf = typeset("x", {"phone": "020 7946 0000"}, contact_block="The Office\nExampleton\n((phone))")
    for line in ("The Office", "Exampleton", "020 7946 0000"):
        left, top, right, bottom = box(pdf, line)
        assert left >= 125
        assert right <= 200
        assert top >= 5
        assert bottom <= 95


def test_date_subject_and_body_come_in_this_order_below_the_window() -> None:
    pdf = typeset("The body")
    date, subject, body = (box(pdf, text) for text in ("1 August 2026", "The subject", "The body"))
    assert 95 < date[1] < subject[1] < body[1]
    assert date[0] == pytest.approx(15, abs=0.5)


def test_the_printers_mark_is_on_the_first_page_only() -> None:
    first, second = pages(typeset("one\n\n***\n\ntwo"))
    assert "NOTIFY" in first
    assert "NOTIFY" not in second


def test_every_page_says_which_of_how_many_it_is() -> None:
    pdf = typeset("one\n\n***\n\ntwo\n\n***\n\nthree")
    assert pdf.page_count == 3
    for number, text in enumerate(pages(pdf), start=1):
        assert f"Page {number} of 3" in text


def test_welsh_comes_first_and_each_language_counts_its_own_pages() -> None:
    pdf = typeset(
        "english\n\n***\n\nmore", welsh_subject="Y pwnc", welsh_content="cymraeg", contact_block="Office"
    )
    welsh, english, more = pages(pdf)
    for words in ("Tudalen 1 o 1", "Y pwnc", "cymraeg", "1 Awst 2026", "MS EXAMPLE", "Office"):
        assert words in welsh
    for words in ("Page 1 of 2", "The subject", "english", "1 August 2026"):
        assert words in english
    for words in ("MS EXAMPLE", "Office", "NOTIFY"):
        assert words not in english, "the furniture of the first page is on the first page alone"
    assert "Page 2 of 2" in more


def test_blocks_of_every_kind() -> None:
    content = "# Heading\n\nline one\nline two\n\n* bullet\n* other\n\nthen\n\n1. first\n2. second\n\nhttps://example.com/a-b"
    (text,) = pages(typeset(content))
    for words in (
        "Heading",
        "line one\nline two",
        "• bullet",
        "1. first",
        "2. second",
        "example.com/a\u2011b",
    ):
        assert words in text


def test_a_qr_code_is_drawn_and_not_written() -> None:
    with_code, without = typeset("before\n\nQR: https://example.com/x\n\nafter"), typeset("before\n\nafter")
    (text,) = pages(with_code)
    assert "example.com" not in text
    assert box(with_code, "after")[1] - box(without, "after")[1] == pytest.approx(84 / MILLIMETRE, abs=10)


def test_a_qr_code_with_too_much_data_is_refused_without_repeating_it() -> None:
    with pytest.raises(ContentInvalid) as caught:
        typeset("QR: ((data))", {"data": "secret" * 100})
    assert "secret" not in str(caught.value)


def test_a_word_without_spaces_is_broken_within_the_body() -> None:
    pdf = typeset("W" * 400)
    (text,) = pages(pdf)
    assert sum(line.strip("W") == "" for line in text.splitlines() if line) > 5
    assert text.count("W") == 400
    sheet = pypdfium2.PdfDocument(pdf.content)[0]
    rights = [
        sheet.get_textpage().get_charbox(index)[2] for index in range(sheet.get_textpage().count_chars())
    ]
    assert max(rights) / MILLIMETRE <= 15 + 137.5 + 0.5


def test_ten_pages_of_the_narrowest_characters_are_within_the_limit() -> None:
    assert typeset("." * (CHARACTER_LIMIT - 100)).page_count > MAX_PAGES


@pytest.mark.parametrize(
    ("lines", "most"), [("a\n", 499), ("a\n\n", 499), ("* a\n", 499), ("1. a\n", 499), ("qr: a\n\n", 99)]
)
def test_more_than_ten_pages_of_lines_are_within_the_limit(lines: str, most: int) -> None:
    assert typeset(lines * most).page_count > MAX_PAGES
    with pytest.raises(LetterTooLong):
        typeset(lines * (most + 2))


def test_thousands_of_placeholders_are_a_letter_like_any_other() -> None:
    names = [f"a{number}" for number in range(5_000)]
    written = typeset(" ".join(f"(({name}))" for name in names), dict.fromkeys(names, "x"))
    assert sum(page.count("x") for page in pages(written)) >= 5_000


def test_long_content_flows_over_many_pages() -> None:
    pdf = typeset("\n\n".join(["A paragraph of a long letter. " * 12] * 80))
    assert pdf.page_count > 10


def test_the_same_letter_gives_the_same_bytes() -> None:
    content = "Dear ((name))\n\n* one\n\nQR: x"
    assert typeset(content, {"name": "Ann"}) == typeset(content, {"name": "Ann"})


HOSTILE = st.lists(
    st.sampled_from(
        [
            *(
                "#panic()",
                '#read("letter.typ")',
                '#import "@preview/x:1.0.0"',
                "#let x = 1",
                "<label>",
                "@ref",
            ),
            *(
                "$",
                "*",
                "_",
                "`",
                "```",
                "\\",
                "//",
                "/*",
                "*/",
                "[",
                "]",
                "(",
                ")",
                '"',
                "{",
                "}",
                "~",
                "--",
            ),
            *("=", "+", "\u0007", "\u2028", "\U0001f600", "é", "&lt;", "<script>", "((x))", "a"),
        ]
    ),
    max_size=12,
).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(HOSTILE, HOSTILE)
def test_no_value_is_ever_evaluated(value: str, line: str) -> None:
    pdf = typeset(
        "Dear ((name))",
        {"name": value},
        subject="x ((name))",
        contact_block="y ((name))",
        address_lines=[line or "x", "y", "z"],
    )
    text = "".join("".join(pages(pdf)).upper().split())
    for code in ("#PANIC()", "#LET", "@REF", "#IMPORT"):
        in_value, in_line = value.upper().count(code), line.upper().count(code)
        # in the body, Markdown may make a link of it, or take it for an address
        assert 2 * in_value + in_line <= text.count(code) <= 3 * in_value + in_line


def test_a_refusal_of_typst_is_an_error_of_ours() -> None:
    part = {"language": "en", "contact_block": [], "subject": [], "blocks": []}
    with pytest.raises(TypesettingFailed):
        typesetter.typeset({"address_lines": [], "parts": [part]}, CREATED)


SCRIPTS = {
    "Latin": "ŵŶ Łódź naïve",
    "Greek": "Αγαπητέ κύριε",
    "Cyrillic": "Уважаемый",
    "Arabic": "مرحبا بكم",
    "Hebrew": "שלום",
    "Devanagari": "नमस्ते",
    "Bengali": "নমস্কার",
    "Gurmukhi": "ਸਤਿ",
    "Gujarati": "નમસ્તે",
    "Tamil": "வணக்கம்",
    "Thai": "สวัสดี",
    "Chinese": "中文漢字",
    "Japanese": "日本語のかな",
    "Korean": "부산시",
    "symbols": "£ € • – ‘’ “” … ☎ ✓ 👍🏽",
}
PRIVATE_USE = "\ue000"


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_platform_brings_fonts_for_many_scripts(script: str) -> None:
    words = SCRIPTS[script]
    assert FONTS.without_glyph([words]) == []
    pdf = typeset(
        f"# {words}\n\n{words}", subject=words, contact_block=words, address_lines=[words, "b", "c"]
    )
    assert pdf.page_count == 1
    # glyph 0 is the empty box of a font that lacks a character
    assert not any(b"/.notdef" in font for font in fonts_of(pdf))


def fonts_of(pdf: Pdf) -> list[bytes]:
    """Return the names of the fonts in a PDF."""
    sheet = pypdfium2.PdfDocument(pdf.content)[0]
    return [
        one.get_font().get_base_name().encode() for one in sheet.get_objects() if hasattr(one, "get_font")
    ]


def test_letters_are_set_in_a_sans_serif_face_and_its_bold() -> None:
    pdf = typeset("# heading\n\nbody")
    assert {name.split(b"+")[-1].split(b"-")[0] for name in fonts_of(pdf)} == {b"Arimo"}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("부산시", ["부", "산", "시"]),
        ("부부 부", ["부"]),
        ("Hi 👍🏽", ["👍", "🏽"]),
        ("ŵ e\u0301 soft\u00adhyphen a\u200d\ufe0f \u2028\t\n\u00a0", []),
        ("x\u0338부", ["부"]),
    ],
)
def test_characters_without_a_glyph_are_found_in_order(text: str, missing: list[str]) -> None:
    assert LATIN.without_glyph([text]) == missing


@given(st.text())
def test_a_character_is_named_once_and_only_if_it_is_there(text: str) -> None:
    missing = LATIN.without_glyph([text, text])
    assert len(set(missing)) == len(missing)
    assert set(missing) <= set(unicodedata.normalize("NFC", text))
    assert LATIN.without_glyph([unicodedata.normalize("NFD", text)]) == missing


def test_a_letter_names_the_characters_that_no_font_has_in_the_order_of_print() -> None:
    places = [chr(0xE000 + number) for number in range(8)]
    with pytest.raises(CharactersNotPrintable) as caught:
        typeset(
            f"# {places[7]}\n\n* {places[0]}",
            subject=places[6],
            contact_block=places[5],
            welsh_subject=places[3],
            welsh_content=f"{places[4]} {places[2]}",
            address_lines=[places[1], "b", places[2]],
        )
    expected = [places[number] for number in (1, 2, 5, 3, 4, 6, 7, 0)]
    assert caught.value.detail == ", ".join(f"{one} (U+{ord(one):04X})" for one in expected)
    assert not any(one in str(caught.value) for one in places)


def test_the_first_ten_characters_are_named_and_the_others_counted() -> None:
    with pytest.raises(CharactersNotPrintable) as caught:
        typeset("".join(chr(0xE000 + number) for number in range(12)))
    assert caught.value.detail.endswith("\ue009 (U+E009) and 2 more")
    assert caught.value.failure == "characters-not-printable"


def test_the_data_of_a_qr_code_needs_no_glyphs() -> None:
    assert typeset(f"QR: {PRIVATE_USE}").page_count == 1


def test_an_operator_s_fonts_are_used_for_what_the_platform_s_lack(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    shutil.copy(Path(manimgx_fonts.__path__[0]) / "NotoSansThai[wght].ttf", tmp_path / "deep")
    fonts = Fonts([tmp_path])
    assert tmp_path in fonts.directories
    assert fonts.without_glyph(["สวัสดี"]) == []
    with pytest.raises(NotADirectoryError):
        Fonts([tmp_path / "absent"])


def test_an_ordered_list_keeps_its_first_number() -> None:
    (text,) = pages(typeset("24. December 2026\n25. Closed\n\n10.30am on Tuesday"))
    for words in ("24. December 2026", "25. Closed", "10.30am on Tuesday"):
        assert words in text


def test_a_page_is_a_picture_of_fixed_width() -> None:
    pdf = typeset("x")
    png = page_png(pdf.content, 1)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == pytest.approx((1000, 1414), abs=2)


def test_a_panic_within_typst_is_a_letter_that_can_t_be_typeset() -> None:
    class PanicException(BaseException):
        pass

    class Compiler:
        def compile(self, **_: object) -> bytes:
            raise PanicException

    typesetter = Typesetter(Fonts())
    typesetter._compiler = Compiler()  # type: ignore[assignment] # no letter is known that makes it panic
    with pytest.raises(TypesettingFailed):
        typesetter.typeset({"address_lines": [], "parts": []}, datetime(2026, 3, 5, tzinfo=UTC))


LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10">'
    '<rect width="20" height="10" fill="#ff0000"/></svg>'
)


def headed(head: LetterHead, contact_block: str = "Town Hall") -> Pdf:
    layout = LetterLayout(TemplateVersion("The subject", "one\n\n***\n\ntwo", "", "", contact_block))
    return Typesetter(FONTS, head).typeset(layout.letter({}, ADDRESS, CREATED), CREATED)


@pytest.mark.parametrize("logo", ["", LOGO])
@pytest.mark.parametrize(
    "name", ["Ville de Lyon", "The Royal Borough of Kensington and Chelsea Housing Services"]
)
def test_the_head_is_left_of_the_contact_details_on_the_first_page(name: str, logo: str) -> None:
    pdf = headed(LetterHead(name, logo, "#1d70b8"))
    first, second = pages(pdf)
    assert name.split()[0] in first
    assert name.split()[0] not in second
    assert len(name) <= 60
    for word in (name.split()[0], name.split()[-1]):
        left, top, right, bottom = box(pdf, word)
        assert 15 <= left < right <= 125
        assert 5 <= top < bottom <= 30
    assert box(pdf, "Town Hall") == box(headed(LetterHead()), "Town Hall")
    assert box(pdf, "MS EXAMPLE") == box(headed(LetterHead()), "MS EXAMPLE")


def test_the_logo_keeps_its_proportions_in_its_area() -> None:
    sheet = pypdfium2.PdfDocument(headed(LetterHead(logo_svg=LOGO)).content)[0]
    picture = sheet.render(scale=1).to_pil().convert("RGB")
    per_mm = picture.width / 210
    red = [
        (x / per_mm, y / per_mm)
        for x in range(picture.width)
        for y in range(picture.height)
        if picture.getpixel((x, y)) == (255, 0, 0)
    ]
    width, height = (max(one[axis] for one in red) - min(one[axis] for one in red) for axis in (0, 1))
    assert width / height == pytest.approx(2, rel=0.15)
    assert min(x for x, _ in red) >= 15
    assert min(y for _, y in red) >= 5
    assert max(y for _, y in red) <= 30


def test_a_name_that_no_font_has_is_found_before_any_letter() -> None:
    with pytest.raises(CharactersNotPrintable):
        Typesetter(FONTS, LetterHead("\ue000"))

"""Letters: content.md §7."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_content.letters import (
    BulletList,
    Heading,
    Item,
    Language,
    LetterTemplate,
    LineBreak,
    OrderedList,
    PageBreak,
    Paragraph,
    Plain,
    QrCode,
    QrCodePlaceholder,
    QrCodeTooLong,
    Run,
    body_html,
    format_date,
    page_footer,
)
from notify_content.placeholders import Gaps, Lists, compile_content

from .strategies import ANY_TEXT, MARKUP, VALUES


def blocks(body: str, values: dict[str, object] | None = None) -> tuple[object, ...]:
    return LetterTemplate("", body).render(values).blocks


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a\nb", "<p>a<br>b</p>"),
        ("# H\n\ntext", "<h2>H</h2>\n<p>text</p>"),
        ("## H2", "<p>H2</p>"),
        ("* a\n* b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        (
            "https://example.com/a-b",
            "<p><strong data\u2011original\u2011protocol='https://'>example.com/a\u2011b</strong></p>",
        ),
        ("[text](https://example.com)", "<p>[text](https://example.com)</p>"),
        ('[text](https://example.com "t")', "<p>[text](https://example.com “t”)</p>"),
        ("^ quote", "<p>quote</p>"),
        ("well-known 'quote' - dash", "<p>well\u2011known ‘quote’ – dash</p>"),
        ("<b>&</b>", "<p>&lt;b&gt;&amp;&lt;/b&gt;</p>"),
        ("x ((list)) y", "<p>x </p><ul>\n<li>one</li>\n<li>two y</li>\n</ul>\n"),
        ("---", '<div class="page\u2011break">&nbsp;</div>'),
        (
            "24. December 2026\n25. Closed",
            '<ol start="24">\n<li>December 2026</li>\n<li>Closed</li>\n</ol>\n',
        ),
        ("10.30am on Tuesday", "<p>10.30am on Tuesday</p>"),
        ("a | b\n--|--\n1 | 2\n\nc", "<p>a | b<br>1 | 2</p><p>c</p>"),
        ("![a](b)", "<p>![a](b)</p>"),
        ("[a]: b\n\n[^1]: c", "<p>[a]: b</p><p>[^1]: c</p>"),
        ("![a](b)\nc", "<p><br>c</p>"),
    ],
)
def test_body_html(body: str, expected: str) -> None:
    markdown = compile_content(body).render(
        {"list": ["one", "two"]}, escape=True, lists=Lists.BULLETS, gaps=Gaps.HTML
    )
    assert body_html(markdown) == (expected, [])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a\nb <", (Paragraph((Run("a"), LineBreak(), Run("b <"))),)),
        ("# A & B\n\nc", (Heading((Run("A & B"),)), Paragraph((Run("c"),)))),
        ("a\n\n***\n\nb", (Paragraph((Run("a"),)), PageBreak(), Paragraph((Run("b"),)))),
        (
            "* a\n    1. b\n    2. c\n* d",
            (
                BulletList(
                    (
                        Item(
                            (
                                Plain((Run("a"),)),
                                OrderedList((Item((Plain((Run("b"),)),)), Item((Plain((Run("c"),)),)))),
                            )
                        ),
                        Item((Plain((Run("d"),)),)),
                    )
                ),
            ),
        ),
        (
            "* a\n\n* b",
            (BulletList((Item((Paragraph((Run(" a"),)),)), Item((Paragraph((Run(" b"),)),)))),),
        ),
        ("see https://e.com/x", (Paragraph((Run("see "), Run("e.com/x", bold=True))),)),
        ("    a\n    b", (Plain((Run("a\nb"),)),)),
        ("^ a\n^ * b", (Paragraph((Run("a"),)), BulletList((Item((Plain((Run("b"),)),)),)))),
        ("&copy; &nbsp;&amp;lt;", (Paragraph((Run("© \u00a0&lt;"),)),)),
        ("", ()),
        (
            "Dear ((name)), ((x??y-z))",
            (
                Paragraph(
                    (
                        Run("Dear "),
                        Run("((name))", placeholder=True),
                        Run(", "),
                        Run("((x??", placeholder=True),
                        Run("y\u2011z))"),
                    )
                ),
            ),
        ),
        (
            "[x](((url)))",
            (Paragraph((Run("[x]("), Run("((url))", placeholder=True), Run(")"))),),
        ),
    ],
)
def test_blocks(body: str, expected: tuple[object, ...]) -> None:
    assert blocks(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("qr: https://e.com/a-b?x=1&y=2 - 'z'", QrCode("https://e.com/a-b?x=1&y=2 - 'z'")),
        ("QR:a\nb", QrCode("a<br>b")),
        ("qr : ((v))", QrCodePlaceholder((Run("((v))", placeholder=True),))),
        ("see qr: a", Paragraph((Run("see qr: a"),))),
        ("qr:", Paragraph((Run("qr:"),))),
    ],
)
def test_qr_codes(body: str, expected: object) -> None:
    assert blocks(body) == (expected,)


def test_qr_code_limit_is_before_decoding() -> None:
    template = LetterTemplate("", "qr: ((v))")
    assert not template.render({"v": "é" * 252}).qr_code_too_long
    letter = template.render({"v": "&" * 101})
    assert letter.qr_code_too_long
    with pytest.raises(QrCodeTooLong, match=r"^Too much data for QR code \(num_bytes=505, max_bytes=504\)$"):
        _ = letter.blocks
    assert not LetterTemplate("", "a" * 600).render().qr_code_too_long
    assert not template.render(None).qr_code_too_long


def test_subject_contact_block_and_content() -> None:
    template = LetterTemplate("Re: ((ref))  - 'x-y'", "((list))", "  ((org)) \n 1 Road , Town-on-Sea\n")
    assert template.placeholders == ("org", "ref", "list")
    letter = template.render({"ref": "<1>", "org": ["a", "b"], "list": ["c", "d"]})
    assert letter.subject == (Run("Re: <1> – ‘x-y’"),)
    assert letter.contact_block == ((Run("a and b"),), (Run("1 Road, Town-on-Sea"),))
    assert letter.content == "* c\n* d"
    assert LetterTemplate("", "").render().contact_block == ()
    assert LetterTemplate("", "").render().is_empty


def test_json_form() -> None:
    letter = LetterTemplate("S", "* a\n\n---").render()
    text = {"type": "text", "text": "a", "bold": False, "placeholder": False}
    assert letter.to_dict() == {
        "subject": [text | {"text": "S"}],
        "blocks": [
            {
                "type": "bullet_list",
                "items": [{"type": "item", "blocks": [{"type": "plain", "runs": [text]}]}],
            },
            {"type": "page_break"},
        ],
        "contact_block": [],
    }


def test_dates_and_footers() -> None:
    assert format_date(date(2026, 3, 5), Language.ENGLISH) == "5 March 2026"
    assert format_date(date(2026, 12, 25), Language.WELSH) == "25 Rhagfyr 2026"
    assert page_footer(1, 3, Language.ENGLISH) == "Page 1 of 3"
    assert page_footer(2, 3, Language.WELSH) == "Tudalen 2 o 3"


@given(ANY_TEXT | MARKUP, ANY_TEXT | MARKUP, VALUES | st.none(), st.none() | ANY_TEXT | MARKUP)
def test_any_template_and_values_render(
    subject: str, body: str, values: dict[str, object] | None, contact_block: str | None
) -> None:
    letter = LetterTemplate(subject, body, contact_block).render(values)
    if letter.qr_code_too_long:
        return
    json.dumps(letter.to_dict())


@given(ANY_TEXT | MARKUP)
def test_values_are_data_in_the_subject(value: str) -> None:
    letter = LetterTemplate("x((v))y", "").render({"v": value})
    assert all(isinstance(run, Run) and not run.bold and not run.placeholder for run in letter.subject)


def test_address_block_is_the_address_as_printed() -> None:
    values = {"address line 1": "Ann & Co", "address_line_2": "1 High St ,", "Postcode": "sw1a1aa"}
    assert LetterTemplate("", "").render(values).address_block == (
        (Run("Ann & Co"),),
        (Run("1 High St"),),
        (Run("SW1A 1AA"),),
    )


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        ({"postcode": "E1 6AN"}, Run("E1 6AN")),
        ({"postcode": "E1 6AN", "address_line_7": None}, Run("address line 7", placeholder=True)),
        ({}, Run("address line 7", placeholder=True)),
    ],
)
def test_address_block_of_an_unfinished_address_shows_its_gaps(last: dict[str, object], shown: Run) -> None:
    values = {"address line 1": "<((b))>", "address line 3": ""} | last
    gaps = [(Run(f"address line {number}", placeholder=True),) for number in (2, 4, 5, 6)]
    assert LetterTemplate("", "").render(values).address_block == (
        (Run("<((b))>"),),
        gaps[0],
        (),
        *gaps[1:],
        (shown,),
    )


@given(VALUES | st.dictionaries(st.sampled_from(["addressline1", "postcode"]), ANY_TEXT | MARKUP))
def test_any_values_make_an_address_block(values: dict[str, object]) -> None:
    for line in LetterTemplate("", "").render(values).address_block:
        assert all(isinstance(run, Run) for run in line)


def test_an_ordered_list_keeps_its_first_number_at_each_depth() -> None:
    (outer,) = blocks("24. a\n    7. b\n    8. c\n25. d")
    assert isinstance(outer, OrderedList)
    inner = outer.items[0].blocks[1]
    assert isinstance(inner, OrderedList)
    assert (outer.start, inner.start) == (24, 7)
    assert LetterTemplate("", "3. a").render().to_dict()["blocks"][0]["start"] == 3


def test_a_qr_code_alone_is_something_to_show() -> None:
    assert blocks("QR: https://example.com") == (QrCode("https://example.com"),)


def test_a_letter_that_would_print_nothing_prints_its_text() -> None:
    assert blocks("![map](m.png)  \n![](b)") == (
        Paragraph((Run("![map](m.png)"), LineBreak(), Run("![](b)"))),
    )

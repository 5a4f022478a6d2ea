"""Emails and the page around them: content.md §4."""

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_content.email_page import EmailBranding, render_page
from notify_content.emails import (
    SIZE_LIMIT,
    EmailMessage,
    EmailTemplate,
)
from notify_content.placeholders import Personalisation
from notify_content.text import ALL_WHITESPACE

from .strategies import ANY_TEXT, MARKUP, VALUES


def render(
    body: str, values: dict[str, object] | None = None, unsubscribe: str | None = None
) -> EmailMessage:
    return EmailTemplate("Subject", body).render(values, unsubscribe)


class Tags(HTMLParser):
    """The tags and the text a mail program would find."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"comment {data}")

    def handle_data(self, data: str) -> None:
        self.text += data


OWN_TAGS = {
    "p": {"style"}, "h2": {"style"}, "h3": {"style"}, "hr": {"style"}, "table": {"role", "style"},
    "tr": set(), "td": {"style"}, "ul": {"style"}, "ol": {"style", "start"}, "li": {"style"},
    "div": {"style"}, "blockquote": {"style"}, "br": set(), "a": {"style", "href", "title"},
}  # fmt: skip
LIST_MARGIN = re.compile(r"^Margin: 0 0 0 \d+px")
OWN_STYLES = {
    attributes["style"]
    for _, attributes in Tags(
        render("# a\n\n## b\n\nc\n\n---\n\n* d\n\n1. e\n\n^ f\n\n[g](h)\n\n1. i").html_body
    ).tags
    if "style" in attributes
}


@given(
    st.sampled_from(
        [
            "((a))",
            "x ((a)) y",
            "# ((a))\n\n* ((a))\n\n^ ((a))",
            "[((a))](http://x.y)",
            "[x](((a)))",
            "[x](http://e.com/?q=((a)))",
            '[x](http://e.com "((a))")',
            "http://e.com/((a))",
            "[k]\n\n[k]: ((a))",
            "    ((a))",
        ]
    ),
    ANY_TEXT | MARKUP | st.lists(ANY_TEXT | MARKUP, max_size=3),
)
def test_no_value_becomes_markup(body: str, value: object) -> None:
    message = EmailTemplate("((a))", body).render({"a": value})
    for tag, attributes in Tags(message.html_body).tags:
        assert set(attributes) <= OWN_TAGS[tag]
        style = attributes.get("style")
        assert style is None or LIST_MARGIN.sub("Margin: 0 0 0 20px", style) in OWN_STYLES
        if tag == "a":
            assert urlsplit(str(attributes["href"])[:8]).scheme in {
                "http",
                "https",
                "ftp",
                "file",
                "mailto",
                "tel",
            }
    for escaped in (message.subject_html, message.preheader):
        assert "<" not in escaped
        assert ">" not in escaped


@given(ANY_TEXT | MARKUP, ANY_TEXT | MARKUP, VALUES | st.none(), st.none() | ANY_TEXT)
def test_any_template_and_values_render(
    subject: str, body: str, values: dict[str, object] | None, unsubscribe: str | None
) -> None:
    template = EmailTemplate(subject, body)
    message = template.render(values, unsubscribe)
    assert message.plain_text.endswith("\n")
    assert len(message.preheader) <= 256
    assert "\n" not in message.subject
    assert "\n" not in message.subject_html
    assert message.size_bytes >= 0
    assert template.missing(values) == [
        name for name in template.placeholders if name in set(template.missing(values))
    ]
    render_page(message, EmailBranding(text=subject, logo_url=body, banner=True))


PLACES = st.lists(
    st.sampled_from(
        [
            "((a))",
            " ((b)) ",
            "\n((a))",
            "* ((b))\n",
            "((c?? on ((a)) ))",
            "((c??on)) ",
            "[see ((a)) ",
            "](http://x.y)",
        ]
    )
    | st.sampled_from(
        ["Dear ", "word ", "1. ", "GOV", ".uk", " 's ", "&lt;", '"', "# ", "^ ", "\n\n", ", ", "."]
    ),
    max_size=12,
).map("".join)


@given(PLACES | MARKUP, VALUES)
def test_what_is_written_once_equals_what_is_written_in_full(body: str, values: dict[str, object]) -> None:
    template = EmailTemplate("", body)
    quick = template.render(values)
    full = template.render(values, in_full=True)
    assert quick.html_body == full.html_body
    assert quick.plain_text == full.plain_text
    assert quick.preheader == full.preheader


@pytest.mark.parametrize(
    ("values", "is_quick"),
    [
        ({"name": "Ms O'Neil", "day": "22 May 2026", "urgent": "yes"}, True),
        ({"name": "Élodie St. James", "day": 3, "urgent": False}, True),
        ({"name": "Ann", "day": 10**5000, "urgent": "no"}, True),
        ({"name": "Ann", "day": "5 - 6", "urgent": "no"}, False),
        ({"name": "[x](y)", "day": "May", "urgent": "no"}, False),
        ({"name": ["Ann"], "day": "May", "urgent": "no"}, False),
        ({"name": "Ann", "urgent": "no"}, False),
        ({"name": "", "day": "May", "urgent": "no"}, False),
    ],
)
def test_ordinary_values_take_the_quick_way(values: dict[str, object], is_quick: bool) -> None:
    template = EmailTemplate("", "Dear ((name)),\n\n* on ((day))\n* ((urgent??Hurry.))")
    quick = template.html.render(Personalisation(values).by_key(escape=True))
    assert (quick is not None) is is_quick
    assert template.render(values).html_body == template.render(values, in_full=True).html_body


def test_subjects() -> None:
    message = EmailTemplate(' "((n))"  & <i> \\" - gov.uk , ((l))\n', "").render(
        {"n": "<b>", "l": ["a", "b", "c"]}
    )
    assert message.subject == "“<b>” & <i> &#34; – gov.uk, a, b and c"
    assert message.subject_html == "“&lt;b&gt;” &amp; &lt;i&gt; &#34; – gov.uk, a, b and c"


def test_placeholders_and_missing_begin_with_the_subject() -> None:
    template = EmailTemplate("((c)) ((A))", "((b)) ((a))")
    assert template.placeholders == ("c", "A", "b")
    assert template.missing({"a": 1, "B": None}) == ["c", "b"]


def test_unsubscribe_link_is_in_both_parts_and_not_in_the_preheader() -> None:
    message = render("Hello", None, "https://e.com/u?x=1&y=2")
    assert message.html_body.endswith(
        'href="https://e.com/u?x=1&amp;y=2">Unsubscribe from these emails</a></p>'
    )
    assert message.plain_text.endswith("=\n\nUnsubscribe from these emails: https://e.com/u?x=1&y=2\n")
    assert message.preheader == "Hello"
    assert message.content == "Hello"


def test_unsubscribe_link_is_part_of_the_template() -> None:
    message = render("Hello", {"id": "7"}, "https://e.com/((id))")
    assert 'href="https://e.com/7"' in message.html_body
    assert message.plain_text.endswith("https://e.com/7\n")


def test_size_is_that_of_the_filled_in_content() -> None:
    assert render("((v))", {"v": "é" * (SIZE_LIMIT // 2)}).size_bytes == SIZE_LIMIT
    assert not render("((v))", {"v": "é" * (SIZE_LIMIT // 2)}).too_long
    assert render("((v))", {"v": "é" * (SIZE_LIMIT // 2) + "a"}).too_long
    assert render("\ud800").size_bytes == 3


def test_empty_messages() -> None:
    assert render("((v))", {"v": " "}).is_empty
    assert not render("a", {}).is_empty


def test_page_has_its_parts_in_order() -> None:
    message = EmailTemplate("A & B", "# Hello\n\nworld").render()
    branding = EmailBranding(logo_url="https://e.com/l.png", text="Dept", colour="#f00", alt_text="Not shown")
    page = render_page(message, branding, crown_url="https://e.com/crown.png")
    parts = [
        '<!DOCTYPE html>\n<html lang="en">', "<title>A &amp; B</title>", "Hello world…</span>", "#1d70b8",
        "https://www.gov.uk", "https://e.com/crown.png", 'border-left: 2px solid #f00;',
        '<img src="https://e.com/l.png" alt="" aria-hidden="true" height="27"', ">Dept</td>",
        message.html_body, "</html>",
    ]  # fmt: skip
    positions = [page.find(part) for part in parts]
    assert -1 not in positions
    assert positions == sorted(positions)
    # Once for Outlook, once for everyone else.
    assert page.count("https://e.com/crown.png") == 2


@pytest.mark.parametrize(
    ("branding", "present", "absent"),
    [
        (EmailBranding(), ["www.gov.uk"], ["<img"]),
        (EmailBranding(govuk_banner=False), [], ["www.gov.uk", 'brand__banner"']),
        (
            EmailBranding(govuk_banner=False, banner=True, text="Dept", colour="1234"),
            ['bgcolor="#0b0c0c"', 'height="53"', "font-weight: bold; color: #ffffff;"],
            ["<img", "1234"],
        ),
        (
            EmailBranding(govuk_banner=False, banner=True, logo_url="l", alt_text="Dept", colour="abc"),
            ['bgcolor="#abc"', 'alt="Dept"', 'height="54"'],
            ["border-left"],
        ),
        (
            EmailBranding(logo_url="l", alt_text="Dept"),
            ['alt="Dept"', 'height="54"'],
            ["border-left", "aria-hidden"],
        ),
    ],
)
def test_page_branding(branding: EmailBranding, present: list[str], absent: list[str]) -> None:
    page = render_page(render("a"), branding)
    assert [part for part in present if part not in page] == []
    assert [part for part in absent if part in page] == []


@pytest.mark.parametrize("banner", [False, True])
def test_page_escapes_branding(banner: bool) -> None:
    hostile = '"><script>alert(1)</script>'
    branding = EmailBranding(
        logo_url=hostile, text=hostile, colour='red;"><script>', alt_text=hostile, banner=banner
    )
    for page in (
        render_page(render("a"), branding, crown_url=hostile),
        render_page(render("a"), EmailBranding(logo_url="l", alt_text=hostile)),
    ):
        assert "<script" not in page


def test_page_without_the_document_around_it() -> None:
    page = render_page(render("a"), EmailBranding(), complete_html=False)
    assert "<html" not in page
    assert "</body>" not in page
    assert page.startswith("<span")


IMAGE = "![Map](https://example.org/map.png)"


@pytest.mark.parametrize(
    "body",
    [
        IMAGE,
        f"{IMAGE}\n\n{IMAGE}",
        "[key]: https://example.org/x",
        "[^1]: note",
        f"* {IMAGE}",
        "1. \u00a0",
        "^ \u00a0",
        "# \u00a0",
        "[\n\nabc]: http://x",
        "```py\n\n```",
        "&#8203;![a](b)",
    ],
)
@pytest.mark.parametrize("in_full", [False, True])
def test_a_body_that_would_show_nothing_is_sent_as_its_text(body: str, in_full: bool) -> None:
    message = EmailTemplate("", body).render(in_full=in_full)
    shown = html.unescape(body).translate({0x200B: None}).strip()
    read = Tags(message.html_body.replace("<br>", " ").replace("</p><p", "</p> <p"))
    assert " ".join(read.text.replace("\u200b", "").split()) == " ".join(shown.split())
    assert message.plain_text.translate({0x200B: None}).strip() == shown
    assert message.preheader.replace("\u200b", "").strip() == " ".join(shown.split())


def test_all_three_parts_of_an_email_are_its_text_or_none_is() -> None:
    # An angle bracket is no part of a definition in plain text, but is one, escaped, in HTML.
    message = render("[a]: http://x>y")
    assert Tags(message.html_body).text == "[a]: http://x>y"
    assert message.plain_text == "[a]: http://x>y\n"
    assert message.preheader == "[a]: http://x&gt;y"


@pytest.mark.parametrize(
    "body", ["---", f"text {IMAGE}", f"{IMAGE}\n\n---", "\u3164", " \u200b\n", "", "[a](b)"]
)
def test_a_body_that_shows_something_or_says_nothing_is_read_as_markdown(body: str) -> None:
    assert "!" not in render(body).html_body
    assert "---" not in render(body).plain_text


def test_a_gap_in_a_body_that_is_sent_as_its_text_looks_as_in_any() -> None:
    message = render("![((a))](b)")
    assert "![<span class='placeholder'>&#40;&#40;a&#41;&#41;</span>](b)" in message.html_body
    assert message.plain_text == "![<span class='placeholder'>((a))</span>](b)\n"


def inked(text: str) -> str:
    """Return a text without the white space that content.md §1.1 knows."""
    return "".join(text.split()).translate(dict.fromkeys(map(ord, ALL_WHITESPACE)))


@given(ANY_TEXT | MARKUP | PLACES)
def test_no_body_is_sent_empty(body: str) -> None:
    # Deleted before anything is read.
    said = html.unescape(body).translate({0x2028: None, 0x3164: None})
    written = render(body).html_body
    assert inked(re.sub("<[^>]*>", "", written)) or "<hr " in written or not inked(said)


@given(
    st.text("a&;=?#19xcopysectreg/.", max_size=40),
    st.sampled_from(["https://e.org/{}", "[x](https://e.org/{})"]),
)
def test_a_link_is_in_plain_text_as_it_was_written(query: str, wording: str) -> None:
    address = f"https://e.org/{query}z"
    assert render(wording.format(query + "z")).plain_text.endswith(f"{address}\n")
    assert render(wording.format("((q))"), {"q": query + "z"}).plain_text.endswith(f"{address}\n")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "Fish &copy chips &copy; &notaword; &#163;5 &#xA3 6",
            "Fish &copy chips \u00a9 &notaword; \u00a35 &#xA3 6",
        ),
        ("    a &copy b &reg; c", "a &copy b \u00ae c"),
        ("<div>&reg &reg;</div>", "<div>&reg \u00ae</div>"),
        ('[x](https://e.org/ "a &copy b")', "x (a &copy b): https://e.org/"),
        ("[https://e.org/?a&section=1&amp;b](https://e.org)", "https://e.org/?a&section=1&b: https://e.org"),
        ("<https://e.org/?a=1&reg;>", "https://e.org/?a=1&reg;"),
        ("https://e.org/?a=((b))&reg", "https://e.org/?a=<span class='placeholder'>((b))</span>&reg"),
    ],
)
def test_references_in_plain_text(body: str, expected: str) -> None:
    assert render(body).plain_text == f"{expected}\n"


def test_the_unsubscribe_link_keeps_its_parameters() -> None:
    text = render("Hello", None, "https://e.org/u?a=1&section=2").plain_text
    assert text.endswith("https://e.org/u?a=1&section=2\n")


@pytest.mark.parametrize("banner", [True, False])
def test_name_and_logo_lead_to_the_link(banner: bool) -> None:
    message = EmailTemplate("s", "b").render()
    branding = EmailBranding(
        govuk_banner=False,
        banner=banner,
        logo_url="https://e.com/l.png",
        text="A & B",
        link='https://e.com/?a=1&b="',
    )
    page = render_page(message, branding)
    link = '<a href="https://e.com/?a=1&amp;b=&quot;"'
    assert page.count(link) == 2
    assert re.search(re.escape(link) + r' style="[^"]*"><img src="https://e.com/l.png"', page)
    assert re.search(re.escape(link) + r' style="[^"]*">A &amp; B</a>', page)
    assert "<a " not in render_page(message, replace(branding, link=None))

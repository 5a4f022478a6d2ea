"""Emails and the page around them: content.md §4."""

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
    write_html,
    write_plain_text,
    write_preheader,
)
from notify_content.placeholders import Gaps, Lists, Personalisation

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
    "tr": set(), "td": {"style"}, "ul": {"style"}, "ol": {"style"}, "li": {"style"}, "div": {"style"},
    "blockquote": {"style"}, "br": set(), "a": {"style", "href", "title"},
}  # fmt: skip
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
        assert attributes.get("style") is None or attributes["style"] in OWN_STYLES
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
    for part, escape, write in (
        (template.html, True, write_html),
        (template.plain_text, False, write_plain_text),
        (template.preheader, True, write_preheader),
    ):
        quick = part.render(Personalisation(values).by_key(escape=escape))
        if quick is not None:
            filled_in = template.body.render(values, escape=escape, lists=Lists.BULLETS, gaps=Gaps.HTML)
            assert quick == write(filled_in)


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
    assert template.render(values).html_body == write_html(
        template.body.render(values, escape=True, lists=Lists.BULLETS, gaps=Gaps.HTML)
    )


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

"""On-screen previews of text messages: content.md §3.7."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notify_content.sms import SmsTemplate
from notify_content.sms_preview import auto_link

from .strategies import ANY_TEXT, MARKUP, VALUES

OWN_TAG = re.compile(
    r"<br>|</?p>|</a>|</div>|</span>|<p class=\"sms-message-(?:sender|recipient)\">"
    r"|<div class=\"sms-message-wrapper\" dir=\"auto\">"
    r"|<span class='placeholder(?:-conditional|-no-brackets|-redacted)?'>"
    r'|<a class="govuk-link govuk-link--no-visited-state" href="[\w.~:/?#@!$&()*+,;=%-]*">',
    re.ASCII,
)
ENTITY = re.compile(r"&(?:amp|lt|gt|nbsp|#4[01]);")

# The definition of a link as content.md §3.7 words it, of which the one in use is a linear form.
DEFINITION = re.compile(
    r"(?<![@.])\b([Hh][Tt][Tt][Pp][Ss]?://)?([\w-]+\.)+[A-Za-z]{2,63}\b(?!@)([/?#][^\s<]*)?"
)
HOSTS = st.lists(
    st.sampled_from(
        ["a", "ab", "com", "uk", "x" * 64, "1", "é", "ſ", "_", "-", ".", "..", "@", "/", "?", "#", "http://",
         "HTTPS://", "http", "s://", ":", ",", "(", ")", "[", "]", " ", "<br>", "&amp;", "example.com"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


def link(address: str, shown: str) -> str:
    return f'<a class="govuk-link govuk-link--no-visited-state" href="{address}">{shown}</a>'


def wrapped(inside: str) -> str:
    return f'<div class="sms-message-wrapper" dir="auto">{inside}</div>'


def assert_no_foreign_markup(html: str) -> None:
    text = OWN_TAG.sub("", html)
    assert "<" not in text
    assert ">" not in text
    assert "&" not in ENTITY.sub("", text)


@given(
    ANY_TEXT | MARKUP | HOSTS,
    VALUES | st.dictionaries(st.sampled_from(["a", "phone number"]), HOSTS | MARKUP) | st.none(),
    ANY_TEXT | MARKUP | st.none(),
    ANY_TEXT | MARKUP | st.none(),
    st.booleans(),
)
@example("((a))", {"a": "≮script≯alert(1)≮/script≯"}, "≮b≯", "≮i≯", True)
@example("((a)) ((<b>)) ((c??<i>))", {"a": '"><img src=x.com/"onerror=b>'}, "<b>", "<i>", True)
@example("e.com/?a=((a))", {"a": "\"'`&quot;&#34;><"}, None, None, False)
def test_no_text_becomes_markup(
    template: str, values: dict[str, object] | None, prefix: str | None, sender: str | None, downgrade: bool
) -> None:
    message = SmsTemplate(template)
    assert_no_foreign_markup(
        message.preview_html(values, prefix, sender=sender, show_recipient=True, downgrade=downgrade)
    )
    assert_no_foreign_markup(message.body_preview_html(values))


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("Hi ((name)) , bye", None, "Hi <span class='placeholder'>&#40;&#40;name&#41;&#41;</span>, bye"),
        ("((c??x))", {}, "<span class='placeholder-conditional'>&#40;&#40;c??</span>x&#41;&#41;"),
        ("((a))", {"a": ["x", "<y>", "z"]}, "x, &lt;y&gt; and z"),
        (" a\n\n\n\n b\u00a0 c \r\n", None, "a<br><br>b c"),
        ("‘ő’ Ж ŵ…", None, "'o' ? ŵ..."),
        ("≮b≯", None, "&lt;b&gt;"),
    ],
)
def test_preview(template: str, values: dict[str, object] | None, expected: str) -> None:
    assert SmsTemplate(template).preview_html(values) == wrapped(expected)


def test_prefix_sender_and_recipient() -> None:
    template = SmsTemplate("Hello")
    assert template.preview_html(prefix=" A & B ") == wrapped("A &amp; B: Hello")
    assert template.preview_html({"Phone Number": "<07>"}, sender="<GOV>", show_recipient=True) == (
        '<p class="sms-message-sender">From: &lt;GOV&gt;</p>'
        '<p class="sms-message-recipient">To: &lt;07&gt;</p>' + wrapped("Hello")
    )
    assert "To: <span class='placeholder-no-brackets'>phone number</span>" in template.preview_html(
        show_recipient=True
    )


def test_characters_are_shown_as_written_on_request() -> None:
    assert SmsTemplate("Ж “x”").preview_html(downgrade=False) == wrapped("Ж “x”")


def test_body_preview_hides_gaps_and_has_no_breaks_or_links() -> None:
    template = SmsTemplate(" ((a)) , “x”\n\n\n\ngov.uk <b> ((c??d)) ")
    hidden = "<span class='placeholder-redacted'>hidden</span>"
    assert template.body_preview_html() == f'{hidden}, "x"\n\ngov.uk &lt;b&gt; {hidden}'
    assert template.body_preview_html({"a": "<", "c": "no"}) == '&lt;, "x"\n\ngov.uk &lt;b&gt;'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see example.com.", f"see {link('http://example.com', 'example.com')}."),
        ("v2.io", link("http://v2.io", "v2.io")),
        ("HTTPS://A.GOV.UK/x", link("HTTPS://A.GOV.UK/x", "HTTPS://A.GOV.UK/x")),
        ("a-http://b.uk", f"a-{link('http://b.uk', 'http://b.uk')}"),
        ("(b.uk/a(1))", f"({link('http://b.uk/a(1)', 'b.uk/a(1)')})"),
        ("b.uk/]].,:)", f"{link('http://b.uk/', 'b.uk/')}]].,:)"),
        ("b.uk/[a](1)", link("http://b.uk/%5Ba%5D(1)", "b.uk/[a](1)")),
        ('b.uk?"a=&amp;<br>', link("http://b.uk?%22a=&amp;", 'b.uk?"a=&amp;') + "<br>"),
        ("été.fr", link("http://%C3%A9t%C3%A9.fr", "été.fr")),
        ("test@example.com", "test@example.com"),
        ("a.com@b", "a.com@b"),
        ("1.2.3 a.b .com x..com e.g. z.Of", f"1.2.3 a.b .com x..com e.g. {link('http://z.Of', 'z.Of')}"),
        ("a.com_ a.com1 a.comé a." + "x" * 64, "a.com_ a.com1 a.comé a." + "x" * 64),
        ("a.com.1", f"{link('http://a.com', 'a.com')}.1"),
    ],
)
def test_links(text: str, expected: str) -> None:
    assert auto_link(text) == expected


@given(HOSTS)
def test_links_are_those_of_the_definition(text: str) -> None:
    found = re.findall(r"<a [^>]*>([^<]*)</a>", auto_link(text))
    expected = [match[0] for match in DEFINITION.finditer(text)]
    assert len(found) == len(expected)
    assert all(full.startswith(shown) for full, shown in zip(expected, found, strict=True))
    assert re.sub(r"</?a\b[^>]*>", "", auto_link(text)) == text


@pytest.mark.parametrize(
    "unit",
    ["a-", "a.", ".a-", "http://", "http://a-", "a-http://", "@a-", "a.com/)", ")", "a.com ", "a-@.", "."],
)
def test_links_are_found_in_linear_time(unit: str) -> None:
    # Reading every part of these again and again would take days.
    for text in (unit * 500_000, "a.com/" + unit * 500_000):
        assert re.sub("<[^>]*>", "", auto_link(text)) == text


def test_a_mark_after_a_gap_is_not_composed_with_its_tag() -> None:
    # U+0338 after `>` is one letter, and so the end of a tag would be none.
    for text in ("((a))\u0338", "((a))\u0316\u0338", "((a??x))\u0338"):
        html = SmsTemplate(text).body_preview_html(None) + SmsTemplate(text).preview_html(None)
        assert "\u226f" not in html
        assert html.count("<span") == html.count("</span>")


def test_a_preview_shows_letters_composed() -> None:
    assert "Jos\u00e9" in SmsTemplate("Jose\u0301").preview_html()

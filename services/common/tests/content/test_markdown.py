"""The Markdown dialect and its outputs: content.md §5 and §6."""

import re
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_content.markdown_output import HtmlWriter, PlainTextWriter, PreheaderWriter, Writer, href

from .steps import count_steps
from .strategies import ANY_TEXT, MARKUP


def html(text: str) -> str:
    """Return the HTML with its styles taken out."""
    return re.sub(r' (?:style|role)="[^"]*"', "", HtmlWriter().write(text))


def plain(text: str) -> str:
    return PlainTextWriter().write(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title ##\ntext", "<h2>Title</h2><p>text</p>"),
        ("#no space", "<h2>no space</h2>"),
        ("#", "<p>#</p>"),
        ("##", "<h2>#</h2>"),
        ("# ", "<h2> </h2>"),
        ("####### seven", "<p># seven</p>"),
        ("a\n===-\nb", "<h3>a</h3><p>b</p>"),
        ("* a\n---", "<h3>* a</h3>"),
        ("a\n-", "<h3>a</h3>"),
        ("one\ntwo\n=", "<p>one</p><h2>two</h2>"),
    ],
)
def test_headings(text: str, expected: str) -> None:
    assert html(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---", "<hr>"),
        ("a\n***\nb", "<p>a</p><hr><p>b</p>"),
        ("a\n- - -\nb", "<p>a</p><hr><p>b</p>"),
        ("*_-", "<hr>"),
        ("   ---", "<hr>"),
        ("    ---", "---"),
        ("--", "<table><tr><td><ul><li>-</li></ul></td></tr></table>"),
    ],
)
def test_rules(text: str, expected: str) -> None:
    assert html(text) == expected


def ul(*items: str) -> str:
    return f"<table><tr><td><ul>{''.join(f'<li>{item}</li>' for item in items)}</ul></td></tr></table>"


def ol(*items: str, start: int = 1) -> str:
    number = "" if start == 1 else f' start="{start}"'
    inside = "".join(f"<li>{item}</li>" for item in items)
    return f"<table><tr><td><ol{number}>{inside}</ol></td></tr></table>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* a\n- b\n1. c", ul("a", "b", "c")),
        ("1. a\n* b", ol("a", "b")),
        ("2.5 m", "<p>2.5 m</p>"),
        ("14.30", "<p>14.30</p>"),
        ("31.12.2026", "<p>31.12.2026</p>"),
        ("1.First", ol("First")),
        ("1. Rope\n2.5 metres\n2. Tape", ol("Rope<br>2.5 metres", "Tape")),
        ("* a\n  2.5 m", ul("a<br> 2.5 m")),
        ("text\n2.5 m", "<p>text<br>2.5 m</p>"),
        ("text\n3. m", "<p>text</p>" + ol("m", start=3)),
        ("07900900123. Call us", "<p>07900900123. Call us</p>"),
        ("123456789. a", ol("a", start=123456789)),
        ("007. a\n1. b", ol("a", "b", start=7)),
        ("0. a", ol("a", start=0)),
        ("* a\n    3. b\n    9. c\n* d", ul("a" + ol("b", "c", start=3), "d")),
        ("3. a\n\n\n9. b", ol("a", start=3) + ol("b", start=9)),
        ("**Note**", ul(ul("Note**"))),
        ("•a\n•b", ul("a", "b")),
        ("+ a", "<p>+ a</p>"),
        ("text\n* a", "<p>text</p>" + ul("a")),
        ("text\n*a", "<p>text<br>*a</p>"),
        ("text\n• a", "<p>text<br>• a</p>"),
        ("text\n+ a", "<p>text</p><p>+ a</p>"),
        ("* a\nmore\n* b", ul("a<br>more", "b")),
        ("* a\n\n* b\n* c", ul("<p> a</p>", "<p> b</p>", "c")),
        ("* a\n\n\n* b", ul("a") + ul("b")),
        ("*a\n\n*b", ul("a") + ul("b")),
        ("* a\n    * b\n    * c\n* d", ul("a" + ul("b", "c"), "d")),
        ("  * a\n* b", ul("a" + ul("b"))),
        ("* a\n---\nb", "<h3>* a</h3><p>b</p>"),
        ("* a\n* b\n\n---\nb", ul("a", "b") + "<hr><p>b</p>"),
        ("* # a", ul("# a")),
        ("*", "<p>*</p>"),
        ("٣. a", "<p>٣. a</p>"),
        ("1.٣", "<p>1.٣</p>"),
        ("* " * 8 + "a", ul(ul(ul(ul(ul(ul(ul("* * a")))))))),
    ],
)
def test_lists(text: str, expected: str) -> None:
    assert html(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("^ a\nb\n\nc", "<div><blockquote><p>a<br>b</p></blockquote></div><p>c</p>"),
        ("^ a\n\n^ b", "<div><blockquote><p>a</p><p>b</p></blockquote></div>"),
        ("a\n^ b", "<p>a<br>^ b</p>"),
        ("a\n> b", "<p>a</p><p>&gt; b</p>"),
        ("    x\n     y\n\nz", "x\n y\n\n<p>z</p>"),
        ("```py\n* x\n```\nz", "* x<p>z</p>"),
        ("```\nx", "<p>```<br>x</p>"),
        ("~~~~\nx\n~~~", "x"),
        ("a | b\n--|--\nc | d\n\nz", "<p>a | b<br>c | d</p><p>z</p>"),
        ("| a |\n|---|\n| b |\nz", "<p>| a |<br>| b |</p><p>z</p>"),
        (" a | b  \n --|--\n 1 | 2", "<p> a | b<br> 1 | 2</p>"),
        ("^ | a |\n^ |---|\n^ | b |", "<div><blockquote><p>| a |<br>| b |</p></blockquote></div>"),
        ("a | [b](c) [^1]\n--|--\n\n[^1]: d", '<p>a | <a href="http://c">b</a> </p><p>d</p>'),
        ("\n\na", "<br><p>a</p>"),
        ("a[^1] b[^1]\n\n[^1]: note\n[^2]: unused", "<p>a b[^1]</p><p>note</p>"),
        ("a\u2424b", "<p>a<br>b</p>"),
        ("a   \n  b", "<p>a<br>  b</p>"),
        ("\u00a0", ""),
    ],
)
def test_other_blocks(text: str, expected: str) -> None:
    assert html(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](http://x.y)", '<p><a href="http://x.y">a</a></p>'),
        ("[a [b] c](x)", '<p><a href="http://x">a [b] c</a></p>'),
        ("[a](x) b](y)", '<p><a href="http://y">a](x) b</a></p>'),
        ("[](http://x.y)", '<p><a href="http://x.y">http://x.y</a></p>'),
        ("[a](x 'it\"s')", '<p><a href="http://x" title="it&quot;s">a</a></p>'),
        ('[a](x "t) b")', '<p><a href="http://x" title="t) b">a</a></p>'),
        (
            "[http://a.bc](x) http://a.bc",
            '<p><a href="http://x">http://a.bc</a> <a href="http://a.bc">http://a.bc</a></p>',
        ),
        ("[a] (x)", "<p>[a] (x)</p>"),
        ("![a](x)b", "<p>b</p>"),
        ("[A  b][]\n\n[a B]: http://x", '<p><a href="http://x">A  b</a></p>'),
        ("[k] ![k]\n\n[k]: http://x 'no'", "<p>[k] ![k]</p><p>[k]: http://x 'no'</p>"),
        (
            "(http://x.y/a_(b)). (http://x.y/a) http://x.y/(a",
            '<p>(<a href="http://x.y/a_(b)">http://x.y/a_(b)</a>). (<a href="http://x.y/a">http://x.y/a</a>) '
            '<a href="http://x.y/(a">http://x.y/(a</a></p>',
        ),
        ("[a](b(c)d)", '<p><a href="http://b(c)d">a</a></p>'),
        ("[a](b\\)c\\(d)", '<p><a href="http://b)c(d">a</a></p>'),
        ('[a](b(c) "t (u")', '<p><a href="http://b(c)" title="t (u">a</a></p>'),
        ('[a](b(c "t")d)', '<p><a href="http://b(c%20%22t%22)d">a</a></p>'),
        ("[a](b(c) [d](e)", '<p>[a](b(c) <a href="http://e">d</a></p>'),
        (f"[a](b{'(' * 32}{')' * 32})", f'<p><a href="http://b{"(" * 32}{")" * 32}">a</a></p>'),
        (f"[a](b{'(' * 33}{')' * 33})", f"<p>[a](b{'(' * 33}{')' * 33})</p>"),
        (
            "http://x. http://y.z/a) xhttps://z?;",
            '<p>http://x. <a href="http://y.z/a">http://y.z/a</a>) x<a href="https://z?;">https://z?;</a></p>',
        ),
        ("\\* \\a \\\\ \\[a](b)", "<p>* \\a \\ [a](b)</p>"),
        ("& &amp; &a_b; <", "<p>&amp; &amp; &amp;a_b; &lt;</p>"),
        ("**a** _b_ `c` ~~d~~", ul(ul("a** _b_ `c` ~~d~~"))),
    ],
)
def test_inline_constructs(text: str, expected: str) -> None:
    assert html(text) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("javascript:alert(1)", "http://javascript:alert(1)"),
        ("java\x07script:\x00a\x7f\x85", "http://javascript:a"),
        ("\x00https://a", "https://a"),
        ("https://a/%2B+~!$,;=@:*", "https://a/%2B+~!$,;=@:*"),
        ("https://a/|{}^`\\[] \u0175", "https://a/%7C%7B%7D%5E%60%5C%5B%5D%20%C5%B5"),
        ("https://a\"b'c<d>", "https://a%22b%27c%3Cd%3E"),
        ("MAILTO:help@e.com", "MAILTO:help@e.com"),
        ("tel:+44", "tel:+44"),
        ("www.e.com/%20é?a=1&amp;b;#c", "http://www.e.com/%20%C3%A9?a=1&amp;b;#c"),
        ("\ud800", "http://?"),
    ],
)
def test_addresses_are_safe_in_attributes(address: str, expected: str) -> None:
    assert href(address) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n\n## B\n\n### C", f"\n\n\nA\n{'=' * 65}\n\n\nB\n{'-' * 65}\n\nC"),
        ("---", "\n\n" + "=-" * 32 + "="),
        ("* a\n    1. b\n    2. c", "\n\n• a\n\n1. b\n2. c"),
        ('[a](x "t") http://y.z', "\n\na (t): x http://y.z"),
        ("24. a\n9. b", "\n\n24. a\n25. b"),
        # The decoding of references that follows gives back what was written.
        (
            "[a](x?b=1&copy=2&amp;c) http://y.z?&reg;",
            "\n\na: x?b=1&amp;copy=2&amp;amp;c http://y.z?&amp;reg;",
        ),
        ("[http://y.z?&reg;](x)", "\n\nhttp://y.z?&reg;: x"),
        ("a | b\n--|--\nc | d", "\n\na | b\nc | d"),
        ("<http://x.y> <a@b.c> <b>*a*</b>", "\n\nhttp://x.y a@b.c <b>*a*</b>"),
        ("<div>\na\n</div>\n\nb", "<div>\na\n</div>\n\nb"),
        ("<hr>\n\nb", "<hr>\n\n\n\nb"),
        ("<!-- * a -->\n\nb", "<!-- * a -->\n\n\n\nb"),
        ("a\n<div>", "\n\na<div>"),
        ("a\n<em>", "\n\na\n<em>"),
    ],
)
def test_plain_text(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_preheader_has_no_rules_underlines_or_addresses() -> None:
    text = '# A\n\n---\n\n* [b](x "t")'
    assert PreheaderWriter().write(text) == "\n\nA\n\n• b (t)"


def test_nesting_is_bounded() -> None:
    assert html("^" * 7 + "a").count("<blockquote>") == 7
    assert html("^" * 5000 + "a").count("<blockquote>") == 7
    assert plain("[" * 5000 + "a" + "](x)" * 5000).count(": x") > 1


@pytest.mark.parametrize("writer", [HtmlWriter, PlainTextWriter, PreheaderWriter])
@given(text=ANY_TEXT | MARKUP)
def test_any_text_is_read(writer: type[Writer], text: str) -> None:
    assert isinstance(writer().write(text), str)


HOSTILE = [
    "[", "]", "[[]", "[a](", "[a](b", "[a](<b", '[a](b "', "![", "[a\n", "[a]: b\n", "[^1]", "[^a]: b\n", "(",
    "<", "<b ", "<b a=", "<x-a=", '<b a="', "<div>\n", "<!--", "<!-- >", "</b>", "<a:", "*", "* ", "* a\n\n",
    "  * a\n", "*******a\n", "1.", "1. a\n", "- - ", "^", "^a\n\n", "#", "# ", "a\n=", "```\n", "```a\n", "~",
    "~~~\nx\n", "|", "a|b\n", "a|b\n-|-\n", "    a\n", " \n", "a  \n", "\n", " ", "http://", "\\", "&",
    "_", "`", ")", "()", "(a)", "[a](b(", "[a](b(c)", '[a](b(c "', "\\(", "http://a(", "http://a)b(c)", "http://)",
    "1.1.", "1\n", "12345678901.", "span class='placeholder'>&#40;&#40;", "http://a&#40;", "![", "![a](b)",
]  # fmt: skip


@pytest.mark.parametrize("before", ["", "[k]: u\n\n", "[^1]: x\n\n"])
@pytest.mark.parametrize("unit", HOSTILE)
def test_reading_is_linear(unit: str, before: str) -> None:
    def work(repeats: int) -> int:
        text = before + unit * repeats
        return count_steps(lambda: (HtmlWriter().write(text), PlainTextWriter().write(text)))

    assert work(400) <= 2.2 * work(200) + 500


def test_many_different_tags_are_linear() -> None:
    def work(repeats: int) -> int:
        text = "".join(f"<t{number}>" for number in range(repeats))
        return count_steps(lambda: PlainTextWriter().write(text))

    assert work(1000) <= 2.2 * work(500) + 500


@pytest.mark.parametrize(
    "definition", ["[k]: http://e.com/{}", '[k]: http://e.com "{}"', "[k]: http://e.com ({})"]
)
@pytest.mark.parametrize("writer", [HtmlWriter, PlainTextWriter, PreheaderWriter])
def test_references_to_one_long_address_or_title_do_not_multiply_it(
    writer: type[Writer], definition: str
) -> None:
    size = 200_000
    text = "[a][k]\n" * (size // 8) + "\n" + definition.format("b" * size)
    # No more than the text again, some markup for each reference and what is left of them in print.
    assert len(writer().write(text)) < 20 * len(text)


def test_references_of_a_text_of_ordinary_size_are_all_links() -> None:
    references = "[a][k] " * 500
    written = plain(f"{references}\n\n[k]: http://e.com/{'b' * 100}")
    assert written.count("http://e.com/") == 500


def test_numbers_that_are_wide_have_room() -> None:
    def margin(text: str) -> str:
        match = re.search(r"<ol style=\"Margin: 0 0 0 (\d+)px", HtmlWriter().write(text))
        assert match is not None
        return match[1]

    assert margin("98. a\n99. b") == "20"
    assert margin("98. a\n99. b\n100. c") == "31"
    assert margin("2026. a") == "42"
    assert margin("999999999. a\n* b") == str(20 + 11 * 8)


@given(st.integers(0, 10**9 - 1), st.integers(1, 5))
def test_a_list_goes_up_from_its_first_number(start: int, items: int) -> None:
    text = f"{start}. a\n" + "1. a\n" * (items - 1)
    assert plain(text) == "\n" + "".join(f"\n{number}. a" for number in range(start, start + items))


@given(
    st.from_regex(r"[0-9]{1,12}[.:][0-9]{1,4}(?:[.:][0-9]{2,4}){0,2}", fullmatch=True),
    st.sampled_from(["", "am", " km"]),
)
def test_times_dates_and_measures_stay_as_written(number: str, unit: str) -> None:
    for text in (f"{number}{unit}", f"At\n{number}{unit}"):
        assert plain(text) == f"\n\n{text}"


@given(st.lists(st.sampled_from(["(", ")", "a"]), max_size=12).map("".join))
def test_a_link_ends_at_the_bracket_that_closes_none_of_its_address(address: str) -> None:
    depth = lowest = 0
    for character in address:
        depth += {"(": 1, ")": -1}.get(character, 0)
        lowest = min(lowest, depth)
    written = html(f"[x](https://e.org/{address})")
    if depth == lowest == 0:
        assert written == f'<p><a href="https://e.org/{address}">x</a></p>'
    elif lowest == 0:
        assert written.startswith("<p>[x](<a")
    else:
        assert not written.startswith(f'<p><a href="https://e.org/{address}"')


ADDRESS_CHARACTERS = "aZ09-_.~:/?#@!$&()*+,;=%"


@given(st.text(ADDRESS_CHARACTERS, max_size=30))
def test_what_an_address_may_hold_stays_as_written(address: str) -> None:
    assert href(f"https://{address}") == f"https://{address}"
    assert href(href(f"https://{address}")) == href(f"https://{address}")


@given(ANY_TEXT)
def test_nothing_ends_an_attribute_or_controls_it(address: str) -> None:
    assert set(href(address)) <= set(ascii_letters + digits + ADDRESS_CHARACTERS)

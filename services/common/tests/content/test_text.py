"""Text building blocks: content.md §1."""

import html
import re
import sys
import unicodedata
from html.entities import html5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_content.text import (
    DASHES,
    UNICODE_SPACES,
    clean_cell,
    clean_number,
    compose,
    decode_entities,
    escape_html,
    insensitive_key,
    is_true,
    limit_blank_lines,
    normalise_lines,
    normalise_whitespace,
    remove_all_whitespace,
    sentence_list,
    strip_all,
    strip_obscure,
    text_of,
    tidy_punctuation,
    unlink_govuk,
)
from notify_content.typography import smart_quotes, typography

from .strategies import ANY_TEXT, MARKUP


def test_whitespace_operations() -> None:
    assert normalise_whitespace(" a\u00a0b\u200b \t c\u3000d\n") == "a b cd".replace("cd", "c d")
    assert normalise_lines("a \u2028 b\r\nc\u200bd\n") == "a\nb\ncd"
    assert strip_obscure("\t A\u00a0d\u200ba \n") == "Ada"
    assert remove_all_whitespace(" a\u00a0b\u2060c\x0b\u3000") == "abc\u3000"
    assert strip_all("\u200b a, \u00a0.", ".,") == "a"
    assert limit_blank_lines("a\n\n\n\nb\n\nc") == "a\n\nb\n\nc"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello , there \t. And ; this : ok ?", "Hello, there. And ; this : ok ?"),
        (". . .", "..."),
        ("a\u00a0, b\n. c", "a\u00a0, b\n. c"),
        ("a\t.b\t,c", "a.b,c"),
    ],
)
def test_tidy_punctuation(text: str, expected: str) -> None:
    assert tidy_punctuation(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>\"q\" & 's'</b>", "&lt;b&gt;\"q\" &amp; 's'&lt;/b&gt;"),
        ("&lt; &amp;lt; &quot; &copy &#160; &nbsp;", '&lt; &amp;lt; " &amp;copy \u00a0 &nbsp;'),
        ("&notaword; &wibble; &#38;amp;", "¬aword; &amp;wibble; &amp;amp;"),
        ("&#0; &#x110000; &#128; &#xD800; &#1;", "\ufffd \ufffd € \ufffd "),
        (f"&#{'9' * 5000}; &#x{'f' * 5000};", "\ufffd \ufffd"),
        (f"&#{'0' * 5000}65; &#x{'0' * 5000};", "A \ufffd"),
        ("", ""),
    ],
)
def test_escape_html(text: str, expected: str) -> None:
    assert escape_html(text) == expected


@given(ANY_TEXT | MARKUP)
def test_escaped_text_holds_no_markup(text: str) -> None:
    escaped = escape_html(text)
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;|nbsp;)", escaped)
    assert escape_html(escaped.replace("&nbsp;", "")) == escaped.replace("&nbsp;", "")


@given(st.lists(st.sampled_from(["&", "#", "x", "a", "mp", "lt", "copy", "1", "65", ";", " "])).map("".join))
def test_only_references_with_a_semicolon_are_decoded(text: str) -> None:
    def decoded(match: re.Match[str]) -> str:
        return html.unescape(match[0]) if match[1] or match[2] in html5 else match[0]

    assert decode_entities(text) == re.sub("&(?:(#[0-9]+;|#[xX][0-9a-fA-F]+;)|(\\w+;))", decoded, text)


@pytest.mark.parametrize(
    "text", ["?a=1&section=8&copy=2&timestamp=5", "&copy &#65 &#x41 &amp", "&notaword; &wibble; &;", "&Copy;"]
)
def test_what_only_begins_like_a_reference_stays(text: str) -> None:
    assert decode_entities(text) == text


def test_decoding_a_number_beyond_any_integer() -> None:
    assert decode_entities(f"&#{'9' * 5000}; &#x{'f' * 5000};") == "\ufffd \ufffd"


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("GOV.UK", True),
        ("on gov.uk.", True),
        ("a\n#GOV.UK", True),
        ("^Gov.Uk", True),
        ("gov.uk.com", True),
        ("(GOV.UK)", False),
        ("www.gov.uk", False),
        ('"GOV.UK"', False),
        ("gov.uk/bins", False),
        ("##GOV.UK", False),
        ("GOV.UK?x", False),
        ("GOV.UK#y", False),
    ],
)
def test_unlinking_the_brand(text: str, changed: bool) -> None:
    marked = re.sub(r"(?i)gov\.uk", lambda found: found[0].replace(".", ".\u200b"), text)
    assert unlink_govuk(text) == (marked if changed else text)


def test_sentence_lists() -> None:
    assert [sentence_list(items) for items in (["a"], ["a", "b"], ["a", "b", "c"])] == [
        "a",
        "a and b",
        "a, b and c",
    ]


def test_insensitive_keys() -> None:
    assert len({insensitive_key(key) for key in ("First Name", "first_name", "FIRST-NAME", "firstname")}) == 1
    assert insensitive_key("a\tb") != insensitive_key("ab")
    assert insensitive_key("É.") == "é."
    assert insensitive_key("pre\u0301nom") == insensitive_key("PR\u00c9NOM") == "pr\u00e9nom"
    assert insensitive_key("\u00a0first\u2003\u3000name\u202f") == "firstname"
    assert insensitive_key("first\u2010name") != "firstname"
    assert insensitive_key("first\u200bname") != "firstname"
    assert insensitive_key(None) is None


def test_truth_is_not_trimmed() -> None:
    assert all(map(is_true, ("yes", "Y", "TRUE", "t", "1", "Include", "show")))
    assert not any(map(is_true, ("yes ", " yes", "on", "2", "1.0", "", "no")))


def test_values_as_text() -> None:
    assert [text_of(value) for value in (True, 12, 2.5, 5.0)] == ["True", "12", "2.5", "5.0"]
    assert text_of(10**5000) == "1" + "0" * 5000
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert isinstance(text_of(deep), str)
    assert isinstance(text_of({"a": [10**5000]}), str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "She said \"hello\" and 'goodbye'. It's the '90s",
            "She said “hello” and ‘goodbye’. It’s the ‘90s",
        ),
        ("6' 2\" tall", "6’ 2” tall"),
        ("\" and ' alone", "” and ‘ alone"),
        ("\"'Nested' quote\"", "“‘Nested’ quote”"),
        ("a''b", "a’‘b"),
        ("it''s", "it’’s"),
        ("rock'80s", "rock’80s"),
        ('\\"a\\" \\\\ \\- \\`', "&#34;a&#34; &#92; &#45; &#96;"),
        ("<b>a</b>'<i>b</i> '", "<b>a</b>’<i>b</i> ‘"),
        ("<a href='x'>it's</a> it's <abbr>it's</abbr>", "<a href='x'>it's</a> it’s <abbr>it's</abbr>"),
        ("<code>'<b>'</b></code>'", "<code>'<b>'</b></code>’"),
        ("<!-- it's -->'", "<!-- it's -->‘"),
        ("<!-- a -- it's -->x", "<!-- a -- it’s -->x"),
        ("a < it's", "a < it’s"),
        ("&#8211;&#8230;", "–…"),
    ],
)
def test_smart_quotes(text: str, expected: str) -> None:
    assert smart_quotes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mon - Fri, 9 -- 5, 1 --- 2", "Mon – Fri, 9 – 5, 1 – 2"),
        ("a ---- b e-f g- h i -j", "a ---- b e-f g- h i -j"),
        ("one -\n\n two", "one – two"),
        ("- a", "- a"),
        ("pat.o'brien@example.com d'arcy@example.com", "pat.o'brien@example.com d’arcy@example.com"),
        ("o'b@e.com  d'a@e.com", "o'b@e.com  d'a@e.com"),
        ("Wait ... and . . . wait", "Wait... and... wait"),
    ],
)
def test_typography(text: str, expected: str) -> None:
    assert typography(text) == expected


@given(ANY_TEXT | MARKUP)
def test_typography_takes_any_text(text: str) -> None:
    assert isinstance(typography(text), str)


def test_character_classes_are_those_of_unicode() -> None:
    by_category: dict[str, set[str]] = {"Zs": set(), "Pd": set()}
    for character in map(chr, range(sys.maxunicode + 1)):
        by_category.setdefault(unicodedata.category(character), set()).add(character)
    assert set(UNICODE_SPACES) == by_category["Zs"]
    # A younger Unicode than Python's may have more.
    assert by_category["Pd"] | {"\u2212"} <= set(DASHES)


def test_numbers_are_cleaned_of_what_nobody_sees() -> None:
    assert clean_number("\u202d+44\u00a07400\u2009123\u2010456\ufe0f\u202c") == "+44 7400 123-456"
    assert clean_number("\n\t\uff0b\u0664") == "\n\t\uff0b\u0664"


def test_a_cell_keeps_its_spaces() -> None:
    assert clean_cell("\u00a0 Ana\u00a0Maria\u202fS\u200bol \n") == "Ana Maria Sol"


MARKS = st.text("e\u0301\u0316\u0338\u0344\u0f73\u0f71\u00e9>", max_size=300)


@given(MARKS | ANY_TEXT)
def test_composing_is_normalization_form_c(text: str) -> None:
    assert compose(text) == unicodedata.normalize("NFC", text)


@given(ANY_TEXT)
def test_a_key_is_one_in_every_normalization_form(text: str) -> None:
    assert insensitive_key(unicodedata.normalize("NFD", text)) == insensitive_key(text)
    assert insensitive_key(insensitive_key(text)) == insensitive_key(text)


def test_a_long_run_of_marks_is_sorted_before_it_is_composed() -> None:
    # In quadratic time this would take minutes.
    half = 500_000
    assert compose("e" + "\u0301\u0316" * half) == "\u00e9" + "\u0316" * half + "\u0301" * (half - 1)

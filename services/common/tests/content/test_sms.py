"""Text messages: content.md §3. The parts are counted a second time here from the GSM 03.38 tables."""

import unicodedata
from math import ceil

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from notify_content import charsets
from notify_content.sms import CHARACTER_LIMIT, SmsTemplate
from notify_content.text import limit_blank_lines, normalise_lines, tidy_punctuation

from .steps import count_steps
from .strategies import ANY_TEXT, MARKUP, VALUES

# 3GPP TS 23.038, the default alphabet in code order, and its extension table.
DEFAULT_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ\u00a7¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION_TABLE = {
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}


def parts_on_the_air(content: str) -> int:
    """Count the parts of a message by its encoded size: septets when GSM has every character, else UCS-2."""
    septets = bytearray()
    for character in content:
        if character in EXTENSION_TABLE:
            septets += bytes((0x1B, EXTENSION_TABLE[character]))
        elif character in DEFAULT_ALPHABET:
            septets.append(DEFAULT_ALPHABET.index(character))
        else:
            size = len(content.encode("utf-16-be")) // 2
            return 1 if size <= 70 else ceil(size / 67)
    return 1 if len(septets) <= 160 else ceil(len(septets) / 153)


def test_the_tables_are_the_standard_ones() -> None:
    assert len(DEFAULT_ALPHABET) == 128
    assert frozenset(DEFAULT_ALPHABET) == charsets.GSM_BASIC
    assert frozenset(EXTENSION_TABLE) == charsets.GSM_EXTENSION


CHARACTERS = st.one_of(
    st.sampled_from(DEFAULT_ALPHABET),
    st.sampled_from(sorted(EXTENSION_TABLE)),
    st.sampled_from(sorted(charsets.WELSH)),
    st.sampled_from("–—“”‘’…\u00a0\u200b\u2028\t🎉Ж漢"),
    st.characters(exclude_categories=()),
)


@given(
    st.lists(st.tuples(CHARACTERS, st.integers(1, 60)), max_size=12),
    st.sampled_from([None, "", "Dept", "  Cyngor Tŷ ", "St Mary’s [x]"]),
)
def test_parts_agree_with_an_independent_count(pieces: list[tuple[str, int]], prefix: str | None) -> None:
    message = SmsTemplate("((v))").render({"v": "".join(one * times for one, times in pieces)}, prefix)
    # A stacked letter such as ế is sent as a Welsh letter that, by the rules, does not count as one (§3.3).
    lost = set(message.unsanitised_content) - charsets.SMS.kept
    assume(charsets.WELSH_NON_GSM.isdisjoint(charsets.SMS.downgrade("".join(lost))))
    assert message.fragment_count == parts_on_the_air(message.content)
    assert message.is_unicode == (not set(message.content) <= set(DEFAULT_ALPHABET) | set(EXTENSION_TABLE))
    assert message.character_count == len(message.content.encode("utf-16-be")) // 2


@given(ANY_TEXT | MARKUP, VALUES | st.none(), ANY_TEXT | st.none())
def test_any_template_values_and_prefix_render(
    template: str, values: dict[str, object] | None, prefix: str | None
) -> None:
    message = SmsTemplate(template).render(values, prefix)
    assert set(message.content) <= charsets.SMS.kept | {"?"}
    assert message.fragment_count >= 1
    assert message.character_count_without_prefix >= 0
    assert message.is_empty == (message.character_count_without_prefix == 0)


WORDS = st.text(st.sampled_from("ab£é@?!., \n\u00a0ŷ€’\t"), max_size=30)


@given(WORDS, st.sampled_from(["", "Dept", " D  x", "Tŷ"]))
def test_the_short_way_gives_what_every_step_gives(text: str, prefix: str) -> None:
    before = f"{prefix.strip()}: " if prefix else ""
    expected = limit_blank_lines(normalise_lines(tidy_punctuation(before + text))).strip()
    message = SmsTemplate("((v))").render({"v": text}, prefix)
    assert message.unsanitised_content == expected
    assert message.content == charsets.SMS.downgrade(expected)
    assert message.extended_character_count == sum(expected.count(one) for one in charsets.GSM_EXTENSION)
    assert message.is_unicode == any(one in charsets.WELSH_NON_GSM for one in expected)
    prefix_length = len(charsets.SMS.downgrade(prefix)) + 2 if prefix else 0
    assert message.character_count_without_prefix == max(0, len(message.content) - prefix_length)


@pytest.mark.parametrize(
    ("characters", "fragments", "past"),
    [
        ("a" * 160, 1, 160),
        ("a" * 161, 2, 1),
        ("a" * 306, 2, 146),
        ("a" * 307, 3, 1),
        ("€" * 80, 1, 160),
        ("€" * 81, 2, 2),
        ("ŵ" * 70, 1, 70),
        ("ŵ" * 71, 2, 1),
        ("ŵ" * 135, 3, 1),
        ("", 1, 0),
    ],
)
def test_fragment_boundaries(characters: str, fragments: int, past: int) -> None:
    message = SmsTemplate(characters).render()
    assert (message.fragment_count, message.characters_past_boundary) == (fragments, past)


def test_the_limit_counts_characters_without_the_prefix() -> None:
    template = SmsTemplate("((v))")
    assert not template.render({"v": "€" * CHARACTER_LIMIT}, "Dept").too_long
    over = template.render({"v": "a" * (CHARACTER_LIMIT + 3)}, "Dept")
    assert (over.too_long, over.characters_over_limit) == (True, 3)


def test_gaps_cost_nothing_without_values() -> None:
    template = SmsTemplate("Hi ((name)), ((c?? x))\ue000 bye ((z))")
    message = template.render(None, "((x))")
    assert message.unsanitised_content == "((x)): Hi , \ue000 bye "
    assert template.render({}, None).content == "Hi , ? bye "


def test_stacked_letters_are_sent_but_not_counted_as_unicode() -> None:
    message = SmsTemplate("Tiếng Việt").render()
    assert (message.content, message.is_unicode) == ("Tiêng Vi?t", False)


def test_code_points_beyond_the_basic_plane_are_unencodable() -> None:
    # U+1D15E is composed of two code points beyond U+FFFF, and stays so in every normalization form.
    message = SmsTemplate("\U0001d15e\ud800\U0010ffff").render()
    assert message.content == "????"
    assert message.unencodable_characters == ["\ud800", "\U0001d157", "\U0001d165", "\U0010ffff"]


@given(ANY_TEXT, st.none() | ANY_TEXT)
def test_a_text_is_the_same_in_every_normalization_form(text: str, prefix: str | None) -> None:
    composed = SmsTemplate("((a))").render({"a": unicodedata.normalize("NFC", text)}, prefix)
    decomposed = SmsTemplate("((a))").render({"a": unicodedata.normalize("NFD", text)}, prefix)
    assert decomposed == composed


def test_letters_that_a_system_decomposed_are_sent_whole() -> None:
    message = SmsTemplate("Jose\u0301, ty\u0302 bach").render(None, "Ynys Mo\u0302n")
    assert message.content == "Ynys M\u00f4n: Jos\u00e9, t\u0177 bach"
    assert message.character_count_without_prefix == len("Jos\u00e9, t\u0177 bach")
    assert message.is_unicode


def test_ascii_fold() -> None:
    assert charsets.ascii_fold("Åland – “Côte d’Ivoire”\u00a0ł") == 'Aland - "Cote d\'Ivoire" l'


@pytest.mark.parametrize("unit", [" ,", " ", "\n", "a\n\n\n", "\u200b", "ŷ", "🎉", "a ", "((a)) ", "€"])
def test_rendering_is_linear(unit: str) -> None:
    def work(repeats: int) -> int:
        template = SmsTemplate(unit * repeats)
        return count_steps(lambda: (template.render({"a": unit}, "P"), template.render(None, "P")))

    work(2000)  # what is only loaded when it is first needed
    assert work(2000) <= 2 * work(1000) + 100

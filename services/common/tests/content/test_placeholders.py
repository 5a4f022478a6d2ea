"""Placeholders and personalisation: content.md §2."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_content.placeholders import (
    Gaps,
    Lists,
    Personalisation,
    compile_content,
    filled_in,
    is_empty_message,
    unique_names,
)
from notify_content.text import insensitive_key

from .steps import count_steps
from .strategies import ANY_TEXT, MARKUP, VALUES


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        (Gaps.PLAIN, "((a)) ((c??text))"),
        (Gaps.PLAIN_REDACTED, "[hidden] [hidden]"),
        (
            Gaps.HTML,
            "<span class='placeholder'>&#40;&#40;a&#41;&#41;</span> "
            "<span class='placeholder-conditional'>&#40;&#40;c??</span>text&#41;&#41;",
        ),
        (
            Gaps.HTML_NO_BRACKETS,
            "<span class='placeholder-no-brackets'>a</span> "
            "<span class='placeholder-conditional'>&#40;&#40;c??</span>text&#41;&#41;",
        ),
        (
            Gaps.HTML_REDACTED,
            "<span class='placeholder-redacted'>hidden</span> "
            "<span class='placeholder-redacted'>hidden</span>",
        ),
    ],
)
def test_gaps(gaps: Gaps, expected: str) -> None:
    content = compile_content("((a)) ((c??text))")
    for values in (None, {}, {"other": 1}, {"a": None, "C": None}):
        assert content.render(values, gaps=gaps) == expected


def test_names_keep_their_first_spelling_and_order() -> None:
    assert compile_content("((b_B)) ((a)) ((B b??x)) ((A))").placeholders == ("b_B", "a")
    assert unique_names(["First Name", "x", "first_name"]) == ("First Name", "x")


def test_later_key_wins_even_when_null() -> None:
    content = compile_content("((my key))")
    assert content.render({"my_key": "1", "My Key": "2"}) == "2"
    assert content.missing({"my_key": "1", "My Key": None}) == ["my key"]


def test_additional_keys_in_order_supplied() -> None:
    assert compile_content("((a))").additional({"z": 1, "A": 2, "y y": 3, "Y_Y": 4}) == ["z", "y y"]


def test_values_are_not_expanded_or_interpreted() -> None:
    content = compile_content("((a)) ((b))")
    assert content.render({"a": "((b)) \\1 \\g<0> $1", "b": "B"}) == "((b)) \\1 \\g<0> $1 B"


@pytest.mark.parametrize("lists", Lists)
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (["yes"], "[x]"),
        ([None, "", "\u200b", "Yes"], "[x]"),
        ([True], "[x]"),
        (("yes",), "[x]"),
        (["yes", "yes"], "[]"),
        (["no"], "[]"),
        ([], "[]"),
        ([None], "[]"),
    ],
)
def test_a_list_in_a_condition_counts_as_its_sentence(lists: Lists, value: object, shown: str) -> None:
    content = compile_content("[((f??x))]")
    for escape in (False, True):
        assert content.render({"f": value}, escape=escape, lists=lists) == shown
    assert content.length({"f": value}) == len(shown)


def test_keys_of_another_normalization_form_or_space_are_found() -> None:
    content = compile_content("((pr\u00e9nom)) ((first\u00a0name))")
    values = {"pre\u0301nom": "Zo\u00eb", "First Name": "Ann"}
    assert content.render(values) == "Zo\u00eb Ann"
    assert (content.missing(values), content.additional(values)) == ([], [])


def test_decoded_brackets_are_placeholders_in_escape_mode_only() -> None:
    content = compile_content("&#40;&#40;a&#41;&#41;")
    assert content.placeholders == ()
    assert content.render({"a": "v"}) == "&#40;&#40;a&#41;&#41;"
    assert content.render({"a": "v"}, escape=True) == "v"


def test_filled_in_form() -> None:
    body = compile_content(" ((a)) ((gap))\u00a0")
    assert filled_in(body, {"a": ["x", "<y>"]}) == (
        "* x\n* <y> <span class='placeholder'>&#40;&#40;gap&#41;&#41;</span>"
    )


@pytest.mark.parametrize(
    ("body", "values", "empty"),
    [
        ("", None, True),
        ("((a))", {"a": " \n"}, True),
        ("((a??x))((b))", {"a": "no", "b": []}, True),
        ("((a))", None, False),
        ("((a))", {"a": "x"}, False),
        (" ", None, False),
        (" ((a))", {"a": ""}, False),
    ],
)
def test_empty_messages(body: str, values: dict[str, object] | None, empty: bool) -> None:
    assert is_empty_message(compile_content(body), values) is empty


@given(ANY_TEXT | MARKUP, VALUES | st.none(), st.sampled_from(Lists), st.sampled_from(Gaps))
def test_any_content_and_values_render(
    content: str, values: dict[str, object] | None, lists: Lists, gaps: Gaps
) -> None:
    compiled = compile_content(content)
    for escape in (False, True):
        assert isinstance(compiled.render(values, escape=escape, lists=lists, gaps=gaps), str)
    assert set(compiled.missing(values)) <= set(compiled.placeholders)


@given(ANY_TEXT | MARKUP)
def test_without_values_plain_gaps_read_as_written(content: str) -> None:
    assert compile_content(content).render(None, gaps=Gaps.PLAIN) == content


@given(MARKUP, VALUES)
def test_values_prepared_once_render_the_same(content: str, values: dict[str, object]) -> None:
    compiled = compile_content(content)
    prepared = Personalisation(values)
    for escape in (False, True):
        assert compiled.render(prepared, escape=escape) == compiled.render(values, escape=escape)


@given(ANY_TEXT | MARKUP)
def test_escape_mode_escapes_template_and_value(value: str) -> None:
    rendered = compile_content("<b> ((a)) ((c??<i>))").render({"a": value, "c": "yes"}, escape=True)
    assert "<" not in rendered
    assert ">" not in rendered


@pytest.mark.parametrize("unit", ["(", "((", "((a", "((a(", "((a??", "))", "((a)) ", "((a??b)) "])
def test_compiling_and_rendering_are_linear(unit: str) -> None:
    def work(repeats: int) -> int:
        return count_steps(lambda: compile_content(unit * repeats).render({"b": 1}, escape=True))

    assert work(2000) <= 2 * work(1000) + 50


@given(
    st.lists(st.sampled_from(["((a))", "((b??shown))", "((c))", " text ", "(("])),
    st.text(),
    st.sampled_from(["yes", "no"]),
)
def test_length_is_that_of_the_rendered_text(pieces: list[str], value: str, condition: str) -> None:
    compiled = compile_content("".join(pieces))
    values = {"a": value, "b": condition, "c": ["x", value, None]}
    assert compiled.length(values) == len(compiled.render(values, lists=Lists.BULLETS))


def test_length_of_a_value_repeated_without_bound_is_counted_not_made() -> None:
    tracemalloc.start()
    try:
        assert compile_content("((a))" * 10_000).length({"a": "x" * 2_000_000}) == 20_000_000_000
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@given(st.dictionaries(ANY_TEXT | MARKUP, st.none() | ANY_TEXT))
def test_names_that_are_column_keys_already_need_not_be_read_again(values: dict[str, str | None]) -> None:
    by_column = {insensitive_key(name): value for name, value in values.items()}
    quick, full = Personalisation.by_column(by_column), Personalisation(values)
    assert bool(quick) is bool(full)
    assert quick.values == full.values == Personalisation(by_column).values
    assert quick.by_key(escape=True) == Personalisation(by_column).by_key(escape=True)
    assert list(quick.names()) == list(by_column)

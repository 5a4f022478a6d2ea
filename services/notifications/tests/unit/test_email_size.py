"""Whether an email fits: bounds that need no writing, held against what is written."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from notify_content.emails import EmailTemplate
from notify_content.markdown_output import HtmlWriter, shows_nothing
from notify_notifications.domain import email_size

MARKDOWN = st.lists(
    st.sampled_from(
        [
            *("a", "word ", "\n", "\n\n", "* ", "1. ", "# ", "^ ", "---\n", "> ", "&", "<", '"', "'", ">"),
            *("https://a.gov.uk/?x=1&y=2 ", "[a](https://b.gov.uk)", "[a]: https://c.gov.uk", "x@y.gov.uk "),
            *("**", "_", "`", "\t", "    ", "\\", "| a | b |\n", "http://", "[", "]", "(", "é", "语"),
        ]
    ),
    max_size=60,
).map("".join)  # fmt: skip


def written(text: str) -> int:
    message = EmailTemplate("", "((text))").render({"text": text})
    return len(message.plain_text.encode()) + len(message.html_body.encode())


@given(MARKDOWN)
def test_what_is_written_is_within_the_bounds(text: str) -> None:
    assert email_size.least(text) <= written(text) <= email_size.most(text)


@given(MARKDOWN, st.integers(0, 30_000))
def test_what_is_above_the_limit_is_found(text: str, limit: int) -> None:
    # Markdown that shows nothing is sent as it was typed, but may be refused for what it would have been
    assume(not shows_nothing(text, HtmlWriter().write(text)))
    message = EmailTemplate("", "((text))").render({"text": text})
    above = email_size.size_above(message, limit)
    assert bool(above) == (written(text) > limit)
    assert above == 0 or limit < above <= written(text)


@pytest.mark.parametrize("text", ["prose " * 330_000, "a\n\n" * 100_000], ids=["fits", "never fits"])
def test_what_is_clear_is_not_written(text: str) -> None:
    message = EmailTemplate("", "((text))").render({"text": text})
    assert bool(email_size.size_above(message, 4_000_000)) == text.startswith("a")
    assert {"html_body", "plain_text"}.isdisjoint(vars(message)), "it was written all the same"


HOSTILE = [
    *("<", ">", "&", "[a](b)", "https://a.b ", "[a](https://b.gov.uk)"),
    *("\n* a", "\n1. a", "* <", "# [a](b)\n"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_more_is_written_than_may_be_sent(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 100_000
    text = piece * (limit // len(piece))
    message = EmailTemplate("", "((text))").render({"text": text})
    written = 0
    write = HtmlWriter._text

    def counted(writer: HtmlWriter, text: str) -> str:
        nonlocal written
        one = write(writer, text)
        written += len(one)
        return one

    monkeypatch.setattr(HtmlWriter, "_text", counted)
    assert email_size.size_above(message, limit) > limit
    assert "html_body" not in vars(message)
    assert written <= limit + len(text)

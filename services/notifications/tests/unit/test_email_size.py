"""Whether an email fits: bounds that need no writing, held against what is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_content.emails import EmailTemplate
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
    message = EmailTemplate("", "((text))").render({"text": text})
    above = email_size.size_above(message, limit)
    assert bool(above) == (written(text) > limit)
    assert above == 0 or limit < above <= written(text)


@pytest.mark.parametrize("text", ["prose " * 330_000, "a\n\n" * 100_000], ids=["fits", "never fits"])
def test_what_is_clear_is_not_written(text: str) -> None:
    message = EmailTemplate("", "((text))").render({"text": text})
    assert bool(email_size.size_above(message, 4_000_000)) == text.startswith("a")
    assert {"html_body", "plain_text"}.isdisjoint(vars(message)), "it was written all the same"

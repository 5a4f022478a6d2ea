"""Texts that try hard: every kind of character, and pieces of every construct the content rules know."""

from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
"""Any code points at all, lone surrogates and control characters included."""

_PIECES = [
    "a", "word ", "s ", "90s", " ", "    ", "\n", "\n\n", "\n\n\n", "\t", "\r\n", "\u2028", "\u200b",
    "\u00a0",
    "* ", "- ", "1. ", "• ", "+ ", "^ ", "# ", "## ", "===", "---", "```\n", "~~~~\n", "_", "|",
    "| a | b |\n",
    "|---|---|\n", "\\", "\\*", "(", ")", "((", "))", "[", "]", "![", "](", "[x](http://e.com/a?b=c)",
    "[k]", "[k]: http://e.com \"T\"\n", "[^1]", "[^1]: note\n", "http://e.com/x", "https://", "javascript:",
    "<", ">", "<b>", "</b>", "<div>\n", "</div>\n", "<!--", "-->", "<a@b.c>", "<a href=\"x\">", "'", '"',
    " 't ",
    "&", "&amp;", "&lt;", "&#60;", "&copy", "&nbsp;", ";", ":", ".", " ,", "!", "@", "–", "—", " - ",
    "gov.uk ",
    "GOV.UK", "((a))", " ((b)) ", "((c??", "((c??shown))", "\ud800", "\x00", "\u202e", "é", "🎉",
]  # fmt: skip

MARKUP = st.lists(st.sampled_from(_PIECES), max_size=20).map("".join)
"""Markup of every kind, balanced or not."""

VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "B", "other"]),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        # More digits than str(), and so the repr of a strategy that holds them, accepts.
        st.sampled_from([1, -1]).map(lambda sign: sign * 10**5000),
        st.just(5000).map(lambda digits: {"a": [[10**digits]]}),
        st.floats(),
        ANY_TEXT,
        MARKUP,
        st.sampled_from(["Ann", "22 May", "3", "10:30", "O'Neil", "St. Ives", "£5.20", "yes", "x, y", "a-b"]),
        st.lists(st.one_of(st.none(), st.integers(), MARKUP), max_size=4),
    ),
)

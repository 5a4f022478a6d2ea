"""Typography of emails and letters: punctuation, quotes and dashes (content.md §1.5)."""

import re
from typing import Final

from notify_content.text import tidy_punctuation

_TAG: Final = re.compile(r"(<[^>]*>)")
_COMMENT: Final = re.compile(r"<!--.*?--\s*>", re.DOTALL)
_COMMENT_END: Final = re.compile(r"--\s*>")
_SKIPPED_TAG: Final = re.compile(r"<(/?)(pre|samp|code|tt|kbd|script|style|math|a)", re.IGNORECASE)
_QUOTABLE: Final = re.compile(r"['\"\\]|&#8")
# A text run that follows a tag, or begins the text, and holds something smart quotes may change.
_QUOTABLE_AFTER_TAG: Final = re.compile(r"(?:>|\A)(?:[^<>'\"\\&]|&(?!#8))*+['\"\\&]")

_ESCAPES: Final = (
    ("\\\\", "&#92;"),
    ('\\"', "&#34;"),
    ("\\'", "&#39;"),
    ("\\.", "&#46;"),
    ("\\-", "&#45;"),
    ("\\`", "&#96;"),
)
_BEFORE_OPENING: Final = r"(\s|&nbsp;|--|&[mn]dash;)"
_CLOSING_CONTEXT: Final = r"([^ \t\r\n\[{(\-])"
_DOUBLE_THEN_SINGLE: Final = re.compile(r"\"'(?=\w)")
_SINGLE_THEN_DOUBLE: Final = re.compile(r"'\"(?=\w)")
_DECADE: Final = re.compile(r"\b'(?=\d{2}s)")
_OPENING_SINGLE: Final = re.compile(rf"{_BEFORE_OPENING}'(?=\w)")
_CLOSING_SINGLE: Final = re.compile(rf"{_CLOSING_CONTEXT}'(?!\s|s\b|\d)")
_CLOSING_SINGLE_BEFORE_SPACE: Final = re.compile(rf"{_CLOSING_CONTEXT}'(\s|s\b)")
_OPENING_DOUBLE: Final = re.compile(rf'{_BEFORE_OPENING}"(?=\w)')
_DOUBLE_BEFORE_SPACE: Final = re.compile(r'"(?=\s)')
_DOUBLE_BEFORE_PUNCTUATION: Final = re.compile(r"""\A"(?=[!"#$%'()*+,\-./:;<=>?@\[\\\]^_`{|}~])""")
_CLOSING_DOUBLE: Final = re.compile(rf'{_CLOSING_CONTEXT}"')
_DECODED: Final = (
    ("&#8211;", "–"),
    ("&#8212;", "—"),
    ("&#8216;", "‘"),
    ("&#8217;", "’"),
    ("&#8220;", "“"),
    ("&#8221;", "”"),
    ("&#8230;", "…"),
)

_EMAIL_ADDRESS: Final = re.compile(r"(?:^|\s)\S+@\S+(?:\s|$)", re.MULTILINE)
_SPACED_DASH: Final = re.compile(r"[-–—]\s")
_DASH: Final = re.compile(r"(?<!\s)\s++[-–—]{1,3}\s++")
_STRAIGHT: Final = str.maketrans("‘’", "''")


def typography(text: str) -> str:
    """Return the four steps of content.md §1.5 in order; `text` may hold HTML tags."""
    return _dashes(_straighten_in_addresses(smart_quotes(tidy_punctuation(text))))


def smart_quotes(text: str) -> str:
    """Straight quotes made curly outside tags and outside code and link text (content.md §1.5)."""
    if "<" not in text:
        return _curl(text, "") if _QUOTABLE.search(text) else text
    whole_tags = text.rfind("<") < text.rfind(">") and "<!--" not in text
    if whole_tags and not _QUOTABLE_AFTER_TAG.search(text):
        return text
    out: list[str] = []
    open_elements: list[str] = []
    before = ""
    for run, tag in _runs(text):
        if run:
            out.append(run if open_elements or not _QUOTABLE.search(run) else _curl(run, before))
            before = run[-1]
        if not tag:
            continue
        out.append(tag)
        skipped = _SKIPPED_TAG.match(tag)
        if not skipped:
            continue
        name = skipped[2].lower()
        if not skipped[1]:
            open_elements.append(name)
        elif open_elements and open_elements[-1] == name:
            open_elements.pop()
    return "".join(out)


def _runs(text: str) -> list[tuple[str, str]]:
    """Text runs in order, each with the tag that ends it. A `<` that no `>` follows is text."""
    if "<!--" not in text:
        # After the last `>` no tag ends, and a search for the end of one would read the rest over and over.
        end = text.rfind(">") + 1
        pieces = _TAG.split(text[:end])
        return [*zip(pieces[::2], pieces[1::2], strict=False), (pieces[-1] + text[end:], "")]
    runs = []
    end = 0
    # Looked up once: a search for the end of each comment that has none would read the text over and over.
    last_comment_end = max((match.start() for match in _COMMENT_END.finditer(text)), default=-1)
    while (start := text.find("<", end)) >= 0:
        match = _COMMENT.match(text, start) if start < last_comment_end else None
        match = match or _TAG.match(text, start)
        if match is None:
            break
        runs.append((text[end:start], match[0]))
        # Two hyphens inside a comment make its text count.
        if match[0].startswith("<!--") and "--" in match[0][4:].rstrip(">").rstrip().rstrip("-"):
            runs[-1:] = [(text[end:start], ""), (match[0], "")]
        end = match.end()
    return [*runs, (text[end:], "")]


def _curl(run: str, before: str) -> str:
    """One text run with smart quotes; `before` is the last character of the run before it, if any."""
    if "\\" in run:
        for written, entity in _ESCAPES:
            run = run.replace(written, entity)
    if run in {"'", '"'}:
        closing = bool(before) and not before.isspace()
        return ("’" if closing else "‘") if run == "'" else ("”" if closing else "“")
    if "'" in run:
        if '"' in run:
            run = _DOUBLE_THEN_SINGLE.sub("“‘", run)
            run = _SINGLE_THEN_DOUBLE.sub("‘“", run)
        run = _DECADE.sub("’", run)
        run = _OPENING_SINGLE.sub("\\1‘", run)
        run = _CLOSING_SINGLE.sub("\\1’", run)
        run = _CLOSING_SINGLE_BEFORE_SPACE.sub("\\1’\\2", run)
        run = run.replace("'", "‘")
    if '"' in run:
        run = _OPENING_DOUBLE.sub("\\1“", run)
        run = _DOUBLE_BEFORE_SPACE.sub("”", run)
        run = _DOUBLE_BEFORE_PUNCTUATION.sub("”", run)
        run = _CLOSING_DOUBLE.sub("\\1”", run)
        run = run.replace('"', "“")
    if "&#8" in run:
        for entity, character in _DECODED:
            run = run.replace(entity, character)
    return run


def _straighten_in_addresses(text: str) -> str:
    if "@" not in text or ("‘" not in text and "’" not in text):
        return text
    return _EMAIL_ADDRESS.sub(lambda match: match[0].translate(_STRAIGHT), text)


def _dashes(text: str) -> str:
    # Most hyphens are inside words and style attributes: only one before whitespace is worth the longer look.
    return _DASH.sub(" – ", text) if _SPACED_DASH.search(text) else text

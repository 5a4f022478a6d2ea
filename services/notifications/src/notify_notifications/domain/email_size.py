"""Whether an email, dressed, fits into one message between services (content.md §4.5)."""

import re
from typing import Final

from notify_content.emails import EmailMessage

_BLOCK: Final = re.compile(r"\S\n\s*\n(?=\s*[^\s\[])")
_LEAST_BLOCK: Final = 80
"""Bytes of HTML around the shortest paragraph."""
_LINK: Final = re.compile(r"https?://\S*", re.IGNORECASE)
_MOST_LINE: Final = 600
"""Bytes of HTML and of text that a line may bring along, as a block of its own in blocks around it."""
_MARKERS: Final = re.compile(r"^(?:[ \t]*(?:[*+^>#-]|[0-9]+[.)]))+", re.MULTILINE)
"""What begins the blocks of a line; `* * *` is three, one in the other."""
_MOST_CHARACTER: Final = 6
"""Bytes of HTML of a character that HTML does not take as it is, such as `&quot;`."""


def size_above(message: EmailMessage, limit: int) -> int:
    """Return the bytes of the text and the HTML of an email together if they are more than `limit`, else 0.

    Writing them takes seconds for the largest; most are seen to fit, or not to, without it. What is returned
    then is the least that they may be.
    """
    content = message.content
    if most(content) <= limit:
        return 0
    if least(content) > limit:
        return least(content)
    # HTML first: it is the larger, and where it is too much alone neither has to be written to its end
    html = message.html_body_within(limit)
    if html is None:
        return limit + 1
    size = len(html.encode())
    if size <= limit:
        size += len(message.plain_text.encode())
    return size if size > limit else 0


def least(content: str) -> int:
    """Return the bytes that the HTML of `content` has at least."""
    return _LEAST_BLOCK * sum(1 for _ in _BLOCK.finditer(content))


def most(content: str) -> int:
    """Return the bytes that the text and the HTML of `content` have at most."""
    size = len(content.encode("utf-8", "surrogatepass"))
    special = sum(content.count(character) for character in "&<>\"'")
    links = [len(link.encode("utf-8", "surrogatepass")) for link in _LINK.findall(content)]
    return (
        2 * size
        + special * _MOST_CHARACTER
        + (content.count("\n") + 1 + sum(map(len, _MARKERS.findall(content)))) * _MOST_LINE
        + sum(links) * _MOST_CHARACTER
        + len(links) * _MOST_LINE
    )

"""Making personalisation harmless for emails (public-api.md §2.4 "Sanitising")."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from notify_content.text import insensitive_key

from notify_notifications.domain.personalisation import Pairs, Value

# A scheme or none, labels with their dots, a top level of letters, and whatever follows without a space. The
# quantifiers are possessive or bounded, so that matching is linear in the text.
_URL: Final = re.compile(
    r"(?<![\w@.-])(?:https?://)?(?:[a-z0-9](?:[a-z0-9-]{0,62})\.){1,126}[a-z]{2,63}(?![a-z0-9@])(?:[/?#:]\S*+)?",
    re.IGNORECASE | re.ASCII,
)
_HOST_ONLY: Final = re.compile(r"[a-z0-9.-]+", re.IGNORECASE | re.ASCII)
_ESCAPED: Final = {ord(mark): f"\\{mark}" for mark in "`*_(){}[]<>#+-.!|\\"}


class SanitisedField(NamedTuple):
    """A value that sanitising changed."""

    key: str
    unsanitised: str
    sanitised: str


def sanitise(pairs: Pairs, names: Iterable[str]) -> tuple[Pairs, list[SanitisedField]]:
    """Return the pairs with the values of the named keys made harmless, and what that changed.

    Names match keys like placeholders do. Every item of a list is sanitised; a list is not reported.
    """
    wanted = set(map(insensitive_key, names))
    if not wanted:
        return pairs, []
    out: Pairs = []
    changed = []
    for key, value in pairs:
        sanitised: Value = value
        if insensitive_key(key) in wanted:
            if isinstance(value, str):
                sanitised = sanitise_text(value)
                if sanitised != value:
                    changed.append(SanitisedField(key, value, sanitised))
            elif value is not None:
                sanitised = [sanitise_text(item) for item in value]
        out.append((key, sanitised))
    return out, changed


def sanitise_text(text: str) -> str:
    """Return the text without working links, each character that Markdown minds escaped by a backslash."""
    return escape_markdown(_URL.sub(_disarm, text))


def escape_markdown(text: str) -> str:
    """Return the text with each character that Markdown minds escaped by a backslash."""
    return text.translate(_ESCAPED)


def _disarm(match: re.Match[str]) -> str:
    url = match[0]
    return url.replace(".", ". ") if _HOST_ONLY.fullmatch(url) else ""

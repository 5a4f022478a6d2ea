"""Text messages as HTML on a screen (content.md §3.7).

Values and the prefix are escaped before anything else happens to them, and what later takes the place of
their characters is escaped too, so the only tags are those of the preview itself.
"""

import re
from typing import Final

from notify_content import charsets
from notify_content.charsets import Charset
from notify_content.markdown_output import href
from notify_content.placeholders import CompiledContent, Gaps, Personalisation, compile_content
from notify_content.text import compose, escape_html, limit_blank_lines, normalise_lines, tidy_punctuation

_RECIPIENT: Final = compile_content("((phone number))")

# A name of at least two labels, the last that can be the top-level one, and what may follow it. The other
# branch runs over a name without a top-level label, each part of which would be tried in vain, up to where
# a protocol begins. So no character is read more than a few times.
_LINK: Final = re.compile(
    r"(?<![@.])\b"
    r"(?:(?P<link>(?ai:https?://)?(?:[\w-]++\.)+[A-Za-z]{2,63}+\b(?!@)(?:[/?#][^\s<]*+)?)"
    r"|[\w-](?:(?!\b(?ai:https?://))[\w-]|\.(?=[\w-]))*+)"
)
_NOT_LAST_IN_LINK: Final = ".,:"
_OPENERS: Final = {")": "(", "]": "["}


class _HtmlCharset(Charset):
    """For text that is HTML, composed first: some characters (`≮`) are replaced by what would be markup."""

    def _replacement(self, character: str) -> str | None:
        replacement = super()._replacement(character)
        return None if replacement is None else escape_html(replacement)

    def downgrade(self, text: str) -> str:
        # A mark after a tag must not be composed with the end of the tag.
        return super().downgrade(text if text.isascii() else ">".join(map(compose, text.split(">"))))


_SMS_HTML: Final = _HtmlCharset(charsets.SMS.kept)


def preview_html(
    body: CompiledContent,
    personalisation: Personalisation,
    before: str,
    *,
    sender: str | None,
    show_recipient: bool,
    downgrade: bool,
) -> str:
    """Return the full preview; `before` is the prefix with its separator, or empty."""
    text = escape_html(before) + body.render(personalisation, escape=True, gaps=Gaps.HTML)
    text = tidy_punctuation(text)
    text = limit_blank_lines(normalise_lines(_SMS_HTML.downgrade(text) if downgrade else text))
    message = auto_link(text.strip().replace("\n", "<br>"))
    heading = ""
    if sender is not None:
        heading += f'<p class="sms-message-sender">From: {escape_html(sender)}</p>'
    if show_recipient:
        recipient = _RECIPIENT.render(personalisation, escape=True, gaps=Gaps.HTML_NO_BRACKETS)
        heading += f'<p class="sms-message-recipient">To: {recipient}</p>'
    return f'{heading}<div class="sms-message-wrapper" dir="auto">{message}</div>'


def body_preview_html(body: CompiledContent, personalisation: Personalisation) -> str:
    """Return the body preview: one text in which gaps are hidden."""
    text = tidy_punctuation(body.render(personalisation, escape=True, gaps=Gaps.HTML_REDACTED))
    return limit_blank_lines(normalise_lines(_SMS_HTML.downgrade(text))).strip()


def auto_link(html: str) -> str:
    """Escaped text with its web addresses made links."""
    return _LINK.sub(_linked, html) if "." in html else html


def _linked(match: re.Match[str]) -> str:
    found = match["link"]
    if found is None:
        return match[0]
    address = found[: _link_length(found)]
    return (
        '<a class="govuk-link govuk-link--no-visited-state" '
        f'href="{href(address)}">{address}</a>{found[len(address) :]}'
    )


def _link_length(found: str) -> int:
    """Length without the punctuation that ends a sentence and closers of brackets opened before the link."""
    surplus = {closer: found.count(closer) - found.count(opener) for closer, opener in _OPENERS.items()}
    length = len(found)
    while True:
        last = found[length - 1]
        if surplus.get(last, 0) > 0:
            surplus[last] -= 1
        elif last not in _NOT_LAST_IN_LINK:
            return length
        length -= 1

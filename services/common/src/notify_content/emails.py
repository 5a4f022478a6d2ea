"""Emails: subject, HTML and plain-text parts, preheader and size (content.md §4).

The branded page around the HTML part is in `email_page`.
"""

from functools import cached_property
from typing import Final

from notify_content import placeholders
from notify_content.markdown_output import HtmlWriter, PlainTextWriter, PreheaderWriter
from notify_content.placeholders import (
    Gaps,
    Lists,
    Personalisation,
    Values,
    compile_content,
    filled_in,
    is_empty_message,
    unique_names,
)
from notify_content.precompiled import Precompiled
from notify_content.text import decode_entities, escape_html, normalise_whitespace, unlink_govuk
from notify_content.typography import typography

SIZE_LIMIT: Final = 2_000_000
"""Most UTF-8 bytes of an email's content with placeholders filled in (content.md §4.5)."""

_PREHEADER_LENGTH: Final = 256


class EmailTemplate:
    """An email template, compiled once; immutable and safe to share between threads."""

    def __init__(self, subject: str, body: str) -> None:
        self.subject = compile_content(subject)
        self.body = compile_content(body)
        self.placeholders = unique_names((*self.subject.placeholders, *self.body.placeholders))
        """Unique placeholder names: the subject's, then the body's (content.md §2.1)."""

    @cached_property
    def html(self) -> Precompiled:
        """The HTML part as far as it does not depend on a recipient's values."""
        return Precompiled(self.body.parts(escape=True), write_html, escape=True)

    @cached_property
    def plain_text(self) -> Precompiled:
        """The plain-text part as far as it does not depend on a recipient's values."""
        return Precompiled(self.body.parts(escape=False), write_plain_text, escape=False)

    @cached_property
    def preheader(self) -> Precompiled:
        """The preheader before it is cut, as far as it does not depend on a recipient's values."""
        return Precompiled(self.body.parts(escape=True), write_preheader, escape=True)

    def missing(self, values: Values) -> list[str]:
        """Placeholders whose value is absent or None, in order (content.md §2.2)."""
        return placeholders.missing(self.placeholders, values)

    def length(self, values: Values = None) -> int:
        """Characters of subject and body with values filled in, found without filling them in."""
        return self.subject.length(values) + self.body.length(values)

    def render(self, values: Values = None, unsubscribe_link: str | None = None) -> "EmailMessage":
        """One email; each of its parts is worked out when first asked for."""
        return EmailMessage(self, Personalisation.of(values), unsubscribe_link)


class EmailMessage:
    """One email of a template. Every part is rendered on first use and kept."""

    def __init__(
        self, template: EmailTemplate, values: Personalisation, unsubscribe_link: str | None
    ) -> None:
        self._template = template
        self._values = values
        self._unsubscribe_link = unsubscribe_link

    @cached_property
    def content(self) -> str:
        """The body with placeholders filled in, as the public API reports it (content.md §2.5)."""
        return filled_in(self._template.body, self._values)

    @cached_property
    def size_bytes(self) -> int:
        """UTF-8 bytes of `content`, which the size limit is about."""
        return len(self.content.encode("utf-8", "surrogatepass"))

    @property
    def too_long(self) -> bool:
        """Whether `size_bytes` is over `SIZE_LIMIT` (content.md §4.5)."""
        return self.size_bytes > SIZE_LIMIT

    @property
    def is_empty(self) -> bool:
        """Whether the body says nothing (content.md §2.5)."""
        return is_empty_message(self._template.body, self._values)

    @cached_property
    def subject(self) -> str:
        """The subject of the text part and the message header: plain text (content.md §4.2)."""
        return self._subject(escape=False)

    @cached_property
    def subject_html(self) -> str:
        """The subject, HTML-escaped (content.md §4.2)."""
        return self._subject(escape=True)

    @cached_property
    def html_body(self) -> str:
        """The HTML part, without the page around it (content.md §4.1, §6.1)."""
        return self._precompiled(self._template.html, escape=True) or write_html(
            self._filled_in(escape=True, unsubscribe=True)
        )

    @cached_property
    def plain_text(self) -> str:
        """The plain-text part (content.md §4.1, §6.2)."""
        return self._precompiled(self._template.plain_text, escape=False) or write_plain_text(
            self._filled_in(escape=False, unsubscribe=True)
        )

    @cached_property
    def preheader(self) -> str:
        """The hidden preview line, HTML-escaped, without the ellipsis the page adds (content.md §4.3)."""
        text = self._template.preheader.render(self._values.by_key(escape=True))
        if text is None:
            text = write_preheader(self._filled_in(escape=True, unsubscribe=False))
        return " ".join(text.split())[:_PREHEADER_LENGTH].strip()

    def _subject(self, *, escape: bool) -> str:
        subject = self._template.subject.render(self._values, escape=escape, gaps=Gaps.HTML)
        return normalise_whitespace(typography(subject))

    def _precompiled(self, part: Precompiled, *, escape: bool) -> str | None:
        return None if self._unsubscribe_link else part.render(self._values.by_key(escape=escape))

    def _filled_in(self, *, escape: bool, unsubscribe: bool) -> str:
        """Steps 1 and 2 of content.md §4.1."""
        body = self._template.body
        after = ""
        if unsubscribe and self._unsubscribe_link:
            link = escape_html(self._unsubscribe_link) if escape else self._unsubscribe_link
            after = _unsubscribe_block(link)
            if "(" in link or ")" in link:
                # The link may hold placeholders, and it is part of the template.
                body = compile_content(body.content + _unsubscribe_block(self._unsubscribe_link))
                after = ""
        return body.render(self._values, escape=escape, lists=Lists.BULLETS, gaps=Gaps.HTML) + after


def write_html(filled_in_body: str) -> str:
    """The HTML part of a body filled in in escape mode: steps 3 to 7 of content.md §4.1."""
    return typography(HtmlWriter().write(_markdown(filled_in_body)))


def write_plain_text(filled_in_body: str) -> str:
    """The plain-text part of a body filled in in passthrough mode: steps 3 to 9 of content.md §4.1."""
    text = typography(PlainTextWriter().write(_markdown(filled_in_body)))
    return decode_entities(text).lstrip() + "\n"


def write_preheader(filled_in_body: str) -> str:
    """The text of a body filled in in escape mode that its preheader is cut from (content.md §4.3)."""
    return typography(PreheaderWriter().write(_markdown(filled_in_body)))


def _markdown(filled_in_body: str) -> str:
    """Steps 3 to 5 of content.md §4.1."""
    return unlink_govuk(filled_in_body).replace("\u2028", "").replace("\u3164", "") + "\n"


def _unsubscribe_block(link: str) -> str:
    """What is appended to the template body (content.md §4.4)."""
    return f"\n\n---\n\n[Unsubscribe from these emails]({link})"

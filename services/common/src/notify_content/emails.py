"""Emails: subject, HTML and plain-text parts, preheader and size (content.md §4).

The branded page around the HTML part is in `email_page`.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final

from notify_content import placeholders
from notify_content.markdown_output import (
    HtmlWriter,
    PlainTextWriter,
    PreheaderWriter,
    Writer,
    WrittenTooLong,
    shows_nothing,
    surely_shows,
)
from notify_content.placeholders import (
    CompiledContent,
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
from notify_content.text import decode_entities, normalise_whitespace, unlink_govuk
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
        return self._precompiled(HtmlWriter, typography)

    @cached_property
    def plain_text(self) -> Precompiled:
        """The plain-text part as far as it does not depend on a recipient's values."""
        return self._precompiled(PlainTextWriter, _finish_plain_text)

    @cached_property
    def preheader(self) -> Precompiled:
        """The preheader before it is cut, as far as it does not depend on a recipient's values."""
        return self._precompiled(PreheaderWriter, typography)

    def _precompiled(self, writer: type[Writer], finish: Callable[[str], str]) -> Precompiled:
        def write(filled_in_body: str) -> str | None:
            text = _markdown(filled_in_body)
            return finish(writer().write(text)) if surely_shows(text) else None

        escape = writer is not PlainTextWriter
        return Precompiled(self.body.parts(escape=escape), write, escape=escape)

    def missing(self, values: Values) -> list[str]:
        """Placeholders whose value is absent or None, in order (content.md §2.2)."""
        return placeholders.missing(self.placeholders, values)

    def length(self, values: Values = None) -> int:
        """Characters of subject and body with values filled in, found without filling them in."""
        return self.subject.length(values) + self.body.length(values)

    def render(
        self, values: Values = None, unsubscribe_link: str | None = None, *, in_full: bool = False
    ) -> "EmailMessage":
        """One email; each of its parts is worked out when first asked for.

        With `in_full` nothing that was written once for the template is used; the parts never differ.
        """
        return EmailMessage(self, Personalisation.of(values), unsubscribe_link, in_full=in_full)


class EmailMessage:
    """One email of a template. Every part is rendered on first use and kept."""

    def __init__(
        self, template: EmailTemplate, values: Personalisation, unsubscribe_link: str | None, *, in_full: bool
    ) -> None:
        self._template = template
        self._values = values
        self._unsubscribe_link = unsubscribe_link
        self._in_full = in_full
        self._is_blank: bool | None = None

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
        return self._html(None)

    def html_body_within(self, characters: int) -> str | None:
        """Return the HTML part, or None if it has more characters: then no more than about that is written.

        Writing in full what a hostile text becomes would take a hundred times its own size of memory.
        """
        if "html_body" not in vars(self):
            # typography may take away what the text itself has, such as spaces before a comma
            try:
                self.html_body = self._html(characters + len(self.content))
            except WrittenTooLong:
                return None
        return self.html_body if len(self.html_body) <= characters else None

    @cached_property
    def plain_text(self) -> str:
        """The plain-text part (content.md §4.1, §6.2)."""
        template = self._template
        written = None if self._unsubscribe_link else self._precompiled(template.plain_text, escape=False)
        return _finish_plain_text(self._write(PlainTextWriter, escape=False)) if written is None else written

    @cached_property
    def preheader(self) -> str:
        """The hidden preview line, HTML-escaped, without the ellipsis the page adds (content.md §4.3)."""
        text = self._precompiled(self._template.preheader, escape=True)
        if text is None:
            text = typography(self._write(PreheaderWriter, escape=True, unsubscribe=False))
        return " ".join(text.split())[:_PREHEADER_LENGTH].strip()

    def _html(self, limit: int | None) -> str:
        written = None if self._unsubscribe_link else self._precompiled(self._template.html, escape=True)
        return typography(self._write(HtmlWriter, escape=True, limit=limit)) if written is None else written

    def _subject(self, *, escape: bool) -> str:
        subject = self._template.subject.render(self._values, escape=escape, gaps=Gaps.HTML)
        return normalise_whitespace(typography(subject))

    def _precompiled(self, part: Precompiled, *, escape: bool) -> str | None:
        return None if self._in_full else part.render(self._values.by_key(escape=escape))

    def _write(
        self, writer: type[Writer], *, escape: bool, unsubscribe: bool = True, limit: int | None = None
    ) -> str:
        """Do steps 1 to 6 of content.md §4.1. Raises WrittenTooLong."""
        body = _markdown(self._filled_in(self._template.body, escape=escape))
        after = ""
        if unsubscribe and self._unsubscribe_link:
            # Part of the template, so the link may hold placeholders.
            block = compile_content(_unsubscribe_block(self._unsubscribe_link))
            after = _markdown(self._filled_in(block, escape=escape))
        if surely_shows(body) or not self._shows_nothing(limit):
            return writer(limit).write(body.removesuffix("\n") + after if after else body)
        return writer().write_as_text(body) + writer().write(after.lstrip("\n"))

    def _shows_nothing(self, limit: int | None) -> bool:
        """Whether Markdown would leave nothing of the body, so that its text is sent as it is written.

        Raises WrittenTooLong, where what shows nothing is too long as well.
        """
        if self._is_blank is None:
            body = _markdown(self._filled_in(self._template.body, escape=True))
            self._is_blank = shows_nothing(body, HtmlWriter(limit).write(body))
        return self._is_blank

    def _filled_in(self, content: CompiledContent, *, escape: bool) -> str:
        return content.render(self._values, escape=escape, lists=Lists.BULLETS, gaps=Gaps.HTML)


def _finish_plain_text(written: str) -> str:
    """Do steps 7 to 9 of content.md §4.1."""
    return decode_entities(typography(written)).lstrip() + "\n"


def _markdown(filled_in_body: str) -> str:
    """Do steps 3 to 5 of content.md §4.1."""
    return unlink_govuk(filled_in_body).replace("\u2028", "").replace("\u3164", "") + "\n"


def _unsubscribe_block(link: str) -> str:
    """Return what is appended to the template body (content.md §4.4)."""
    return f"\n\n---\n\n[Unsubscribe from these emails]({link})"

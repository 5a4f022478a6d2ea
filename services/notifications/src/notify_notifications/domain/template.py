"""A template at one version, its wording compiled once for many renders."""

from dataclasses import dataclass
from datetime import datetime

from notify_content.emails import EmailTemplate
from notify_content.placeholders import (
    Gaps,
    Values,
    compile_content,
    filled_in,
    missing,
    unique_names,
)
from notify_content.sms import SmsTemplate
from notify_content.text import normalise_whitespace
from notify_content.typography import typography

from notify_notifications.domain.notification import Channel


class LetterWording:
    """What a letter says, as far as the API reports it; the letters context typesets the whole.

    Args:
        contact_block: the sender's block, or empty.
        subject: of the English letter.
        body: of the English letter.
        welsh: subject and body of the Welsh letter before it; both empty for letters in English only.
    """

    __slots__ = ("_body", "_subject", "placeholders", "welsh_placeholders")

    def __init__(
        self, contact_block: str, subject: str, body: str, welsh: tuple[str, str] = ("", "")
    ) -> None:
        self._subject = compile_content(subject)
        self._body = compile_content(body)
        contact_names = compile_content(contact_block).placeholders
        self.placeholders = unique_names(
            (*contact_names, *self._subject.placeholders, *self._body.placeholders)
        )
        """Names that sending needs: contact block, subject, body (public-api.md §2.2)."""
        self.welsh_placeholders = unique_names(
            name for text in welsh for name in compile_content(text).placeholders
        )
        """Names in the Welsh text, which previews need as well (public-api.md §2.6)."""

    def missing(self, values: Values) -> list[str]:
        """Placeholders of the English letter whose value is absent or None, in order."""
        return missing(self.placeholders, values)

    def missing_in_any_language(self, values: Values) -> list[str]:
        """Placeholders of either language whose value is absent or None, the English ones first."""
        return missing(unique_names((*self.placeholders, *self.welsh_placeholders)), values)

    def subject(self, values: Values) -> str:
        """The subject, HTML-escaped (content.md §7.2)."""
        return normalise_whitespace(typography(self._subject.render(values, escape=True, gaps=Gaps.HTML)))

    def content(self, values: Values) -> str:
        """The body with placeholders filled in (content.md §2.5)."""
        return filled_in(self._body, values)

    def is_empty(self, values: Values) -> bool:
        """Whether the body says nothing (content.md §2.5)."""
        body = self._body.content
        return not body or (body.startswith("((") and body.endswith("))") and not self.content(values))


@dataclass(frozen=True, slots=True)
class Template:
    """One version; it never changes."""

    id: str
    service_id: str
    channel: Channel
    version: int
    archived: bool
    hidden: bool
    """One of the platform's own that services can't name."""
    postage: str | None
    """Letters: class of post within the country."""
    make_time: datetime
    """When this version was made."""
    wording: SmsTemplate | EmailTemplate | LetterWording
    """The compiled content, of the channel's own type."""

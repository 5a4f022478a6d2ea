"""A template at one version, its wording compiled once for many renders."""

from dataclasses import dataclass
from datetime import datetime

from notify_common.enums import Channel, Postage
from notify_content.emails import EmailTemplate
from notify_content.letters import LetterContent, LetterTemplate
from notify_content.placeholders import Gaps, Values, missing, unique_names
from notify_content.sms import SmsTemplate
from notify_content.text import normalise_whitespace
from notify_content.typography import typography


@dataclass(frozen=True, slots=True)
class LetterWording:
    """A letter in English, and in Welsh before it where the template has both."""

    english: LetterTemplate
    welsh: LetterTemplate | None = None
    attachment_id: str = ""
    """The PDF whose pages come last; empty for none."""

    def missing(self, values: Values) -> list[str]:
        """Return the placeholders of the English letter without a value: what sending needs (public-api.md
        §2.6).
        """
        return self.english.missing(values)

    def missing_in_any_language(self, values: Values) -> list[str]:
        """Return placeholders of either language without a value: what previews need (content.md §2.1)."""
        welsh = self.welsh.placeholders if self.welsh else ()
        return missing(unique_names((*welsh, *self.english.placeholders)), values)

    def length(self, values: Values) -> int:
        """Return the characters of the letter in all its languages, with values filled in."""
        return self.english.length(values) + (self.welsh.length(values) if self.welsh else 0)

    def subject(self, values: Values) -> str:
        """Return the English subject as the public API shows it: HTML-escaped (content.md §7.2)."""
        return normalise_whitespace(
            typography(self.english.subject.render(values, escape=True, gaps=Gaps.HTML))
        )

    def render(self, values: Values) -> LetterContent:
        """Return the words of the English letter."""
        return self.english.render(values)


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A file that each email of a template links to, in the place of a placeholder."""

    id: str
    filename: str
    """Name of its placeholder too."""
    link_text: str
    """What the link says; empty for the address itself."""
    retention_weeks: int
    open_to_all: bool
    """Whether it can be downloaded without naming the address that the email was sent to."""


@dataclass(frozen=True, slots=True)
class Template:
    """One version; it never changes."""

    id: str
    service_id: str
    name: str
    channel: Channel
    version: int
    archived: bool
    hidden: bool
    """One of the platform's own that services can't name."""
    postage: Postage | None
    """Letters: class of post within the country."""
    make_time: datetime
    """When this version was made."""
    has_unsubscribe_link: bool
    """Emails: whether each carries a link of the platform by which its recipient gets no more of them."""
    wording: SmsTemplate | EmailTemplate | LetterWording
    """The compiled content, of the channel's own type."""
    files: tuple[TemplateFile, ...] = ()
    """Emails: whose placeholders stand in it. A version that is read by its number may lack one that was made
    live since: what was sent has the links in its personalisation.
    """

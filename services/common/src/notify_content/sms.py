"""Text messages: from template to what the provider receives, with its counts (content.md §3)."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from notify_content import charsets, sms_preview
from notify_content.placeholders import Personalisation, Values, compile_content
from notify_content.text import compose, limit_blank_lines, normalise_lines, tidy_punctuation

CHARACTER_LIMIT: Final = 918
"""Longest message, in characters without the prefix (content.md §3.5)."""

_GSM_FIRST, _GSM_REST = 160, 153
_UNICODE_FIRST, _UNICODE_REST = 70, 67
_PREFIX_SEPARATOR: Final = ": "
_PRIVATE_USE: Final = range(0xE000, 0x110000)

_GSM_INK: Final = "[" + re.escape("".join(sorted(charsets.GSM_BASIC - set(" \n\r")))) + "]++"
# Words of basic GSM characters parted by single spaces or by one or two line feeds, no space before a comma
# or full stop: text that every step after substitution leaves exactly as it is.
_ALREADY_FINAL: Final = re.compile(rf"(?:{_GSM_INK}(?:(?: (?![.,])|\n\n?+){_GSM_INK})*+)?+")


class SmsMessage(NamedTuple):
    """One rendered text message. Counts are in UTF-16 code units."""

    content: str
    """What the provider receives."""
    unsanitised_content: str
    """The same before characters were downgraded."""
    character_count_without_prefix: int
    extended_character_count: int
    """Characters of the GSM extension set, each of which costs two septets."""
    is_unicode: bool
    """Whether a Welsh letter outside GSM forces 16-bit encoding (content.md §3.3)."""

    @property
    def character_count(self) -> int:
        # Every kept character is in the basic multilingual plane: one code unit each.
        return len(self.content)

    @property
    def _size(self) -> int:
        count = len(self.content)
        return count if self.is_unicode else count + self.extended_character_count

    @property
    def fragment_count(self) -> int:
        """Parts the message is sent and billed as, at least one (content.md §3.4)."""
        first, rest = (_UNICODE_FIRST, _UNICODE_REST) if self.is_unicode else (_GSM_FIRST, _GSM_REST)
        return 1 if self._size <= first else -(-self._size // rest)

    @property
    def characters_past_boundary(self) -> int:
        """Size beyond the last boundary between parts; all of it for one part (content.md §3.4)."""
        first, rest = (_UNICODE_FIRST, _UNICODE_REST) if self.is_unicode else (_GSM_FIRST, _GSM_REST)
        fragments = self.fragment_count
        if fragments == 1:
            return self._size
        return self._size - (first if fragments == 2 else rest * (fragments - 1))

    @property
    def too_long(self) -> bool:
        return self.character_count_without_prefix > CHARACTER_LIMIT

    @property
    def characters_over_limit(self) -> int:
        return max(0, self.character_count_without_prefix - CHARACTER_LIMIT)

    @property
    def is_empty(self) -> bool:
        return self.character_count_without_prefix == 0

    @property
    def non_gsm_characters(self) -> list[str]:
        """The Welsh letters that force 16-bit encoding, sorted by code point."""
        return sorted(charsets.WELSH_NON_GSM.intersection(self.unsanitised_content))

    @property
    def unencodable_characters(self) -> list[str]:
        """The characters sent as `?`, sorted by code point."""
        return charsets.SMS.unencodable(self.unsanitised_content)


@lru_cache(maxsize=1024)
def _read_prefix(prefix: str) -> tuple[str, int]:
    """Return what is put in front of the body, and the length taken off the count (content.md §3.3)."""
    length = len(charsets.SMS.downgrade(compose(prefix))) + len(_PREFIX_SEPARATOR)
    return prefix.strip() + _PREFIX_SEPARATOR, length


def _tidy(text: str) -> str:
    """Do steps 3 to 6 of content.md §3.1, as far as marks are still in the text."""
    return limit_blank_lines(normalise_lines(tidy_punctuation(text))).strip()


class SmsTemplate:
    """A text message template, compiled once; immutable and safe to share between threads."""

    __slots__ = ("_body", "placeholders")

    def __init__(self, content: str) -> None:
        self._body = compile_content(content)
        self.placeholders = self._body.placeholders
        """Unique placeholder names in order of first appearance."""

    @property
    def content(self) -> str:
        """The template as written."""
        return self._body.content

    def missing(self, values: Values) -> list[str]:
        """Placeholders whose value is absent or None, in order (content.md §2.2)."""
        return self._body.missing(values)

    def length(self, values: Values = None) -> int:
        """Characters with values filled in, before any clean-up, found without filling them in."""
        return self._body.length(values)

    def render(self, values: Values = None, prefix: str | None = None) -> SmsMessage:
        """Return the message to send.

        `prefix` is the service name when the service shows it, otherwise None or empty. Without any values
        plain gaps cost nothing and conditionals are left out (content.md §3.1).
        """
        personalisation = Personalisation.of(values)
        before, prefix_length = _read_prefix(prefix) if prefix else ("", 0)
        if personalisation or not self.placeholders:
            text = before + self._body.render(personalisation)
            if _ALREADY_FINAL.fullmatch(text):
                return SmsMessage(text, text, max(0, len(text) - prefix_length), 0, False)
            text = _tidy(text)
        else:
            used = {*self.content, *before}
            mark = next(character for character in map(chr, _PRIVATE_USE) if character not in used)
            text = _tidy(before + self._body.render_without_values(mark)).replace(mark, "")
        text = compose(text)
        content = charsets.SMS.downgrade(text)
        return SmsMessage(
            content,
            text,
            max(0, len(content) - prefix_length),
            sum(map(text.count, charsets.GSM_EXTENSION)),
            not text.isascii() and not charsets.WELSH_NON_GSM.isdisjoint(text),
        )

    def preview_html(
        self,
        values: Values = None,
        prefix: str | None = None,
        *,
        sender: str | None = None,
        show_recipient: bool = False,
        downgrade: bool = True,
    ) -> str:
        """Return the message as HTML for a screen, gaps shown and web addresses linked (content.md §3.7).

        With `sender` and `show_recipient` paragraphs with the sender and the value `phone number` come
        first. Without `downgrade` characters are shown as written.
        """
        return sms_preview.preview_html(
            self._body,
            Personalisation.of(values),
            _read_prefix(prefix)[0] if prefix else "",
            sender=sender,
            show_recipient=show_recipient,
            downgrade=downgrade,
        )

    def body_preview_html(self, values: Values = None) -> str:
        """Return the body alone as one HTML text, gaps hidden, without links and line breaks (content.md
        §3.7).
        """
        return sms_preview.body_preview_html(self._body, Personalisation.of(values))

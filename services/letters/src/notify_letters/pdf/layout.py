"""What stands on a letter, as the data that `letter.typ` typesets (content.md §7)."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

import segno
from notify_common.clock import LONDON
from notify_content.letters import (
    CHARACTER_LIMIT,
    Language,
    LetterContent,
    LetterTemplate,
    QrCodeTooLong,
    Run,
    format_date,
)

from notify_letters.domain.letter import LETTER_TOO_LONG, MAX_ADDRESS_LINE, MAX_PAGES, PersonalisationValue
from notify_letters.domain.template import TemplateVersion

Letter = dict[str, Any]
"""JSON: `address_lines`, and `parts`, one a language, each with `language` (`en` or `cy`), `date`, `subject`,
`blocks` and `contact_block` as `notify_content.letters.LetterContent.to_dict` has them; in previews
`marks_gaps`; `logo_svg` where the service has a logo of its own. Texts have places where a word too long for
a line may be broken; QR codes have the `svg` to draw."""

_CODES: Final = {Language.ENGLISH: "en", Language.WELSH: "cy"}
_SPACES: Final = re.compile(r"[ \t\n\r]+")
# a word of this length can be as wide as the body, when it is all capitals
_LONG_WORD: Final = re.compile(r"[^\s\u200b]{30,}")
# where to break it: after punctuation of addresses, else after so many letters
_BREAK_AFTER: Final = re.compile(r"[/.?&=_\u2011]|[^/.?&=_\u2011]{20}")
_ZERO_WIDTH_SPACE: Final = "\u200b"
# what would begin a line, or show the characters of one in another order than the one that was checked
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_REORDERING: Final = re.compile(r"[\u202a-\u202e\u2066-\u2069]+")
_CHARACTERS_NAMED: Final = 10
# 47 lines of 16 points are as high as a page's text may be. Who has more of them fills more than MAX_PAGES,
# and may cost minutes of a processor to typeset: codes to draw, or a thousand pages.
_MOST_LINES: Final = 50 * MAX_PAGES
_LINES_OF_A_QR_CODE: Final = 5  # 84 points


class ContentInvalid(Exception):
    """The letter's content can't be laid out. The text says why, without any of the content."""


class LetterInvalid(Exception):
    """The letter breaks a rule and is never printed. No text of it is in the exception's own."""

    failure: str
    """Which rule, by the name that clients know it under."""
    detail = ""
    """What of the letter breaks it, for who sent the letter: never log it."""


class LetterTooLong(LetterInvalid):
    """The letter can't be within the limits, however it is typeset."""

    failure = LETTER_TOO_LONG


class AttachmentInvalid(LetterInvalid):
    """The PDF that would be printed behind the letter breaks a rule of attachments."""

    def __init__(self, failure: str) -> None:
        super().__init__()
        self.failure = failure
        self.detail = "the attachment"


class CharactersNotPrintable(LetterInvalid):
    """Some of the letter's characters are in no font (content.md §7.5)."""

    failure = "characters-not-printable"

    def __init__(self, characters: Sequence[str]) -> None:
        """`characters` in the order in which the letter prints them, each once."""
        super().__init__()
        named = ", ".join(f"{one} (U+{ord(one):04X})" for one in characters[:_CHARACTERS_NAMED])
        more = len(characters) - _CHARACTERS_NAMED
        self.detail = f"{named} and {more} more" if more > 0 else named


class LetterLayout:
    """A template version, compiled once for many letters; safe to share between threads.

    A template with a Welsh subject or content gives Welsh first, with the first page's furniture, then
    English (content.md §7.1).
    """

    def __init__(self, version: TemplateVersion) -> None:
        self.attachment_id = version.attachment_id
        english = LetterTemplate(version.subject, version.content, version.contact_block)
        self._parts = [(Language.ENGLISH, english)]
        if version.welsh_subject or version.welsh_content:
            welsh = LetterTemplate(version.welsh_subject, version.welsh_content, version.contact_block)
            self._parts.insert(0, (Language.WELSH, welsh))

    def letter(
        self,
        personalisation: Mapping[str, PersonalisationValue],
        address_lines: Sequence[str],
        create_time: datetime,
    ) -> Letter:
        """Fill the template in for one letter.

        Args:
            personalisation: in the client's order.
            address_lines: 3 to 7. Each is printed as one line: control characters become spaces, and those
                that reorder text are left out.
            create_time: whose London date is printed.

        Raises:
            ContentInvalid: a QR code has more data than fits.
            LetterTooLong: more than CHARACTER_LIMIT or more lines than MAX_PAGES hold in a language, or more
                than MAX_ADDRESS_LINE in a line.
        """
        if any(len(line) > MAX_ADDRESS_LINE for line in address_lines):
            raise LetterTooLong
        day = create_time.astimezone(LONDON).date()
        return {
            "address_lines": [_REORDERING.sub("", _BREAKS.sub(" ", line)) for line in address_lines],
            "parts": [_part(language, template, personalisation, day) for language, template in self._parts],
        }

    def preview(self, personalisation: Mapping[str, PersonalisationValue], create_time: datetime) -> Letter:
        """Fill the template in as far as there are values, the address among them; gaps are marked.

        Raises ContentInvalid, LetterTooLong as `letter` does.
        """
        _, template = self._parts[0]
        address = template.render(personalisation).address_block
        lines = ["".join(run.text for run in line if isinstance(run, Run)) for line in address]
        return {**self.letter(personalisation, lines, create_time), "marks_gaps": True}


def _part(
    language: Language,
    template: LetterTemplate,
    personalisation: Mapping[str, PersonalisationValue],
    day: date,
) -> dict[str, Any]:
    words = template.render(personalisation)
    if _character_count(words) > CHARACTER_LIMIT:
        raise LetterTooLong
    try:
        content = words.to_dict()
    except QrCodeTooLong as error:
        raise ContentInvalid(str(error)) from None
    if _line_count(content["blocks"]) > _MOST_LINES:
        raise LetterTooLong
    _prepare(content)
    return {"language": _CODES[language], "date": format_date(day, language), **content}


def printed_texts(letter: Letter) -> Iterator[str]:
    """The texts of a letter as they are printed, from the first to the last."""
    for index, part in enumerate(letter["parts"]):
        if index == 0:
            yield from (line.upper() for line in letter["address_lines"])
        for name in ("contact_block", "subject", "blocks"):
            yield from _texts(part[name])


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _texts(one)
    elif node.get("type") == "text":
        yield node["text"]
    else:
        for value in node.values():
            if isinstance(value, list):
                yield from _texts(value)


def _character_count(words: LetterContent) -> int:
    lines = (words.subject, *words.contact_block)
    return len(words.content) + sum(len(run.text) for line in lines for run in line if isinstance(run, Run))


def _line_count(blocks: Sequence[Mapping[str, Any]]) -> int:
    """Return how many lines blocks take at least, whatever is in them."""
    count = 0
    for block in blocks:
        if "items" in block:
            count += sum(max(1, _line_count(item["blocks"])) for item in block["items"])
        elif "runs" in block:
            count += 1 + sum(run["type"] == "line_break" for run in block["runs"])
        elif block["type"] == "qr_code":
            count += _LINES_OF_A_QR_CODE
    return count


def _prepare(node: Any) -> None:
    """Collapse spaces as HTML does, break long words and draw QR codes, in place, at whatever depth."""
    if isinstance(node, dict):
        if node.get("type") == "qr_code":
            node["svg"] = _qr_svg(node["data"])
        for value in node.values():
            _prepare(value)
    elif isinstance(node, list):
        at_start = True
        for one in node:
            if isinstance(one, dict) and one.get("type") == "text":
                text = _SPACES.sub(" ", one["text"])
                one["text"] = _LONG_WORD.sub(_breakable, text.lstrip(" ") if at_start else text)
                at_start = at_start and not one["text"]
            else:
                at_start = True
                _prepare(one)


def _breakable(word: re.Match[str]) -> str:
    return _BREAK_AFTER.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", word[0])


@lru_cache(maxsize=64)
def _qr_svg(data: str) -> str:
    """A QR code without a quiet zone, error correction M, never a micro code (content.md §7.4).

    The last ones are kept: most templates have one that is the same in every letter.
    """
    out = io.BytesIO()
    segno.make(data, error="m", micro=False, boost_error=False).save(out, kind="svg", border=0, xmldecl=False)
    return out.getvalue().decode()

"""Looks of letters that are not sent: wording, as far as it is filled in, as PDF or pictures (content.md §7).

It lays out what anybody may have written, in a process of its own: see `reader_process`.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from notify_letters.domain.letter import PersonalisationValue
from notify_letters.domain.template import TemplateVersion
from notify_letters.pdf.fonts import Fonts
from notify_letters.pdf.joining import joined
from notify_letters.pdf.layout import ContentInvalid, Letter, LetterInvalid, LetterLayout
from notify_letters.pdf.pages import count_pages, page_png
from notify_letters.pdf.typesetter import LetterHead, Typesetter, TypesettingFailed

NOTHING: Final = {"page_count": 0, "welsh_page_count": 0, "attachment_page_count": 0}
"""What is said of wording that can't be laid out."""


class Wording(NamedTuple):
    """What is to be laid out, as JSON can have it: read back by `from_json`."""

    version: Mapping[str, str]
    """Fields of TemplateVersion."""
    personalisation: Sequence[tuple[str, PersonalisationValue]]
    letter_time: str
    """ISO 8601."""
    head: Sequence[str]
    """Fields of LetterHead."""
    format: str
    """`pdf`, `png` or `count`."""
    page_number: int
    """The page to draw, from 1."""
    attachment: str
    """The PDF whose pages come last, in Base64; empty for none."""
    logo_svg: str
    """The logo of the service, in place of the head; empty for none."""


def preview(told: Mapping[str, Any], fonts: Fonts) -> tuple[dict[str, int], bytes]:
    """Lay wording out; returns how many pages there are of which kind, and what was made.

    What was made is empty where pages are only counted, past the last page, and, with NOTHING, where the
    wording is more than fits a letter. A character that no font has is an empty box.

    Args:
        told: the fields of Wording.
    """
    wording = Wording(**told)
    time = datetime.fromisoformat(wording.letter_time)
    typesetter = Typesetter(fonts, LetterHead(*wording.head))
    try:
        letter = LetterLayout(TemplateVersion(**wording.version)).preview(dict(wording.personalisation), time)
        letter["logo_svg"] = wording.logo_svg
        typeset = typesetter.typeset(letter, time, allow_boxes=True)
        welsh_page_count = _welsh_page_count(typesetter, letter, time)
    except (ContentInvalid, LetterInvalid, TypesettingFailed):
        return dict(NOTHING), b""
    attachment = base64.b64decode(wording.attachment)
    attachment_page_count = count_pages(attachment) if attachment else 0
    counts = {
        "page_count": typeset.page_count + attachment_page_count,
        "welsh_page_count": welsh_page_count,
        "attachment_page_count": attachment_page_count,
    }
    match wording.format:
        case "png" if wording.page_number <= typeset.page_count:
            return counts, page_png(typeset.content, wording.page_number, in_colour=True)
        case "png" if wording.page_number <= counts["page_count"]:
            return counts, page_png(attachment, wording.page_number - typeset.page_count)
        case "pdf":
            return counts, joined(typeset.content, attachment) if attachment else typeset.content
        case _:
            return counts, b""


def _welsh_page_count(typesetter: Typesetter, letter: Letter, time: datetime) -> int:
    if len(letter["parts"]) == 1:
        return 0
    return typesetter.typeset({**letter, "parts": letter["parts"][:1]}, time, allow_boxes=True).page_count

"""What checking a letter that came as a PDF says of it (pipeline.md §4.3, content.md §7.6)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from notify_common.enums import Postage
from notify_content.postal_address import MAX_LINES, MIN_LINES

from notify_letters.domain.letter import LETTER_TOO_LONG, MAX_ADDRESS_LINE, MAX_PAGES

_LONGEST_FAILURE: Final = 100


class Failure(StrEnum):
    """A rule that such a letter breaks, by the name that clients know it under.

    Besides these there are the codes of addresses (content.md §10.6).
    """

    UNREADABLE = "unable-to-read-the-file"
    TOO_LONG = LETTER_TOO_LONG
    NOT_A4_PORTRAIT = "letter-not-a4-portrait-oriented"
    OUTSIDE_PRINTABLE_AREA = "content-outside-printable-area"
    START_MARK_IN_CONTENT = "notify-tag-found-in-content"


@dataclass(frozen=True, slots=True)
class Inspected:
    """What came of checking a letter."""

    page_count: int
    """0 where it could not be read."""
    failure: str = ""
    """The first rule that it breaks; empty for none."""
    pages: tuple[int, ...] = ()
    """The pages that break it, from 1; empty where it is none in particular."""
    address_lines: tuple[str, ...] = field(default=(), repr=False)
    """As printed, 3 to 7; empty where it failed."""
    zone: str = ""
    """Where it goes: `united-kingdom`, `europe` or `rest-of-world`; empty where it failed."""
    fonts_missing: int = 0
    """Fonts that the file lacks and for which there is no other."""

    def is_possible(self, *, is_attachment: bool = False) -> bool:
        """Whether this can be what came of a check, of a letter or of an attachment, which has no address."""
        if self.failure:
            return len(self.failure) <= _LONGEST_FAILURE and len(self.pages) <= MAX_PAGES
        lines = self.address_lines
        if is_attachment:
            return 1 <= self.page_count <= MAX_PAGES and not lines
        return (
            1 <= self.page_count <= MAX_PAGES
            and MIN_LINES <= len(lines) <= MAX_LINES
            and all(0 < len(line) <= MAX_ADDRESS_LINE and "\0" not in line for line in lines)
        )

    @property
    def postage(self) -> Postage | None:
        """The class of post that the address asks for; None for addresses at home, which ask for none."""
        return Postage(self.zone) if self.zone in (Postage.EUROPE, Postage.REST_OF_WORLD) else None


UNREADABLE: Final = Inspected(0, Failure.UNREADABLE)
"""What is said of a file that nothing could be found out about."""

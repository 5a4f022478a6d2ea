"""A letter's life and limits (pipeline.md §2.7, §4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

MAX_PAGES = 10
MAX_ADDRESS_LINE = 200
"""Characters of an address line: a longer one would be too small to read. 500 letters stay within a chunk."""
MAX_CREATE = 500
RENDER_BATCH_SIZE = 40

PersonalisationValue = str | list[str] | None


class LetterState(StrEnum):
    """Where a letter stands; the value is the stored text. States only move down this list."""

    CREATED = "created"
    """Stored; its PDF is not made yet."""
    READY = "ready"
    """The PDF is within the limits: waits for a print run."""
    SUBMITTING = "submitting"
    """In a print batch that is being handed to providers."""
    SUBMITTED = "submitted"
    """Providers have it."""
    VALIDATION_FAILED = "validation-failed"
    """Breaks a rule; never printed."""
    TECHNICAL_FAILURE = "technical-failure"
    """Its PDF could not be made."""


class EventKind(StrEnum):
    """What the feed says of a letter; the value is the stored text and equals the state it tells of."""

    READY = "ready"
    VALIDATION_FAILED = "validation-failed"
    TECHNICAL_FAILURE = "technical-failure"


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter as it is taken over. Fields as in `notify.letters.v1.Letter`."""

    id: UUID
    service_id: UUID
    key_type: str
    template_id: UUID
    template_version: int
    personalisation: list[tuple[str, PersonalisationValue]]
    """In the client's order: of keys that normalise to the same name the last one wins."""
    address_lines: list[str]
    postage: str
    reference: str
    create_time: datetime
    origin_request_id: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """What became of one letter's rendering."""

    letter_id: UUID
    kind: EventKind
    page_count: int
    """0 where no PDF was made."""

    @property
    def sheet_count(self) -> int:
        """Sheets of paper; 0 where no PDF was made."""
        return sheets(self.page_count)


def rendered(letter_id: UUID, page_count: int) -> Rendered:
    """Judge a PDF that was made by its number of pages, at least 1 (pipeline.md §2.7 step 6a)."""
    kind = EventKind.READY if page_count <= MAX_PAGES else EventKind.VALIDATION_FAILED
    return Rendered(letter_id, kind, page_count)


def not_rendered(letter_id: UUID, kind: EventKind) -> Rendered:
    """The outcome of a letter without a PDF: VALIDATION_FAILED or TECHNICAL_FAILURE."""
    return Rendered(letter_id, kind, 0)


def sheets(page_count: int) -> int:
    """Sheets of paper that pages take, printed on both sides (pipeline.md §4.4)."""
    return (page_count + 1) // 2


def render_batches(letters: Sequence[NewLetter], size: int = RENDER_BATCH_SIZE) -> list[Sequence[NewLetter]]:
    """Cut letters into batches of at most `size`, in order."""
    return [letters[start : start + size] for start in range(0, len(letters), size)]


def pdf_key(letter_id: UUID) -> str:
    """Key of a letter's PDF in the blob store: the id alone decides it, so rendering again overwrites."""
    return f"letters/pdf/{letter_id}.pdf"

"""A letter's life and limits (pipeline.md §2.7, §4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notify_common.enums import KeyType, Lane, Postage

MAX_PAGES = 10
MAX_ADDRESS_LINE = 200
"""Characters of an address line: a longer one would be too small to read. 500 letters stay within a chunk."""
RENDER_BATCH_SIZE = 40
LETTER_TOO_LONG = "letter-too-long"
"""The failure of a letter of more than MAX_PAGES (pipeline.md §4.3)."""

PersonalisationValue = str | list[str] | None


class LetterState(StrEnum):
    """Where a letter stands; the value is the stored text. States only move down this list."""

    CREATED = "created"
    """Stored; its PDF is not made yet."""
    READY = "ready"
    """The PDF is within the limits: waits for a print run."""
    SUBMITTING = "submitting"
    """In a print batch. The rows stay so once providers have the batch: that is written down once a batch,
    and letters are read with it (`LetterState.SUBMITTED`)."""
    SUBMITTED = "submitted"
    """In a print batch that providers have."""
    VALIDATION_FAILED = "validation-failed"
    """Breaks a rule; never printed."""
    TECHNICAL_FAILURE = "technical-failure"
    """Its PDF could not be made."""
    CANCELLED = "cancelled"
    """Never printed, because its service said so in time."""


class EventKind(StrEnum):
    """What the feed says of a letter; the value is the stored text."""

    READY = "ready"
    VALIDATION_FAILED = "validation-failed"
    TECHNICAL_FAILURE = "technical-failure"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    """The post brought it back; it stays submitted."""


class Cancellation(StrEnum):
    """What became of cancelling a letter."""

    CANCELLED = "cancelled"
    TOO_LATE = "too-late"
    NOT_CANCELLABLE = "not-cancellable"
    NOT_FOUND = "not-found"


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter as it is taken over. Fields as in `notify.letters.v1.Letter`."""

    id: str
    service_id: str
    key_type: KeyType
    template_id: str
    template_version: int
    personalisation: list[tuple[str, PersonalisationValue]]
    """In the client's order: of keys that normalise to the same name the last one wins."""
    address_lines: list[str]
    postage: Postage
    reference: str
    create_time: datetime
    origin_request_id: str
    traceparent: str
    lane: Lane = Lane.API


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it stands, without its personalisation. Fields as in `notify.letters.v1.Letter`."""

    id: str
    service_id: str
    key_type: KeyType
    template_id: str
    template_version: int
    address_lines: list[str]
    postage: Postage
    reference: str
    create_time: datetime
    origin_request_id: str
    traceparent: str
    state: LetterState
    page_count: int
    sheet_count: int
    failure: str
    failure_detail: str
    pdf_sha256: str
    remove_time: datetime | None
    """When its PDF, address and values were removed for age."""


@dataclass(frozen=True, slots=True)
class LetterToRender:
    """What typesetting a letter takes."""

    id: str
    service_id: str
    template_id: str
    template_version: int
    personalisation: list[tuple[str, PersonalisationValue]]
    address_lines: list[str]
    create_time: datetime


@dataclass(frozen=True, slots=True)
class LetterToPrint:
    """What the printer is told of a letter, and what the manifest says of it."""

    id: str
    service_id: str
    key_type: KeyType
    address_lines: list[str]
    postage: Postage
    reference: str
    page_count: int
    sheet_count: int
    pdf_sha256: str
    """Hexadecimal; empty for PDFs made before it was recorded."""
    request_id: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class AwaitingLetter:
    """A letter that waits for a print run."""

    id: str
    service_id: str
    postage: Postage
    create_time: datetime
    page_count: int
    sheet_count: int


@dataclass(frozen=True, slots=True)
class LetterEvent:
    """Something that happened to a letter, as the feed has it."""

    letter_id: str
    kind: EventKind
    event_time: datetime
    page_count: int
    sheet_count: int


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What is recorded of a PDF when it is stored."""

    page_count: int
    size_bytes: int
    sha256: str
    """Hexadecimal."""


NO_PDF = PdfFacts(0, 0, "")


@dataclass(frozen=True, slots=True)
class Rendered:
    """What became of one letter's rendering."""

    letter_id: str
    kind: EventKind
    pdf: PdfFacts
    """NO_PDF where none was made."""
    failure: str = ""
    """Which rule it breaks, where it is VALIDATION_FAILED."""
    failure_detail: str = ""
    """What of the letter breaks it."""

    @property
    def sheet_count(self) -> int:
        """Sheets of paper; 0 where no PDF was made."""
        return sheets(self.pdf.page_count)


def rendered(letter_id: str, pdf: PdfFacts) -> Rendered:
    """Judge a PDF that was made by its number of pages, at least 1 (pipeline.md §2.7 step 6a)."""
    if pdf.page_count <= MAX_PAGES:
        return Rendered(letter_id, EventKind.READY, pdf)
    return Rendered(letter_id, EventKind.VALIDATION_FAILED, pdf, LETTER_TOO_LONG)


def invalid(letter_id: str, failure: str, failure_detail: str) -> Rendered:
    """Return the outcome of a letter that breaks a rule before a PDF is made."""
    return Rendered(letter_id, EventKind.VALIDATION_FAILED, NO_PDF, failure, failure_detail)


def not_rendered(letter_id: str) -> Rendered:
    """Return the outcome of a letter of which the platform can't make a PDF."""
    return Rendered(letter_id, EventKind.TECHNICAL_FAILURE, NO_PDF)


def sheets(page_count: int) -> int:
    """Return the sheets of paper that pages take, printed on both sides (pipeline.md §4.4)."""
    return (page_count + 1) // 2


def render_batches(letters: Sequence[NewLetter], size: int = RENDER_BATCH_SIZE) -> list[Sequence[NewLetter]]:
    """Cut letters into batches of at most `size`, each of one service and lane, in order."""
    by_tenant: dict[tuple[Lane, str], list[NewLetter]] = {}
    for letter in letters:
        by_tenant.setdefault((letter.lane, letter.service_id), []).append(letter)
    return [some[start : start + size] for some in by_tenant.values() for start in range(0, len(some), size)]


def pdf_key(letter_id: str) -> str:
    """Return the key of a letter's PDF in the blob store: the id alone decides it, so rendering again
    overwrites.
    """
    return f"letters/pdf/{letter_id}.pdf"

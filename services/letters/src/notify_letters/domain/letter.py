"""A letter's life and limits (pipeline.md §2.7, §2.8, §4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from notify_common.enums import KeyType, Lane, Postage

MAX_PAGES = 10
MAX_ADDRESS_LINE = 200
"""Characters of an address line: a longer one would be too small to read. 500 letters stay within a chunk."""
MAX_UPLOAD_BYTES = 10 * 1024 * 1024
"""Size of a PDF that comes ready made."""
RENDER_BATCH_SIZE = 40
LETTER_TOO_LONG = "letter-too-long"
"""The failure of a letter of more than MAX_PAGES (pipeline.md §4.3)."""

PersonalisationValue = str | list[str] | None


class LetterState(StrEnum):
    """Where a letter stands; the value is the stored text. States only move down this list."""

    PENDING_VIRUS_CHECK = "pending-virus-check"
    """Stored; its PDF came ready made and waits to be scanned for viruses and checked."""
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
    """Its PDF could not be made, or not be scanned, or is gone."""
    VIRUS_SCAN_FAILED = "virus-scan-failed"
    """Its PDF holds a virus; never printed."""
    CANCELLED = "cancelled"
    """Never printed, because its service said so in time."""


class Source(StrEnum):
    """Where a letter's PDF comes from; the value is the stored text."""

    TEMPLATE = "template"
    """The platform typesets it."""
    PRECOMPILED = "precompiled"
    """It came ready made; the platform checks it and makes it printable."""


class EventKind(StrEnum):
    """What the feed says of a letter; the value is the stored text."""

    READY = "ready"
    VALIDATION_FAILED = "validation-failed"
    TECHNICAL_FAILURE = "technical-failure"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    """The post brought it back; it stays submitted."""
    VIRUS_SCAN_FAILED = "virus-scan-failed"


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
    precompiled: "PrecompiledPdf | None" = None
    """Set where its PDF came ready made."""


@dataclass(frozen=True, slots=True)
class PrecompiledPdf:
    """How a PDF that came ready made is to be taken. Fields as in `notify.letters.v1.PrecompiledPdf`."""

    allow_international: bool
    uploaded: bool = False


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
    failure_pages: list[int]
    source: Source
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
    postage: Postage | None
    """What the address in its PDF asks for; None where that is nothing, or where it is of a template."""


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What is recorded of a PDF when it is stored."""

    page_count: int
    size_bytes: int
    sha256: str
    """Hexadecimal."""


NO_PDF = PdfFacts(0, 0, "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of making one letter's PDF, or of checking the one that came."""

    letter_id: str
    kind: EventKind
    pdf: PdfFacts
    """NO_PDF where none was made."""
    failure: str = ""
    """Which rule it breaks, where it is VALIDATION_FAILED."""
    failure_detail: str = ""
    """What of the letter breaks it."""
    failure_pages: tuple[int, ...] = ()
    """The pages that break it, from 1."""
    address_lines: tuple[str, ...] | None = field(default=None, repr=False)
    """The address, where it was read from the PDF."""
    postage: Postage | None = None
    """The class of post that this address asks for; None for the one that the letter has."""

    @property
    def sheet_count(self) -> int:
        """Sheets of paper; 0 where no PDF was made."""
        return sheets(self.pdf.page_count)


def rendered(letter_id: str, pdf: PdfFacts) -> Outcome:
    """Judge a PDF that was made by its number of pages, at least 1 (pipeline.md §2.7 step 6a)."""
    if pdf.page_count <= MAX_PAGES:
        return Outcome(letter_id, EventKind.READY, pdf)
    return Outcome(letter_id, EventKind.VALIDATION_FAILED, pdf, LETTER_TOO_LONG)


def invalid(letter_id: str, failure: str, failure_detail: str) -> Outcome:
    """Return the outcome of a letter that breaks a rule before a PDF is made."""
    return Outcome(letter_id, EventKind.VALIDATION_FAILED, NO_PDF, failure, failure_detail)


def not_rendered(letter_id: str) -> Outcome:
    """Return the outcome of a letter of which the platform can't make a PDF."""
    return Outcome(letter_id, EventKind.TECHNICAL_FAILURE, NO_PDF)


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


def app_key(service_id: str, upload_id: str) -> str:
    """Key of a PDF in the buckets that the admin web app puts letters and attachments into."""
    return f"service-{service_id}/{upload_id}.pdf"


def attachment_key(attachment_id: str) -> str:
    """Key of a PDF that is printed behind letters of a template, once it was made printable."""
    return f"letters/attachments/{attachment_id}.pdf"


def upload_key(letter_id: str) -> str:
    """Key of a PDF as it came: until it is checked, and beside the printable one for as long as that."""
    return f"letters/uploads/{letter_id}.pdf"


def invalid_key(letter_id: str) -> str:
    """Key of a PDF as it came, once it failed its check."""
    return f"letters/invalid/{letter_id}.pdf"


def infected_key(letter_id: str) -> str:
    """Key of a PDF that holds a virus, which nobody is given."""
    return f"letters/infected/{letter_id}.pdf"


def blob_keys(letter_id: str, source: Source) -> list[str]:
    """Keys of all that the blob store may hold of a letter."""
    if source is Source.TEMPLATE:
        return [pdf_key(letter_id)]
    return [key(letter_id) for key in (pdf_key, upload_key, invalid_key, infected_key)]

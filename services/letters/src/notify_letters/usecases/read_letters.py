"""Read letters, their PDFs and what happened to them."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError

from notify_letters.domain.letter import (
    AwaitingLetter,
    Letter,
    LetterEvent,
    LetterState,
    Source,
    invalid_key,
    pdf_key,
)
from notify_letters.pdf.geometry import printable
from notify_letters.pdf.pages import page_png
from notify_letters.pdf.reader import PdfReader, ReaderDied, Zones
from notify_letters.store import letters

CHUNK_BYTES = 256 * 1024
AWAITING_PAGE = 500


class PdfDownload(NamedTuple):
    """A PDF on its way out."""

    size_bytes: int
    """Of the whole PDF."""
    page_count: int
    sha256: str
    chunks: Iterator[bytes]


def get_letter(uow: UnitOfWork, service_id: str, letter_id: str) -> Letter:
    """Return a service's letter.

    Raises:
        NotifyError: LETTER_NOT_FOUND.
    """
    with uow.autocommit() as tx:
        letter = letters.get(tx, service_id, letter_id)
    if letter is None:
        raise NotifyError("LETTER_NOT_FOUND")
    return letter


def download_pdf(
    uow: UnitOfWork, blobs: BlobStore, service_id: str, letter_id: str, offset: int
) -> PdfDownload:
    """Return a letter's PDF from a byte on, in chunks of at most 256 KiB. No transaction is open while they
    are read.

    Raises:
        NotifyError: LETTER_NOT_FOUND; PDF_NOT_READY; VIRUS_FOUND; PDF_REMOVED.
    """
    letter = _with_pdf(uow, service_id, letter_id)
    key = _key(letter)
    size = blobs.head(key).size
    ranges = (
        blobs.get_range(key, start, min(start + CHUNK_BYTES, size))
        for start in range(offset, size, CHUNK_BYTES)
    )
    chunks = ranges if offset else blobs.iter_chunks(key, CHUNK_BYTES)
    return PdfDownload(size, letter.page_count, letter.pdf_sha256, chunks)


def get_page_image(
    uow: UnitOfWork,
    blobs: BlobStore,
    reader: PdfReader,
    service_id: str,
    letter_id: str,
    page_number: int,
    *,
    mark_zones: bool,
) -> tuple[bytes, int]:
    """Return one page of a letter, from 1, as a PNG about 1,000 pixels wide, and the number of pages.

    What a stranger made is drawn in a process apart.

    Args:
        mark_zones: whether to mark where nothing may be printed, and the address window.

    Raises:
        NotifyError: LETTER_NOT_FOUND; PDF_NOT_READY, also where a ready-made PDF can't be drawn; VIRUS_FOUND;
            PDF_REMOVED; PAGE_NOT_FOUND.
    """
    letter = _with_pdf(uow, service_id, letter_id)
    if letter.page_count and not 1 <= page_number <= letter.page_count:
        raise NotifyError("PAGE_NOT_FOUND", f"The letter has {letter.page_count} pages.")
    pdf = blobs.get(_key(letter))
    if letter.source is Source.TEMPLATE:
        return page_png(pdf, page_number, printable(page_number) if mark_zones else ()), letter.page_count
    try:
        return reader.page_png(pdf, page_number, Zones.LETTER if mark_zones else None)
    except ReaderDied:
        raise NotifyError("PDF_NOT_READY") from None


def letters_awaiting_print(
    uow: UnitOfWork, deadline: datetime | None, after: tuple[str, str, datetime, str] | None
) -> Iterator[list[AwaitingLetter]]:
    """Yield the letters that a run would take, in the order of printing, in pages of 500.

    Args:
        after: position (postage, service, create time, id) of the last letter that is known.
    """
    while True:
        with uow.autocommit() as tx:
            page = letters.awaiting_print(tx, deadline, after, AWAITING_PAGE)
        if not page:
            return
        yield page
        last = page[-1]
        after = last.postage, last.service_id, last.create_time, last.id


def list_letter_events(uow: UnitOfWork, cursor: str, limit: int) -> tuple[list[LetterEvent], str]:
    """Return events after a cursor, oldest first, and where to go on (design.md §3.4)."""
    with uow.autocommit() as tx:
        return letters.read_events(tx, cursor, limit)


def _with_pdf(uow: UnitOfWork, service_id: str, letter_id: str) -> Letter:
    letter = get_letter(uow, service_id, letter_id)
    if letter.remove_time is not None:
        raise NotifyError("PDF_REMOVED")
    if letter.state is LetterState.VIRUS_SCAN_FAILED:
        raise NotifyError("VIRUS_FOUND")
    if letter.state is LetterState.PENDING_VIRUS_CHECK or not (letter.page_count or letter.pdf_sha256):
        raise NotifyError("PDF_NOT_READY")
    return letter


def _key(letter: Letter) -> str:
    if letter.source is Source.PRECOMPILED and letter.state is LetterState.VALIDATION_FAILED:
        return invalid_key(letter.id)
    return pdf_key(letter.id)

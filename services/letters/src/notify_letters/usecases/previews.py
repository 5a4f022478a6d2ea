"""Looks of letters that are not sent, and of PDFs that are not letters yet. Nothing is stored."""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_common.errors import NotifyError

from notify_letters.domain.letter import PersonalisationValue
from notify_letters.domain.precompiled import UNREADABLE, Inspected
from notify_letters.domain.template import TemplateVersion
from notify_letters.pdf.reader import PdfReader, Preview, ReaderDied, Zones
from notify_letters.usecases.template_assets import Logos, read_uploaded


class Format(StrEnum):
    """What is made of wording."""

    PDF = "pdf"
    PNG = "png"
    COUNT = "count"
    """Nothing: the pages are counted alone."""


@dataclass(frozen=True, slots=True)
class PreviewCommand:
    """A wish to see wording. Fields as in `notify.letters.v1.RenderPreviewRequest`."""

    service_id: str
    version: TemplateVersion
    personalisation: Sequence[tuple[str, PersonalisationValue]]
    letter_time: datetime
    format: Format
    page_number: int
    attachment_id: str
    logo_filename: str


def render_preview(
    reader: PdfReader,
    attachments: BlobStore | None,
    logos: Logos,
    head: Sequence[str],
    command: PreviewCommand,
) -> tuple[Preview, bytes]:
    """Lay wording out in a process apart; returns its pages, and the PDF or picture.

    Args:
        attachments: where the PDFs are that are attached to templates; None where there are none.
        head: the fields of `typesetter.LetterHead`.

    Raises:
        NotifyError: LETTER_NOT_PREVIEWABLE; PAGE_NOT_FOUND; ATTACHMENT_NOT_FOUND.
    """
    attachment = b""
    if command.attachment_id:
        attachment = _attachment(attachments, command.service_id, command.attachment_id)
    wording = {
        "version": asdict(command.version),
        "personalisation": command.personalisation,
        "letter_time": command.letter_time.isoformat(),
        "head": head,
        "format": command.format,
        "page_number": command.page_number,
        "attachment": base64.b64encode(attachment).decode(),
        "logo_svg": _logo(logos, command.logo_filename),
    }
    try:
        preview, made = reader.preview(wording)
    except ReaderDied as error:
        raise NotifyError("LETTER_NOT_PREVIEWABLE", str(error)) from None
    if not preview.page_count:
        raise NotifyError("LETTER_NOT_PREVIEWABLE")
    if not made and command.format is Format.PNG:
        raise NotifyError("PAGE_NOT_FOUND", f"The letter has {preview.page_count} pages.")
    return preview, made


def mark_pdf(reader: PdfReader, pdf: bytes, zones: Zones) -> tuple[bytes, int]:
    """Mark on all pages of a PDF where nothing may be printed; returns the number of pages too.

    Raises:
        NotifyError: PDF_UNREADABLE.
    """
    try:
        return reader.with_zones(pdf, zones)
    except ReaderDied as error:
        raise NotifyError("PDF_UNREADABLE", str(error)) from None


def draw_page(reader: PdfReader, pdf: bytes, page_number: int, zones: Zones | None) -> tuple[bytes, int]:
    """Draw a page of a PDF as PNG; returns the number of pages too.

    Args:
        page_number: from 1; of a PDF of one page, which page of its letter it is.
        zones: None where nothing is to be marked.

    Raises:
        NotifyError: PDF_UNREADABLE; PAGE_NOT_FOUND.
    """
    try:
        png, page_count = reader.page_png(pdf, page_number, zones, lone_page=True)
    except ReaderDied as error:
        raise NotifyError("PDF_UNREADABLE", str(error)) from None
    if not png:
        raise NotifyError("PAGE_NOT_FOUND", f"The PDF has {page_count} pages.")
    return png, page_count


def sanitise_pdf(
    reader: PdfReader, pdf: bytes, zones: Zones, *, allow_international: bool
) -> tuple[Inspected, bytes]:
    """Check a PDF as one that comes ready made, in a process apart, and make it printable; the PDF to print
    is empty where it breaks a rule. A file that ends the process is unreadable."""
    try:
        return reader.check(
            pdf, allow_international=allow_international, is_attachment=zones is Zones.ATTACHMENT
        )
    except ReaderDied:
        return UNREADABLE, b""


def get_attachment_page_image(
    reader: PdfReader, attachments: BlobStore | None, service_id: str, attachment_id: str, page_number: int
) -> tuple[bytes, int]:
    """Return one page of what is attached to a template as PNG, and the number of its pages.

    Raises:
        NotifyError: ATTACHMENT_NOT_FOUND; PDF_UNREADABLE; PAGE_NOT_FOUND.
    """
    pdf = _attachment(attachments, service_id, attachment_id)
    try:
        png, page_count = reader.page_png(pdf, page_number)
    except ReaderDied as error:
        raise NotifyError("PDF_UNREADABLE", str(error)) from None
    if not png:
        raise NotifyError("PAGE_NOT_FOUND", f"The attachment has {page_count} pages.")
    return png, page_count


def _attachment(attachments: BlobStore | None, service_id: str, attachment_id: str) -> bytes:
    pdf = read_uploaded(attachments, service_id, attachment_id) if service_id else None
    if pdf is None:
        raise NotifyError("ATTACHMENT_NOT_FOUND")
    return pdf


def _logo(logos: Logos, filename: str) -> str:
    try:
        return logos.get(filename)
    except BlobNotFound:
        return ""

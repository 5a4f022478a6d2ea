"""What letters of templates hold besides their wording: attached PDFs, and logos of services."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_common.logging import get_logger

from notify_letters.domain.letter import MAX_UPLOAD_BYTES, app_key, attachment_key
from notify_letters.pdf.reader import PdfReader

LARGEST_LOGO_BYTES: Final = 512 * 1024
_LOGO_KEY: Final = "letters/static/images/letter-template/{}.svg"
_KEPT_ATTACHMENTS: Final = 4
_KEPT_LOGOS: Final = 32

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A PDF that is printed behind letters, or why it may not be."""

    pdf: bytes
    """Made printable; empty where it breaks a rule."""
    page_count: int
    failure: str = ""


class Attachments:
    """PDFs that are attached to templates, made printable once and kept in the blob store.

    The web app has put them into its bucket, where nobody here knows who else writes. Each is read in a
    process apart and checked by the rules of attachments (pipeline.md §4.3) when a letter with it is first
    typeset; what is printed is what came of that. Idempotency key: the attachment's id, whose PDF never
    changes.
    """

    def __init__(self, blobs: BlobStore, uploads: BlobStore | None, reader: PdfReader) -> None:
        """`uploads` is the web app's bucket; None where nothing is attached."""
        self._blobs = blobs
        self._uploads = uploads
        self._reader = reader
        self._known: _Newest[Attachment] = _Newest(_KEPT_ATTACHMENTS)

    def get(self, service_id: str, attachment_id: str) -> Attachment | None:
        """Return an attachment; None if there is no such PDF.

        Raises:
            ReaderDied: the process that reads it was ended; it may be tried again.
        """
        return self._known.get(attachment_id, lambda: self._load(service_id, attachment_id))

    def _load(self, service_id: str, attachment_id: str) -> Attachment | None:
        key = attachment_key(attachment_id)
        try:
            info = self._blobs.head(key)
            return Attachment(self._blobs.get(key), int(info.metadata["page_count"]))
        except BlobNotFound:
            pass
        uploaded = read_uploaded(self._uploads, service_id, attachment_id)
        if uploaded is None:
            get_logger().error("letter attachment is gone", attachment_id=attachment_id)
            return None
        inspected, printable = self._reader.check(uploaded, allow_international=False, is_attachment=True)
        if inspected.failure:
            get_logger().warning(
                "letter attachment breaks a rule", attachment_id=attachment_id, reason=inspected.failure
            )
            return Attachment(b"", inspected.page_count, inspected.failure)
        metadata = {"page_count": str(inspected.page_count)}
        self._blobs.put(key, printable, metadata=metadata, content_type="application/pdf")
        return Attachment(printable, inspected.page_count)


class Logos:
    """SVGs of letter brandings, which never change under a name."""

    def __init__(self, bucket: BlobStore | None) -> None:
        """`bucket` is the one into which the web app puts them; None where letters have none."""
        self._bucket = bucket
        self._known: _Newest[str] = _Newest(_KEPT_LOGOS)

    def get(self, filename: str) -> str:
        """Return an SVG; empty for no name, and where letters have none.

        Raises:
            BlobNotFound: there is none of this name, or it is larger than LARGEST_LOGO_BYTES.
        """
        if not filename or self._bucket is None:
            return ""
        return self._known.get(filename, lambda: self._load(filename)) or ""

    def _load(self, filename: str) -> str:
        assert self._bucket is not None  # noqa: S101 - the caller has looked
        key = _LOGO_KEY.format(filename)
        if self._bucket.head(key).size > LARGEST_LOGO_BYTES:
            raise BlobNotFound(key)
        return self._bucket.get(key).decode(errors="replace")


def read_uploaded(uploads: BlobStore | None, service_id: str, upload_id: str) -> bytes | None:
    """Return a PDF that the web app has put into a bucket; None if there is none that would be taken."""
    if uploads is None:
        return None
    key = app_key(service_id, upload_id)
    try:
        return uploads.get(key) if uploads.head(key).size <= MAX_UPLOAD_BYTES else None
    except BlobNotFound:
        return None


class _Newest(Generic[V]):
    """The values that were asked for last, as many as are kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, V] = OrderedDict()

    def get(self, name: str, load: Callable[[], V | None]) -> V | None:
        """Return a value, loaded unless it is known; None, which is not kept, where `load` has none."""
        value = self._values.get(name) or load()
        if value is not None:
            self._values[name] = value
            self._values.move_to_end(name)
            if len(self._values) > self._most:
                self._values.popitem(last=False)
        return value

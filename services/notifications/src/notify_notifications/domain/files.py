"""Files that emails link to: which are taken, how links are made, how they are kept (public-api.md §2.5).

The key of a file stands in its link alone. Whoever has the database and the object store, and no link, learns
neither the name nor the content of a file, nor who may have it.
"""

import base64
import hmac
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from notify_common.errors import NotifyError

from notify_notifications.domain.sanitising import escape_markdown
from notify_notifications.domain.template import TemplateFile

LARGEST_BYTES: Final = 2 * 1024 * 1024 + 1024
"""Size of the largest file that is taken."""
LONGEST_NAME: Final = 100
DEFAULT_WEEKS: Final = 26
KEY_BYTES: Final = 32
MOST_TRIES: Final = 50
"""Addresses that may be tried for one file within TRIES_WITHIN (pipeline.md, Appendix C)."""
TRIES_WITHIN: Final = timedelta(minutes=5)
SETTLED_AFTER: Final = timedelta(hours=1)
"""After this long it is known whether the message came for which a file was stored."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".csv": "text/csv",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".rtf": "text/rtf",
    ".txt": "text/plain",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The endings that are taken, in the order in which refusals name them, and the media type of each."""

_ENDINGS: Final = {kind: ending for ending, kind in MEDIA_TYPES.items() if ending != ".jpeg"}
_UNKNOWN: Final = "application/octet-stream"
_SIGNATURES: Final = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"{\\rtf", "text/rtf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
    (b"MZ", "application/x-dosexec"),
    (b"\x7fELF", "application/x-executable"),
    (b"GIF8", "image/gif"),
    (b"\x1f\x8b", "application/gzip"),
)
_ZIP: Final = b"PK\x03\x04"
_PACKAGES: Final = (
    ("word/document.xml", MEDIA_TYPES[".docx"]),
    ("xl/workbook.xml", MEDIA_TYPES[".xlsx"]),
)
_ZIPPED: Final = "application/zip"
_MOST_MEMBERS: Final = 10_000
_MARKUP: Final = (b"<!doctype html", b"<html", b"<script", b"<?php")
# What no text holds: the control characters but for tab, line feed, form feed, carriage return and escape.
_NO_TEXT: Final = bytes(code for code in range(32) if code not in b"\t\n\f\r\x1b")


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that a request to send brings."""

    key: str = field(repr=False)
    """Of the personalisation: whose placeholder the link takes."""
    id: str
    secret: bytes = field(repr=False)
    """The key, which stands in the link alone."""
    name: str = field(repr=False)
    """As the client gave it; empty for none."""
    size_bytes: int
    """Once decoded; -1 where it can't be decoded."""
    sha256: str
    open_to_all: bool
    """Whether it can be downloaded without naming the address that the email was sent to."""
    retention_weeks: int
    is_csv: bool


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file of its template as one email links to it."""

    id: str
    secret: bytes = field(repr=False)
    """The key, which stands in the link alone."""
    of: TemplateFile


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the database keeps of a file."""

    id: str
    service_id: str
    notification_id: str
    """Of the email that links to it."""
    sealed_name: bytes
    media_type: str
    size_bytes: int
    key_check: bytes
    """Tells the right key from others."""
    address_check: bytes | None
    """Tells the right address from others, with the key; None where none is asked for."""
    create_time: datetime
    expire_time: datetime
    copy_id: str | None = None
    """Of a file of a template: the copy whose content it is, which other emails share; None for its own."""


@dataclass(frozen=True, slots=True)
class FileCopy:
    """The content of a file of a template, kept for as long as an email links to it."""

    id: str
    """The file's id at admin."""
    service_id: str
    media_type: str
    size_bytes: int
    expire_time: datetime
    """No email that links to it can be followed after that."""


def new_secret() -> bytes:
    """Return a new key."""
    return os.urandom(KEY_BYTES)


def check_announced(file: NewFile) -> None:
    """Raise NotifyError for what is wrong with a file as it was announced, without its content."""
    if len(file.name) > LONGEST_NAME:
        raise NotifyError("FILE_NAME_TOO_LONG", metadata={"limit": str(LONGEST_NAME)})
    check_kind(file)


def check_kind(file: NewFile) -> None:
    """Raise NotifyError for a file's ending or size."""
    if file.name and ending_of(file.name) not in MEDIA_TYPES:
        raise _type_not_allowed(ending_of(file.name))
    if file.size_bytes < 0:
        raise NotifyError("FILE_NOT_DECODABLE")
    if file.size_bytes > LARGEST_BYTES:
        raise NotifyError("FILE_TOO_LARGE")
    if file.size_bytes == 0:
        raise NotifyError("FILE_EMPTY")


def media_type_of(file: NewFile, content: bytes) -> str:
    """Return the media type that a file is kept under: that of its ending, or else the one its content shows.

    Raises:
        NotifyError: FILE_TYPE_NOT_ALLOWED for content of a type that is not taken, whatever it is called.
    """
    found = detect(content)
    if found not in _ENDINGS:
        raise _type_not_allowed(found)
    if file.name:
        return MEDIA_TYPES[ending_of(file.name)]
    if found != "text/plain":
        return found
    if file.is_csv:
        return "text/csv"
    return "application/json" if _is_json(content) else found


def shown_name(file: NewFile, media_type: str) -> str:
    """Return the name under which a file is downloaded; one without a name is called by its id."""
    return file.name or f"{file.id}{_ENDINGS[media_type]}"


def ending_of(name: str) -> str:
    """Return the ending of a file's name, with its dot, in lower case; empty for none."""
    _, dot, ending = name.rpartition(".")
    return f"{dot}{ending}".lower()


def detect(content: bytes) -> str:
    """Return the media type that content shows by itself.

    Of packed documents the table of contents alone is read, and of anything no more than it takes to tell the
    types that are taken from others.
    """
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            return kind
    if content.startswith(_ZIP):
        return _packed(content)
    if any(byte in content for byte in _NO_TEXT) and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _UNKNOWN
    if content.lstrip()[:16].lower().startswith(_MARKUP):
        return "text/html"
    return "text/plain"


def _packed(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            if len(package.infolist()) > _MOST_MEMBERS:
                return _ZIPPED
            names = set(package.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return _ZIPPED
    # The first member of an OpenDocument, not compressed, is its media type (OpenDocument 1.3, part 2, §3.3).
    if b"mimetype" + MEDIA_TYPES[".odt"].encode() in content[:200]:
        return MEDIA_TYPES[".odt"]
    return next((kind for name, kind in _PACKAGES if name in names), _ZIPPED)


def _is_json(content: bytes) -> bool:
    if content.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _type_not_allowed(shown: str) -> NotifyError:
    allowed = ", ".join(f"'{ending}'" for ending in MEDIA_TYPES)
    return NotifyError("FILE_TYPE_NOT_ALLOWED", metadata={"type": shown, "allowed": allowed})


class FileLinks:
    """Makes the links that emails hold."""

    def __init__(self, page_url: str, api_base_url: str) -> None:
        """Take where the pages of files are, below which `/d/…` is, and where the API is."""
        self._page = page_url.rstrip("/")
        self._api = api_base_url.rstrip("/")

    def link(self, service_id: str, file: NewFile | AttachedFile) -> str:
        """Return the link to a file."""
        ids = "/".join(_short(UUID(id).bytes) for id in (service_id, file.id))
        return f"{self._page}/d/{ids}?key={_short(file.secret)}"

    def for_previews(self) -> "FileLinks":
        """Return what makes links of what is only looked at: they lead to nothing."""
        return _PreviewLinks(self._page, self._api)

    def test_link(self, service_id: str) -> str:
        """Return what stands in an email to a simulated address, for which nothing is stored."""
        return f"{self._api}/services/{service_id}/documents/test-document"


class _PreviewLinks(FileLinks):
    def link(self, service_id: str, file: NewFile | AttachedFile) -> str:
        return self.test_link(service_id)


def filled_link(file: TemplateFile, address: str) -> str:
    """Return what takes the place of a template file's placeholder: its address, or a link that says its
    text.
    """
    text = " ".join(file.link_text.split())
    return f"[{escape_markdown(text)}]({address})" if text else address


def copy_key(service_id: str, copy_id: str) -> str:
    """Return the key of the object that a copy of a template's file is."""
    return f"template-files/{service_id}/{copy_id}"


def template_file_key(service_id: str, file_id: str) -> str:
    """Return the key under which the admin web app puts a file of a template (internal-api.md §4.7)."""
    return f"{service_id}/{file_id}"


def _short(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


# --- what the key does --------------------------------------------------------------------------------------
# Each purpose has a key of its own, made of the one in the link by HMAC-SHA256. Content and name are each
# encrypted once under theirs, with the file's id as nonce and as what they are bound to.


def seal(secret: bytes, file_id: str, purpose: bytes, content: bytes) -> bytes:
    """Encrypt the content or the name of a file, for one `purpose` once."""
    id = UUID(file_id).bytes
    return AESGCM(_own_key(secret, purpose)).encrypt(id[-12:], content, id)


def unseal(secret: bytes, file_id: str, purpose: bytes, sealed: bytes) -> bytes:
    """Return what `seal` encrypted. Raises NotifyError LINK_INVALID where it is not that."""
    id = UUID(file_id).bytes
    try:
        return AESGCM(_own_key(secret, purpose)).decrypt(id[-12:], sealed, id)
    except InvalidTag:
        raise NotifyError("LINK_INVALID") from None


def key_check(secret: bytes) -> bytes:
    """Return what tells the right key from others and says nothing of it."""
    return _own_key(secret, b"check")


def address_check(secret: bytes, normalised_address: str) -> bytes:
    """Return what tells the right address from others, for whoever has the key."""
    return hmac.digest(_own_key(secret, b"address"), normalised_address.encode(), "sha256")


def is_same(one: bytes, other: bytes) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(one, other)


def _own_key(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, b"notify file " + purpose, "sha256")


def object_key(service_id: str, file_id: str) -> str:
    """Return the key of a file's object."""
    return f"files/{service_id}/{file_id}"

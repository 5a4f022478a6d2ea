"""Keep the files of emails, and hand them to those who have their links (public-api.md §2.5)."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from notify_common import clock
from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_common.clamd import ScanFailed, Scanner, ScannerUnavailable, Verdict
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.logging import describe_exception, get_logger
from notify_content import email_address
from prometheus_client import Counter

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.files import (
    LARGEST_BYTES,
    SETTLED_AFTER,
    TRIES_WITHIN,
    AttachedFile,
    FileCopy,
    NewFile,
    StoredFile,
    address_check,
    check_announced,
    check_kind,
    copy_key,
    is_same,
    key_check,
    media_type_of,
    object_key,
    seal,
    shown_name,
    template_file_key,
    unseal,
)
from notify_notifications.domain.template import TemplateFile
from notify_notifications.store import files as store
from notify_notifications.store.files import FileKey

_AT_ONCE: Final = 100
"""Files that one step removes or settles."""
_COPIES_AT_ONCE: Final = 10
_COPY_SECONDS: Final = 1.0
"""How long one call waits for all the copies that it needs."""
_CLOSED_SECONDS: Final = 5.0
_MOST_RUNNING: Final = 20
_NAME: Final = b"name"
_CONTENT: Final = b"content"

_REMOVED: Final = Counter(
    "notify_files_removed_total", "Files of emails that were removed, by why.", ["reason"]
)


class Copying:
    """Has files of templates copied, one at a time, on a thread of its own. Safe to share between threads.

    Whoever needs copies accepts other messages too: so they are waited for one second at most, and where that
    was not enough, or a store or the scanner did not answer, nobody waits for some seconds.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "copy-file")
        self._lock = threading.RLock()
        self._running: dict[str, Future[None]] = {}
        self._closed_until = 0.0

    def wait_for(self, file_id: str, copy: Callable[[], None], seconds: float) -> None:
        """Have a file copied, unless it is being copied already, and wait for that at most so long.

        Raises:
            NotifyError: what `copy` raises; UNAVAILABLE where it takes longer, and goes on.
        """
        with self._lock:
            running = self._running.get(file_id)
            if running is None:
                if clock.monotonic() < self._closed_until or len(self._running) >= _MOST_RUNNING:
                    raise NotifyError("UNAVAILABLE")
                running = self._running[file_id] = self._pool.submit(copy)
                running.add_done_callback(lambda _: self._forget(file_id))
        try:
            running.result(timeout=max(0, seconds))
        except NotifyError as error:
            if error.reason == "UNAVAILABLE":
                self._close()
            raise
        except TimeoutError:
            self._close()
            raise NotifyError("UNAVAILABLE") from None

    def _forget(self, file_id: str) -> None:
        with self._lock:
            self._running.pop(file_id, None)

    def _close(self) -> None:
        self._closed_until = clock.monotonic() + _CLOSED_SECONDS


@dataclass(frozen=True, slots=True)
class FileParts:
    """What keeping files needs; made once a process."""

    uow: UnitOfWork
    blobs: BlobStore
    scanner: Scanner | None
    """None where files are not scanned."""
    template_files: BlobStore | None = None
    """Where the admin web app puts files of templates; None where there is no such place."""
    copying: Copying = field(default_factory=Copying)


class FileFacts(NamedTuple):
    """What the page of a link shows."""

    service_name: str
    contact_link: str
    stored: StoredFile
    name: str


def read_files(files: Sequence[NewFile], chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content of each file, one after the other, as `chunks` bring them.

    Raises NotifyError UPLOAD_MISMATCH where they are not what was announced.
    """
    buffer = bytearray()
    for file in files:
        while len(buffer) < file.size_bytes:
            chunk = next(chunks, None)
            if not chunk:
                raise NotifyError("UPLOAD_MISMATCH")
            buffer += chunk
        content = bytes(buffer[: file.size_bytes])
        del buffer[: file.size_bytes]
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise NotifyError("UPLOAD_MISMATCH")
        yield content


def keep_files(
    parts: FileParts,
    service_id: str,
    notification_id: str,
    normalised_address: str,
    files: Sequence[NewFile],
    contents: Iterator[bytes],
) -> None:
    """Check and store the files of an email that is about to be accepted, one after the other.

    Idempotency key: each file's id, which no other request has. What is stored of them when the message is
    refused, or the process dies, goes by `drop_files` or, an hour later, by `settle_files`: the row that says
    that there is a file is there before its content is.

    Raises:
        NotifyError: FILE_TYPE_NOT_ALLOWED, VIRUS_FOUND; UNAVAILABLE where a file can't be scanned or
            stored; UPLOAD_MISMATCH.
    """
    for file, content in zip(files, contents, strict=True):
        check_announced(file)
        media_type = media_type_of(file, content)
        _scan(parts.scanner, content)
        now = clock.now()
        stored = StoredFile(
            id=file.id,
            service_id=service_id,
            notification_id=notification_id,
            sealed_name=seal(file.secret, file.id, _NAME, shown_name(file, media_type).encode()),
            media_type=media_type,
            size_bytes=len(content),
            key_check=key_check(file.secret),
            address_check=None if file.open_to_all else address_check(file.secret, normalised_address),
            create_time=now,
            expire_time=now + timedelta(weeks=file.retention_weeks),
        )
        with parts.uow.begin() as tx:
            store.append(tx, stored)
        _put(parts.blobs, object_key(service_id, file.id), seal(file.secret, file.id, _CONTENT, content))


class Attaching(NamedTuple):
    """An email that is about to be accepted, and the files of its template that it links to."""

    service_id: str
    notification_id: str
    normalised_address: str
    files: Sequence[AttachedFile]


def attach_files(parts: FileParts | None, emails: Sequence[Attaching]) -> list[NotifyError | None]:
    """Note the links of emails to files of their templates; return for each email why that can't be.

    The content is copied when the first email of a file is accepted, into an object that all its links share
    and that outlives the file at admin. Idempotency key: each link's id; what is noted of an email that is
    not accepted goes by `end_files` or `settle_files`, as for files of its own.

    Errors: FILE_TYPE_NOT_ALLOWED, FILE_TOO_LARGE, FILE_EMPTY, VIRUS_FOUND, TEMPLATE_FILE_MISSING; UNAVAILABLE
    where a file can't be read, scanned or stored now.
    """
    if parts is None or parts.template_files is None:
        get_logger().error("no place for files of templates")
        return [_missing(email.files[0].of) for email in emails]
    now = clock.now()
    wanted = {one.of.id: (email.service_id, one.of) for email in emails for one in email.files}
    refusals: dict[str, NotifyError] = {}
    until = clock.monotonic() + _COPY_SECONDS
    try:
        with parts.uow.autocommit() as tx:
            known = store.copies(tx, list(wanted), now)
        for id in wanted.keys() - known.keys():
            try:
                left = until - clock.monotonic()
                parts.copying.wait_for(id, partial(_copy, parts, *wanted[id], now), left)
            except NotifyError as error:
                refusals[id] = error
            except Exception as error:  # a fault that one file brings to light is not the others'
                get_logger().error("file of a template not copied", file_id=id, **describe_exception(error))
                refusals[id] = NotifyError("INTERNAL")
        needed = {id: _expiry(file, now) for id, (_, file) in wanted.items()}
        with parts.uow.begin() as tx:
            store.keep_copies(tx, needed, now)
            known = store.copies(tx, list(wanted), now)
            for id in wanted.keys() - known.keys():
                refusals.setdefault(id, NotifyError("UNAVAILABLE"))
            results = [
                next((refusals[one.of.id] for one in email.files if one.of.id in refusals), None)
                for email in emails
            ]
            rows = [
                _attached(email, one, known[one.of.id], now)
                for email, refusal in zip(emails, results, strict=True)
                if refusal is None
                for one in email.files
            ]
            if rows:
                store.append(tx, *rows)
    except NotifyError as error:
        return [error] * len(emails)
    return results


def _attached(email: Attaching, file: AttachedFile, copy: FileCopy, now: datetime) -> StoredFile:
    address = None if file.of.open_to_all else address_check(file.secret, email.normalised_address)
    return StoredFile(
        id=file.id,
        service_id=email.service_id,
        notification_id=email.notification_id,
        sealed_name=seal(file.secret, file.id, _NAME, file.of.filename.encode()),
        media_type=copy.media_type,
        size_bytes=copy.size_bytes,
        key_check=key_check(file.secret),
        address_check=address,
        create_time=now,
        expire_time=_expiry(file.of, now),
        copy_id=copy.id,
    )


def _expiry(file: TemplateFile, now: datetime) -> datetime:
    return now + timedelta(weeks=file.retention_weeks)


def _copy(parts: FileParts, service_id: str, file: TemplateFile, now: datetime) -> None:
    """Copy the content of a file of a template, unless somebody just did. Raises NotifyError."""
    with parts.uow.autocommit() as tx:
        if store.copies(tx, [file.id], now):
            return
    content = _uploaded(parts, service_id, file)
    announced = NewFile(
        key=file.filename,
        id=file.id,
        secret=b"",
        name=file.filename,
        size_bytes=len(content),
        sha256="",
        open_to_all=file.open_to_all,
        retention_weeks=file.retention_weeks,
        is_csv=False,
    )
    check_kind(announced)
    media_type = media_type_of(announced, content)
    _scan(parts.scanner, content)
    copy = FileCopy(file.id, service_id, media_type, len(content), _expiry(file, now))
    with parts.uow.begin() as tx:
        store.begin_copy(tx, copy)
    _put(parts.blobs, copy_key(service_id, file.id), content)
    with parts.uow.begin() as tx:
        store.end_copy(tx, copy.id)


def _uploaded(parts: FileParts, service_id: str, file: TemplateFile) -> bytes:
    """Return what the admin web app uploaded, or the beginning of what is too large."""
    assert parts.template_files is not None  # noqa: S101 - asked for before
    key = template_file_key(service_id, file.id)
    try:
        size = parts.template_files.head(key).size
        return parts.template_files.get_range(key, 0, min(size, LARGEST_BYTES + 1)) if size else b""
    except BlobNotFound:
        get_logger().error("file of a template is gone", file_id=file.id)
        raise _missing(file) from None
    except (BotoCoreError, ClientError) as error:
        raise _unavailable("file of a template not read", error) from None


def _missing(file: TemplateFile) -> NotifyError:
    return NotifyError("TEMPLATE_FILE_MISSING", metadata={"filename": file.filename})


def _put(blobs: BlobStore, key: str, content: bytes) -> None:
    try:
        blobs.put(key, content)
    except (BotoCoreError, ClientError) as error:
        raise _unavailable("file not stored", error) from None


def _scan(scanner: Scanner | None, content: bytes) -> None:
    if scanner is None:
        return
    try:
        verdict = scanner.scan(content)
    except (ScannerUnavailable, ScanFailed) as error:
        raise _unavailable("file not scanned", error) from None
    if verdict is Verdict.INFECTED:
        get_logger().error("virus found in file of an email")
        raise NotifyError("VIRUS_FOUND")


def _unavailable(what: str, error: Exception) -> NotifyError:
    get_logger().error(what, **describe_exception(error))
    return NotifyError("UNAVAILABLE")


def end_files(parts: FileParts, files: Sequence[FileKey], *, accepted: bool) -> None:
    """Note that the messages of files were accepted, or remove them; `settle_files` does what fails here."""
    try:
        if not accepted:
            _remove(parts, files, "refused")
            return
        with parts.uow.begin() as tx:
            store.settle(tx, [file.id for file in files])
    except (NotifyError, BotoCoreError, ClientError) as error:
        get_logger().warning("files left to be settled", **describe_exception(error))


def settle_files(parts: FileParts) -> int:
    """Note of files older than an hour whether their message was accepted, and remove those without; a
    bounded number at once. Returns how many.

    Dying in between leaves rows whose content is gone, with which the next call deals again.
    """
    with parts.uow.autocommit() as tx:
        found = store.unsettled(tx, clock.now() - SETTLED_AFTER, _AT_ONCE)
    _remove(parts, [file for file, accepted in found if not accepted], "orphan")
    settled = [file.id for file, accepted in found if accepted]
    if settled:
        with parts.uow.begin() as tx:
            store.settle(tx, settled)
    return len(found)


def remove_expired_files(parts: FileParts) -> int:
    """Remove files whose time is over, a bounded number at once; return how many."""
    with parts.uow.autocommit() as tx:
        found = store.expired(tx, clock.now(), _AT_ONCE)
    _remove(parts, found, "expired")
    return len(found)


def remove_expired_copies(parts: FileParts) -> int:
    """Remove contents of files of templates to which no link leads any more, a bounded number at once; return
    how many.

    A copy's row is locked until its object is gone, and counts as none from its time on: who accepts an email
    with the file then makes it anew, and waits for the lock.
    """
    with parts.uow.begin() as tx:
        found = store.lock_expired_copies(tx, clock.now(), _COPIES_AT_ONCE)
        for copy in found:
            parts.blobs.delete(copy_key(copy.service_id, copy.id))
        if found:
            store.delete_copies(tx, [copy.id for copy in found])
    return len(found)


def _remove(parts: FileParts, files: Sequence[FileKey], reason: str) -> None:
    if not files:
        return
    for file in files:
        if file.has_object:
            parts.blobs.delete(object_key(file.service_id, file.id))
    with parts.uow.begin() as tx:
        store.delete(tx, [file.id for file in files])
    _REMOVED.labels(reason).inc(len(files))


def get_file(
    parts: FileParts, snapshots: Snapshots, service_id: str, file_id: str, secret: bytes
) -> FileFacts:
    """Return what the page of a link shows. Raises NotifyError LINK_INVALID, LINK_EXPIRED."""
    stored = _find(parts, service_id, file_id, secret)
    service = snapshots.service(service_id)
    if service is None or not service.active:
        raise NotifyError("LINK_INVALID")
    name = unseal(secret, file_id, _NAME, stored.sealed_name).decode()
    return FileFacts(service.name, service.contact_link, stored, name)


def download_file(
    parts: FileParts, service_id: str, file_id: str, secret: bytes, address: str
) -> tuple[str, str, bytes]:
    """Return name, media type and content of a file, for somebody who names the `address` of its email.

    A try is counted before the address is looked at, so that many at once are no way round the limit.

    Raises:
        NotifyError: LINK_INVALID, LINK_EXPIRED, TOO_MANY_TRIES, EMAIL_ADDRESS_WRONG; UNAVAILABLE.
    """
    stored = _find(parts, service_id, file_id, secret)
    if stored.address_check is not None:
        with parts.uow.begin() as tx:
            may_try = store.count_try(tx, file_id, clock.now())
        if not may_try:
            raise NotifyError("TOO_MANY_TRIES", retry_after=TRIES_WITHIN)
        if not is_same(stored.address_check, address_check(secret, _normalised(address))):
            raise NotifyError("EMAIL_ADDRESS_WRONG")
    try:
        key = object_key(service_id, file_id)
        content = parts.blobs.get(key if stored.copy_id is None else copy_key(service_id, stored.copy_id))
    except BlobNotFound:
        raise NotifyError("LINK_INVALID") from None
    except (BotoCoreError, ClientError) as error:
        raise _unavailable("file not read", error) from None
    name = unseal(secret, file_id, _NAME, stored.sealed_name).decode()
    if stored.copy_id is None:
        content = unseal(secret, file_id, _CONTENT, content)
    return name, stored.media_type, content


def _find(parts: FileParts, service_id: str, file_id: str, secret: bytes) -> StoredFile:
    with parts.uow.autocommit() as tx:
        stored = store.get(tx, service_id, file_id)
    if stored is None or not is_same(stored.key_check, key_check(secret)):
        raise NotifyError("LINK_INVALID")
    if stored.expire_time <= clock.now():
        raise NotifyError("LINK_EXPIRED")
    return stored


def _normalised(address: str) -> str:
    try:
        return email_address.parse(address).normalised
    except email_address.InvalidEmailAddress:
        return ""

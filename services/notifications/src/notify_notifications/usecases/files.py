"""Keep the files of emails, and hand them to those who have their links (public-api.md §2.5)."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
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
    SETTLED_AFTER,
    TRIES_WITHIN,
    NewFile,
    StoredFile,
    address_check,
    check_announced,
    is_same,
    key_check,
    media_type_of,
    object_key,
    seal,
    shown_name,
    unseal,
)
from notify_notifications.store import files as store

_AT_ONCE: Final = 100
"""Files that one step removes or settles."""
_NAME: Final = b"name"
_CONTENT: Final = b"content"

_REMOVED: Final = Counter(
    "notify_files_removed_total", "Files of emails that were removed, by why.", ["reason"]
)


@dataclass(frozen=True, slots=True)
class FileParts:
    """What keeping files needs; made once a process."""

    uow: UnitOfWork
    blobs: BlobStore
    scanner: Scanner | None
    """None where files are not scanned."""


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
        try:
            parts.blobs.put(object_key(service_id, file.id), seal(file.secret, file.id, _CONTENT, content))
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


def end_files(parts: FileParts, service_id: str, file_ids: Sequence[str], *, accepted: bool) -> None:
    """Note that the message of files was accepted, or remove them; `settle_files` does what fails here."""
    try:
        if not accepted:
            _remove(parts, [(service_id, id) for id in file_ids], "refused")
            return
        with parts.uow.begin() as tx:
            store.settle(tx, file_ids)
    except (NotifyError, BotoCoreError, ClientError) as error:
        get_logger().warning("files left to be settled", **describe_exception(error))


def settle_files(parts: FileParts) -> int:
    """Note of files older than an hour whether their message was accepted, and remove those without; a
    bounded number at once. Returns how many.

    Dying in between leaves rows whose content is gone, with which the next call deals again.
    """
    with parts.uow.autocommit() as tx:
        found = store.unsettled(tx, clock.now() - SETTLED_AFTER, _AT_ONCE)
    _remove(parts, [(service_id, id) for service_id, id, accepted in found if not accepted], "orphan")
    settled = [id for _, id, accepted in found if accepted]
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


def _remove(parts: FileParts, files: Sequence[tuple[str, str]], reason: str) -> None:
    if not files:
        return
    for service_id, id in files:
        parts.blobs.delete(object_key(service_id, id))
    with parts.uow.begin() as tx:
        store.delete(tx, [id for _, id in files])
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
        sealed = parts.blobs.get(object_key(service_id, file_id))
    except BlobNotFound:
        raise NotifyError("LINK_INVALID") from None
    except (BotoCoreError, ClientError) as error:
        raise _unavailable("file not read", error) from None
    name = unseal(secret, file_id, _NAME, stored.sealed_name).decode()
    return name, stored.media_type, unseal(secret, file_id, _CONTENT, sealed)


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

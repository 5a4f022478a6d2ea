"""Take the PDF of a letter that is about to be sent."""

import hashlib
import tempfile
from collections.abc import Iterable
from datetime import timedelta
from typing import BinaryIO, NamedTuple, cast

from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.logging import get_logger
from notify_common.scratch import needs_room

from notify_letters.domain.letter import upload_key
from notify_letters.store import pdf_checks
from notify_letters.usecases.template_assets import read_uploaded

_MEMORY_BYTES = 1024 * 1024
_REMOVE_AT_ONCE = 200


class NewUpload(NamedTuple):
    """What is announced of a PDF. Fields as in `notify.letters.v1.UploadPdfHeader`."""

    letter_id: str
    service_id: str
    size_bytes: int
    sha256: str


def upload_pdf(uow: UnitOfWork, blobs: BlobStore, upload: NewUpload, chunks: Iterable[bytes]) -> bool:
    """Store a PDF under its letter's id; returns whether it was known already.

    Idempotency key: the letter's id, with the hash. Dying before all of it is stored leaves a row by which
    what there is of it is removed some day; sending it again goes over it. No transaction is open meanwhile.

    Raises:
        NotifyError: REQUEST_ID_REUSED for another PDF under a known id; UPLOAD_MISMATCH; OVERLOADED, no room
            on this machine.
    """
    with uow.begin() as tx:
        known = pdf_checks.begin_upload(tx, upload.letter_id, upload.service_id, upload.sha256)
    if (known.service_id, known.sha256) != (upload.service_id, upload.sha256):
        raise NotifyError("REQUEST_ID_REUSED")
    if known.stored:
        return True
    digest, size = hashlib.sha256(), 0
    with needs_room(), tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES) as file:
        for chunk in chunks:
            size += len(chunk)
            if size > upload.size_bytes:
                break
            digest.update(chunk)
            file.write(chunk)
        if (size, digest.hexdigest()) != (upload.size_bytes, upload.sha256):
            raise NotifyError("UPLOAD_MISMATCH")
        file.seek(0)
        blobs.put(upload_key(upload.letter_id), cast(BinaryIO, file), content_type="application/pdf")
    with uow.begin() as tx:
        pdf_checks.end_upload(tx, upload.letter_id)
    return False


def take_uploaded_pdf(
    uow: UnitOfWork, blobs: BlobStore, uploads: BlobStore | None, service_id: str, letter_id: str
) -> str:
    """Store the PDF that the admin web app put into `uploads`, as `upload_pdf` does; return its SHA-256.

    The web app's copy stays, as the message may be refused: it goes once the PDF is checked.

    Raises:
        NotifyError: UPLOAD_NOT_FOUND, where it is larger than any that is taken too; REQUEST_ID_REUSED for
            another service's, or another PDF under a known id.
    """
    with uow.autocommit() as tx:
        known = pdf_checks.get_upload(tx, letter_id)
    if known is not None and known.service_id != service_id:
        raise NotifyError("REQUEST_ID_REUSED")
    if known is not None and known.stored:
        return known.sha256
    pdf = read_uploaded(uploads, service_id, letter_id)
    if pdf is None:
        raise NotifyError("UPLOAD_NOT_FOUND")
    upload = NewUpload(letter_id, service_id, len(pdf), hashlib.sha256(pdf).hexdigest())
    upload_pdf(uow, blobs, upload, [pdf])
    return upload.sha256


def remove_untaken_uploads(uow: UnitOfWork, blobs: BlobStore, keep_days: float) -> int:
    """Forget uploads that are older than these days, and delete the PDFs of those that no letter came for.

    A bounded number at once; returns how many. An upload that is refused, or repeated under another id, has
    no letter. Dying in between leaves rows whose PDF is gone, which the next call forgets.
    """
    with uow.autocommit() as tx:
        old = pdf_checks.old_uploads(tx, timedelta(days=keep_days), _REMOVE_AT_ONCE)
    if not old:
        return 0
    untaken = [letter_id for letter_id, known in old if not known]
    for letter_id in untaken:
        blobs.delete(upload_key(letter_id))
    with uow.begin() as tx:
        pdf_checks.forget_uploads(tx, [letter_id for letter_id, _ in old])
    get_logger().info("old uploads forgotten", upload_count=len(old), untaken_count=len(untaken))
    return len(old)

"""The PDFs of letters, as what hands letters to a printer reads them.

The client of the store is imported by what uses it, as in `clients.aws`.
"""

import hashlib
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr

from notify_providers.clients.base import ProviderSettings
from notify_providers.clients.http_provider import Verdict
from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.message import PrintContent

if TYPE_CHECKING:
    from notify_common.blobs.s3 import BlobStore


class LetterPdfSettings(ProviderSettings):
    """Settings of a printer: where the PDFs of letters are."""

    blob_endpoint: str | None = None
    """URL of the S3-compatible store of the PDFs; without it, Amazon's."""
    blob_region: str = "eu-west-2"
    blob_bucket: str = "notify-letters"
    blob_access_key: str | None = None
    blob_secret_key: SecretStr | None = None


class LetterPdfs:
    """Reads the PDFs of letters, and gives out none but the one that the manifest names."""

    def __init__(self, blobs: "BlobStore") -> None:
        self._blobs = blobs

    @classmethod
    def of(cls, settings: LetterPdfSettings, call_seconds: float) -> Self:
        """Return what reads from the store of the settings; `call_seconds` bound each wait for it."""
        from notify_common.blobs.s3 import BlobStore

        secret = settings.blob_secret_key.get_secret_value() if settings.blob_secret_key else ""
        return cls(
            BlobStore(
                settings.blob_endpoint,
                settings.blob_bucket,
                settings.blob_access_key or "",
                secret,
                region=settings.blob_region,
                timeout_seconds=call_seconds,
            )
        )

    def read(self, content: PrintContent) -> bytes | Verdict:
        """Return the PDF of a letter, or the verdict on a letter whose PDF can't be printed.

        `pdf_missing` and `pdf_changed` are for good: what is there is not what was checked, counted and
        written into the manifest. `pdf_unreadable` is tried again.
        """
        return self.read_as(content.pdf_key, content.pdf_sha256)

    def read_as(self, pdf_key: str, sha256: str) -> bytes | Verdict:
        """Return a PDF with this SHA-256, or the verdict as `read` does; an empty one is not checked."""
        from botocore.exceptions import BotoCoreError, ClientError
        from notify_common.blobs.s3 import BlobNotFound

        try:
            pdf = self._blobs.get(pdf_key)
        except BlobNotFound:
            return Verdict(Outcome.REFUSED, "pdf_missing")
        except (BotoCoreError, ClientError):
            return Verdict(Outcome.RETRYABLE, "pdf_unreadable")
        if sha256 and hashlib.sha256(pdf).hexdigest() != sha256:
            return Verdict(Outcome.REFUSED, "pdf_changed")
        return pdf

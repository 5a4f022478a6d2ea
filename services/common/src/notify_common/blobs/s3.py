"""Objects in an S3-compatible store."""

import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

MULTIPART_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024

# parts one after the other: memory is one part, whatever the size of the object
_TRANSFER = TransferConfig(
    multipart_threshold=MULTIPART_BYTES, multipart_chunksize=MULTIPART_BYTES, use_threads=False
)


class BlobNotFound(Exception):
    """There is no object of that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no object {key}")
        self.key = key


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What is known of an object without reading it."""

    size: int
    """Bytes."""
    metadata: Mapping[str, str]
    """As stored with it; names are in lower case."""
    content_type: str
    """Media type given when it was stored."""
    update_time: datetime
    """When it was stored."""


class BlobStore:
    """One bucket. Safe to share between threads; connects on first use, anew in a forked child.

    A put replaces whatever the key held, at once and whole: readers see the old object or the new one.
    Putting the same again is harmless, so keys made from ids make uploads repeatable.

    Args:
        endpoint: URL of the store; None means AWS.
        bucket: its name.
        access_key: id of the credentials.
        secret_key: their secret.
        region: part of the signature.
        timeout_seconds: for connecting, and for each wait for bytes.
    """

    def __init__(
        self,
        endpoint: str | None,
        bucket: str,
        access_key: str,
        secret_key: str,
        *,
        region: str = "eu-west-1",
        timeout_seconds: float = 10,
        max_connections: int = 16,
    ) -> None:
        self.bucket = bucket
        self._endpoint = endpoint
        self._access_key = access_key
        self._secret_key = secret_key
        self._region = region
        self._config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"} if endpoint else {},
            retries={"mode": "standard", "total_max_attempts": 3},
            connect_timeout=timeout_seconds,
            read_timeout=timeout_seconds,
            max_pool_connections=max_connections,
            # other stores than AWS don't all know the trailing checksums that are the default
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._lock = threading.Lock()
        self._made: tuple[int, S3Client] | None = None

    def ensure_bucket(self) -> None:
        """Create the bucket unless it exists."""
        try:
            self._client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if not _is_missing(error):
                raise
            self._create_bucket()

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/octet-stream",
    ) -> None:
        """Store `body`; more than 8 MiB go in parts, of which one at a time is in memory.

        Args:
            key: at most 1,024 bytes.
            body: bytes, or a file opened for reading in binary.
            metadata: kept with it; ASCII, at most 2 KiB together.
            content_type: media type.
        """
        told = dict(metadata or {})
        if isinstance(body, bytes) and len(body) < MULTIPART_BYTES:
            # the other way makes threads for each object
            self._client.put_object(
                Bucket=self.bucket, Key=key, Body=body, Metadata=told, ContentType=content_type
            )
            return
        self._client.upload_fileobj(
            io.BytesIO(body) if isinstance(body, bytes) else body,
            self.bucket,
            key,
            ExtraArgs={"Metadata": told, "ContentType": content_type},
            Config=_TRANSFER,
        )

    def get(self, key: str) -> bytes:
        """Return the whole object: for small ones. Raises BlobNotFound."""
        return b"".join(self.iter_chunks(key))

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to, without, `end`; fewer where the object ends before.

        Raises:
            BlobNotFound: no such object.
            ValueError: the range is empty or begins after the end of the object.
        """
        if not 0 <= start < end:
            raise ValueError("not a range of bytes")
        try:
            return self._read_range(key, start, end)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (400, 416):
                raise
        # not every store cuts a range that reaches beyond the end of the object
        size = self.head(key).size
        if start >= size:
            raise ValueError("the range begins after the end of the object")
        return self._read_range(key, start, min(end, size))

    def open(self, key: str) -> BinaryIO:
        """Return the object as a stream to read and close. Raises BlobNotFound."""
        answer = self._reading(key, lambda: self._client.get_object(Bucket=self.bucket, Key=key))
        return answer["Body"]  # type: ignore[return-value] # botocore's stream reads and closes like a file

    def iter_chunks(self, key: str, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Yield the object in chunks of at most `size` bytes. Raises BlobNotFound at the first."""
        with self.open(key) as stream:
            while chunk := stream.read(size):
                yield chunk

    def head(self, key: str) -> BlobInfo:
        """Return what is known of the object. Raises BlobNotFound."""
        answer = self._reading(key, lambda: self._client.head_object(Bucket=self.bucket, Key=key))
        return BlobInfo(
            size=answer["ContentLength"],
            metadata=answer["Metadata"],
            content_type=answer["ContentType"],
            update_time=answer["LastModified"],
        )

    def delete(self, key: str) -> None:
        """Remove the object; removing none is no error."""
        self._client.delete_object(Bucket=self.bucket, Key=key)

    def check(self) -> bool:
        """Tell whether the bucket can be reached; for health checks."""
        self._client.head_bucket(Bucket=self.bucket)
        return True

    def _read_range(self, key: str, start: int, end: int) -> bytes:
        bounds = f"bytes={start}-{end - 1}"
        answer = self._reading(
            key, lambda: self._client.get_object(Bucket=self.bucket, Key=key, Range=bounds)
        )
        with answer["Body"] as body:
            return body.read()

    def _create_bucket(self) -> None:
        try:
            self._client.create_bucket(
                Bucket=self.bucket,
                CreateBucketConfiguration={"LocationConstraint": self._region},  # type: ignore[typeddict-item]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                raise

    def _reading(self, key: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except ClientError as error:
            if _is_missing(error):
                raise BlobNotFound(key) from None
            raise

    @property
    def _client(self) -> "S3Client":
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                session = boto3.session.Session()
                client = session.client(
                    "s3",
                    endpoint_url=self._endpoint,
                    aws_access_key_id=self._access_key,
                    aws_secret_access_key=self._secret_key,
                    region_name=self._region,
                    config=self._config,
                )
                self._made = os.getpid(), client
            return self._made[1]


def _is_missing(error: ClientError) -> bool:
    return error.response["ResponseMetadata"]["HTTPStatusCode"] == 404

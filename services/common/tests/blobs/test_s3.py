"""The blob store against a real S3 server."""

import io
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_testing.waiting import WAIT_SECONDS, until


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Provide URL of an S3 server of this module's own."""
    folder: Path = tmp_path_factory.mktemp("objects")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "nanio",
        "serve",
        "--data-dir",
        str(folder),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    environment = {**os.environ, "NANIO_ACCESS_KEY": "test-key", "NANIO_SECRET_KEY": "test-secret"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(WAIT_SECONDS)


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    def is_up() -> bool:
        assert server.poll() is None, "the S3 server ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    until(is_up)


@pytest.fixture
def store(endpoint: str) -> BlobStore:
    made = BlobStore(endpoint, f"bucket-{uuid.uuid4()}", "test-key", "test-secret")
    made.ensure_bucket()
    return made


def test_keeps_bytes_metadata_and_type(store: BlobStore) -> None:
    store.put("folder/a.pdf", b"content", {"pages": "3"}, "application/pdf")
    info = store.head("folder/a.pdf")
    assert (info.size, dict(info.metadata), info.content_type) == (7, {"pages": "3"}, "application/pdf")
    assert info.update_time.tzinfo is not None
    assert store.get("folder/a.pdf") == b"content"


def test_put_replaces_what_was_there(store: BlobStore) -> None:
    store.put("a", b"first")
    store.put("a", b"second")
    assert store.get("a") == b"second"


def test_keeps_an_empty_object(store: BlobStore) -> None:
    store.put("empty", b"")
    assert store.get("empty") == b""
    assert store.head("empty").size == 0


@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_large_objects_go_in_parts_and_come_back_whole(store: BlobStore, kind: str) -> None:
    content = os.urandom(1024 * 1024) * 19  # two parts of 8 MiB and a rest
    store.put("large", content if kind == "bytes" else io.BytesIO(content), {"pages": "9"})
    assert store.get("large") == content
    assert dict(store.head("large").metadata) == {"pages": "9"}


def test_reads_in_chunks_no_larger_than_asked_for(store: BlobStore) -> None:
    store.put("a", bytes(range(256)) * 10)
    chunks = list(store.iter_chunks("a", 1000))
    assert max(map(len, chunks)) <= 1000
    assert b"".join(chunks) == bytes(range(256)) * 10


def test_opens_as_a_stream(store: BlobStore) -> None:
    store.put("a", b"0123456789")
    with store.open("a") as stream:
        assert stream.read(4) == b"0123"
        assert stream.read() == b"456789"


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, 1, b"0"), (2, 5, b"234"), (8, 10, b"89"), (8, 100, b"89")]
)
def test_reads_a_range(store: BlobStore, start: int, end: int, expected: bytes) -> None:
    store.put("a", b"0123456789")
    assert store.get_range("a", start, end) == expected


@pytest.mark.parametrize(("start", "end"), [(10, 11), (100, 200), (3, 3), (-1, 2), (5, 2)])
def test_refuses_a_range_that_is_none(store: BlobStore, start: int, end: int) -> None:
    store.put("a", b"0123456789")
    with pytest.raises(ValueError, match="range"):
        store.get_range("a", start, end)


def test_what_is_not_there_is_not_found(store: BlobStore) -> None:
    for read in (store.get, store.head, store.open, lambda key: store.get_range(key, 0, 1)):
        with pytest.raises(BlobNotFound):
            read("missing")


def test_delete_twice_is_no_error(store: BlobStore) -> None:
    store.put("a", b"x")
    store.delete("a")
    store.delete("a")
    with pytest.raises(BlobNotFound):
        store.head("a")


def test_ensuring_the_bucket_twice_keeps_what_is_in_it(store: BlobStore) -> None:
    store.put("a", b"x")
    store.ensure_bucket()
    assert store.get("a") == b"x"
    assert store.check()


def test_wrong_secret_is_refused_and_does_not_look_like_a_missing_object(
    endpoint: str, store: BlobStore
) -> None:
    store.put("a", b"x")
    impostor = BlobStore(endpoint, store.bucket, "test-key", "wrong")
    for read in (impostor.get, impostor.head):
        with pytest.raises(ClientError):
            read("a")
    with pytest.raises(ClientError):
        impostor.put("a", b"y")
    assert store.get("a") == b"x"


def test_reader_that_stops_early_does_not_use_up_the_connections(store: BlobStore) -> None:
    store.put("a", b"x" * 4_000_000)
    for _ in range(40):
        with store.open("a") as stream:
            stream.read(10)
    assert len(store.get("a")) == 4_000_000


def test_forked_child_connects_on_its_own(store: BlobStore) -> None:
    store.put("a", b"x")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if store.get("a") == b"x" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.get("a") == b"x"

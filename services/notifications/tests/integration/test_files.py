"""Files that emails link to (public-api.md §2.5)."""

import base64
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from notify.common.v1 import common_pb2
from notify.notifications.v1 import files_service_pb2 as pb
from notify.notifications.v1 import notifications_service_pb2
from notify.notifications.v1.files_service_pb2_grpc import (
    FilesServiceStub,
    add_FilesServiceServicer_to_server,
)
from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.clamd import scanner_of
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_common.rpc import status
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration
from notify_local.backing import ObjectStore
from notify_notifications import bootstrap
from notify_notifications.domain.files import MEDIA_TYPES, MOST_TRIES, detect
from notify_notifications.servicers import files
from notify_notifications.servicers.files import FilesServicer
from notify_notifications.store import files as files_store
from notify_notifications.usecases import send
from notify_notifications.usecases.files import FileParts, remove_expired_files, settle_files
from notify_testing.clamd import VIRUS, FakeClamd
from notify_testing.rpc import InProcessServer

from .conftest import World
from .requests import email

PDF = b"%PDF-1.7 the file"
CONTACT = "https://example.gov.uk/help"


@pytest.fixture(scope="module")
def blobs() -> Iterator[BlobStore]:
    with tempfile.TemporaryDirectory(prefix="notify-files-") as folder:
        server = ObjectStore(Path(folder))
        server.start()
        store = BlobStore(server.url, "files", server.access_key, server.secret_key, region=server.region)
        store.ensure_bucket()
        yield store
        server.stop()


class Mailing:
    """A service that sends files, and a service of files of its own in front of the same database."""

    def __init__(self, world: World, blobs: BlobStore) -> None:
        self.world, self.blobs = world, blobs
        self.clamd = FakeClamd(largest=3_000_000)
        self.parts = FileParts(world.parts.uow, blobs, scanner_of(self.clamd.address, 5))
        self.stub: Any = None

    def begin(self) -> None:
        """Have a new service send."""
        self.service = self.world.admin.add_service(contact_link=CONTACT)
        self.template = self.world.admin.add_template(self.service, "email", "See ((link)) ((other))")
        self.clamd.scanned.clear()
        self.clamd.cut_answers = False

    def __enter__(self) -> "Mailing":
        self.clamd.__enter__()
        parts = self.world.parts
        sending = replace(bootstrap.sending_parts(parts), files=self.parts)
        servicer = bootstrap.notifications_servicer(parts, sending, Pager(b"x" * 32))
        kept = FilesServicer(self.parts, parts.snapshots, servicer.send_email_with_files)
        self.server = InProcessServer(
            "notifications", [Registration(add_FilesServiceServicer_to_server, kept, files.SERVICE)]
        )
        self.stub = FilesServiceStub(self.server.__enter__().channel("gateway-public"))
        return self

    def __exit__(self, *raised: Any) -> None:
        self.server.__exit__(*raised)
        self.clamd.__exit__(*raised)

    def send(self, *contents: bytes, said: dict[str, Any] | None = None, **fields: Any) -> Any:
        """Send an email with these files; return the result."""
        keys = ["link", "other"]
        request = email(self.service, self.template, [(key, "-") for key in keys[len(contents) :]], **fields)
        for key, content in zip(keys, contents, strict=False):
            facts: dict[str, Any] = {
                "size_bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            file = common_pb2.File(**facts | (said or {}))
            request.personalisation.append(common_pb2.PersonalisationField(key=key, file=file))
        item = notifications_service_pb2.SendItem(email=request)
        parts = [pb.SendEmailWithFilesRequest(item=item)]
        parts += [pb.SendEmailWithFilesRequest(chunk=content) for content in contents]
        return self.stub.SendEmailWithFiles(iter(parts)).result

    def accepted(self, *contents: bytes, **fields: Any) -> Any:
        result = self.send(*contents, **fields)
        assert result.WhichOneof("result") == "email", self.reason(result)
        return result.email

    def refused(self, *contents: bytes, **fields: Any) -> NotifyError:
        return status.from_bytes(self.send(*contents, **fields).error)

    def reason(self, result: Any) -> str:
        return status.from_bytes(result.error).reason

    def ids(self, link: str) -> dict[str, Any]:
        """Return what a link says, as requests have it."""
        address = urlsplit(link)
        service, file = address.path.removeprefix("/d/").split("/")
        key = parse_qs(address.query)["key"][0]
        plain = [files_bytes(text) for text in (service, file, key)]
        return {
            "service_id": str(UUID(bytes=plain[0])),
            "file_id": str(UUID(bytes=plain[1])),
            "key": plain[2],
        }

    def links(self, accepted: Any) -> list[str]:
        return [word for word in accepted.body.split() if word.startswith("http")]

    def rows(self) -> int:
        count: int = self.world.rows("SELECT count(*) FROM files")[0][0]
        return count

    def objects(self) -> int:
        listed = self.blobs._client.list_objects_v2(Bucket=self.blobs.bucket, Prefix=f"files/{self.service}/")
        return int(listed["KeyCount"])

    def age(self, seconds: float) -> None:
        self.world.execute(f"UPDATE files SET create_time = create_time - interval '{seconds} seconds'")


def files_bytes(text: str) -> bytes:

    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture(scope="module")
def mailings(town: World, blobs: BlobStore) -> Iterator[Mailing]:
    with Mailing(town, blobs) as made:
        yield made


@pytest.fixture
def mailing(world: World, mailings: Mailing) -> Iterator[Mailing]:
    mailings.begin()
    yield mailings
    world.execute("DELETE FROM files")


def fails(reason: str, call: Callable[[], Any]) -> NotifyError:
    with pytest.raises(NotifyError) as caught:
        call()
    assert caught.value.reason == reason
    return caught.value


def test_a_file_is_handed_to_whoever_has_its_link_and_knows_the_address(mailing: Mailing) -> None:
    sent = mailing.accepted(PDF, said={"name": "Ann’s résumé.pdf", "retention_weeks": 4})
    (link,) = mailing.links(sent)
    ids = mailing.ids(link)
    shown = mailing.stub.GetFile(pb.GetFileRequest(**ids)).file
    assert (shown.name, shown.size_bytes, shown.contact_link) == ("Ann’s résumé.pdf", len(PDF), CONTACT)
    assert shown.asks_for_email_address
    left = shown.expire_time.ToDatetime(UTC) - clock.now()
    assert timedelta(days=27) < left <= timedelta(days=28)
    got = mailing.stub.DownloadFile(pb.DownloadFileRequest(**ids, email_address=" READER@example.com"))
    assert (got.name, got.media_type, got.content) == (shown.name, "application/pdf", PDF)
    wrong = partial(mailing.stub.DownloadFile, pb.DownloadFileRequest(**ids, email_address="r@example.com"))
    fails("EMAIL_ADDRESS_WRONG", wrong)
    fails("EMAIL_ADDRESS_WRONG", lambda: mailing.stub.DownloadFile(pb.DownloadFileRequest(**ids)))
    mailing.world.relay()
    assert link in mailing.world.providers.dispatches[sent.notification_id].email.plain_body


def test_what_is_kept_says_nothing_without_the_link(mailing: Mailing) -> None:
    sent = mailing.accepted(b"a secret text", said={"name": "secret name.txt"})
    ids = mailing.ids(mailing.links(sent)[0])
    (row,) = mailing.world.rows("SELECT files::text FROM files")
    kept = row[0].encode() + mailing.blobs.get(f"files/{ids['service_id']}/{ids['file_id']}")
    assert not any(
        word in kept for word in (b"secret", ids["key"], ids["key"].hex().encode(), b"example.com")
    )
    assert b"secret name".hex().encode() not in kept


def test_links_that_are_not_ours(mailing: Mailing) -> None:
    ids = mailing.ids(mailing.links(mailing.accepted(PDF, said={"open_to_all": True}))[0])
    other = mailing.world.admin.add_service(contact_link=CONTACT)
    for change in ({"key": bytes(32)}, {"file_id": new_id()}, {"service_id": other}):
        for ask, call in (
            (pb.GetFileRequest, mailing.stub.GetFile),
            (pb.DownloadFileRequest, mailing.stub.DownloadFile),
        ):
            fails("LINK_INVALID", partial(call, ask(**ids | change)))
    assert mailing.stub.DownloadFile(pb.DownloadFileRequest(**ids)).content == PDF


def test_addresses_are_tried_fifty_times_in_five_minutes(mailing: Mailing) -> None:
    ids = mailing.ids(mailing.links(mailing.accepted(PDF))[0])

    def attempt(number: int) -> str:
        ask = pb.DownloadFileRequest(**ids, email_address=f"r{number}@example.com")
        try:
            mailing.stub.DownloadFile(ask)
        except NotifyError as error:
            return error.reason
        return "found"

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(attempt, range(MOST_TRIES + 10)))
    assert (outcomes.count("EMAIL_ADDRESS_WRONG"), outcomes.count("TOO_MANY_TRIES")) == (MOST_TRIES, 10)
    right = pb.DownloadFileRequest(**ids, email_address="reader@example.com")
    assert fails("TOO_MANY_TRIES", lambda: mailing.stub.DownloadFile(right)).retry_after
    mailing.world.execute("UPDATE files SET tries_since = tries_since - interval '301 seconds'")
    assert mailing.stub.DownloadFile(right).content == PDF


def packed(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        for name, content in members.items():
            package.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return made.getvalue()


DOCX = packed(word__document_dot_xml=b"<w/>")
XLSX = packed(xl__workbook_dot_xml=b"<w/>")
ODT = packed(mimetype=MEDIA_TYPES[".odt"].encode(), content_dot_xml=b"<o/>")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PDF, "application/pdf"),
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"{\\rtf1 hello}", "text/rtf"),
        (DOCX, MEDIA_TYPES[".docx"]),
        (XLSX, MEDIA_TYPES[".xlsx"]),
        (ODT, MEDIA_TYPES[".odt"]),
        (packed(a=b"b"), "application/zip"),
        (b"PK\x03\x04 cut off", "application/zip"),
        (b"name,date\r\nAnn,1\r\n", "text/plain"),
        ("naïve ☕".encode(), "text/plain"),
        ("wide".encode("utf-16"), "text/plain"),
        (b"MZ\x90\x00", "application/x-dosexec"),
        (b"<!DOCTYPE html><script>", "text/html"),
        (b"\x00\x01\x02", "application/octet-stream"),
    ],
)
def test_content_tells_its_type(content: bytes, kind: str) -> None:
    assert detect(content) == kind


def test_files_without_a_name_are_called_by_their_id_and_type(mailing: Mailing) -> None:
    def name(content: bytes, **said: Any) -> str:
        ids = mailing.ids(mailing.links(mailing.accepted(content, said=said))[0])
        shown: str = mailing.stub.GetFile(pb.GetFileRequest(**ids)).file.name
        assert shown.startswith(ids["file_id"])
        return shown.removeprefix(ids["file_id"])

    assert name(b"a,b") == ".txt"
    assert name(b"a,b", is_csv=True) == ".csv"
    assert name(b'{"a": 1}') == ".json"
    assert name(DOCX) == ".docx"


@pytest.mark.parametrize(
    ("content", "said", "reason", "facts"),
    [
        (PDF, {"name": f"{'a' * 97}.pdf"}, "FILE_NAME_TOO_LONG", {"limit": "100"}),
        (PDF, {"name": "run.exe"}, "FILE_TYPE_NOT_ALLOWED", {"type": ".exe"}),
        (b"MZ", {"name": "fine.pdf"}, "FILE_TYPE_NOT_ALLOWED", {"type": "application/x-dosexec"}),
        (b"\0\1", {}, "FILE_TYPE_NOT_ALLOWED", {"type": "application/octet-stream"}),
        (b"", {}, "FILE_EMPTY", {}),
        (b"", {"size_bytes": -1}, "FILE_NOT_DECODABLE", {}),
        (b"", {"size_bytes": 2 * 1024 * 1024 + 1025}, "FILE_TOO_LARGE", {}),
        (VIRUS, {"name": "a.txt"}, "VIRUS_FOUND", {}),
        (PDF, {"sha256": "0" * 64}, "UPLOAD_MISMATCH", {}),
    ],
)
def test_a_file_that_is_refused_leaves_nothing_behind(
    mailing: Mailing, content: bytes, said: dict[str, Any], reason: str, facts: dict[str, str]
) -> None:
    error = mailing.refused(PDF, content) if not said and reason == "FILE_EMPTY" else None
    error = error or mailing.refused(content, said=said)
    assert (error.reason, {**error.metadata, **facts}) == (reason, error.metadata)
    assert mailing.world.counts() == (0, 0, 0)
    assert (mailing.rows(), mailing.objects()) == (0, 0)


def test_the_largest_file_passes(mailing: Mailing) -> None:
    content = b"x" * (2 * 1024 * 1024 + 1024)
    ids = mailing.ids(mailing.links(mailing.accepted(content, said={"open_to_all": True}))[0])
    assert mailing.stub.DownloadFile(pb.DownloadFileRequest(**ids)).content == content


def test_a_later_file_that_is_refused_takes_the_earlier_one_along(mailing: Mailing) -> None:
    assert mailing.refused(PDF, VIRUS).reason == "VIRUS_FOUND"
    assert (mailing.rows(), mailing.objects(), mailing.world.counts()) == (0, 0, (0, 0, 0))


def test_a_scanner_that_is_away_lets_nothing_pass(mailing: Mailing) -> None:
    mailing.clamd.cut_answers = True
    assert mailing.refused(PDF).reason == "UNAVAILABLE"
    mailing.clamd.cut_answers = False
    assert (mailing.rows(), mailing.world.counts()) == (0, (0, 0, 0))


def test_what_is_wrong_with_the_email_comes_first(mailing: Mailing) -> None:
    other = mailing.world.admin.add_service()
    template = mailing.world.admin.add_template(other, "email", "See ((link)) ((other))")
    mailing.service, mailing.template = other, template
    assert mailing.refused(VIRUS).reason == "FILES_NOT_SET_UP"
    mailing.template = new_id()
    assert mailing.refused(VIRUS).reason == "TEMPLATE_NOT_FOUND"
    assert mailing.clamd.scanned == []


def test_simulated_recipients_get_a_link_to_nothing(mailing: Mailing) -> None:
    sent = mailing.accepted(PDF, email_address="simulate-delivered@notifications.service.gov.uk")
    assert mailing.links(sent) == [
        f"http://localhost:6011/services/{mailing.service}/documents/test-document"
    ]
    assert (mailing.rows(), mailing.objects(), mailing.clamd.scanned) == (0, 0, [])


def test_a_repeat_gets_the_first_answer_and_stores_nothing(mailing: Mailing) -> None:
    first = mailing.accepted(PDF, idempotency_key="once")
    again = mailing.send(PDF, idempotency_key="once")
    assert (again.email, again.replayed) == (first, True)
    assert (mailing.rows(), mailing.objects(), len(mailing.clamd.scanned)) == (1, 1, 1)
    assert mailing.refused(PDF + b"!", idempotency_key="once").reason == "REQUEST_ID_REUSED"
    assert (mailing.rows(), mailing.objects(), len(mailing.clamd.scanned)) == (1, 1, 1)


def test_a_repeat_of_a_running_request_is_told_so(mailing: Mailing) -> None:
    def fire(_: int) -> Any:
        return mailing.send(PDF, idempotency_key="twice")

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(fire, range(4)))
    accepted = [one.email for one in results if one.WhichOneof("result") == "email"]
    refused = [status.from_bytes(one.error) for one in results if one.error]
    assert accepted
    assert all(one == accepted[0] for one in accepted)
    assert {(one.reason, bool(one.retry_after)) for one in refused} <= {("REQUEST_RUNNING", True)}
    assert (mailing.rows(), mailing.objects(), mailing.world.counts()[0]) == (1, 1, 1)


@pytest.mark.parametrize("stage", ["row", "object", "message"])
def test_a_process_that_dies_leaves_no_orphan_and_loses_no_file(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def die(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("died")

    if stage == "row":
        monkeypatch.setattr(BlobStore, "put", die)
    elif stage == "object":
        monkeypatch.setattr(send, "_store", die)
    else:
        monkeypatch.setattr(files_store, "settle", die)
    with pytest.raises(NotifyError):
        mailing.send(PDF)
    monkeypatch.undo()
    assert settle_files(mailing.parts) == 0
    mailing.age(3_601)
    assert settle_files(mailing.parts) == 1
    stays = 1 if stage == "message" else 0
    assert (mailing.rows(), mailing.objects(), mailing.world.counts()[0]) == (stays, stays, stays)
    assert settle_files(mailing.parts) == 0


def test_files_go_when_their_time_is_over(mailing: Mailing) -> None:
    ids = mailing.ids(mailing.links(mailing.accepted(PDF, said={"retention_weeks": 1}))[0])
    keeps = mailing.accepted(PDF, said={"retention_weeks": 2})
    assert remove_expired_files(mailing.parts) == 0
    mailing.world.execute("UPDATE files SET expire_time = expire_time - interval '1 week'")
    fails("LINK_EXPIRED", lambda: mailing.stub.GetFile(pb.GetFileRequest(**ids)))
    fails("LINK_EXPIRED", lambda: mailing.stub.DownloadFile(pb.DownloadFileRequest(**ids)))
    assert remove_expired_files(mailing.parts) == 1
    assert remove_expired_files(mailing.parts) == 0
    assert (mailing.rows(), mailing.objects()) == (1, 1)
    fails("LINK_INVALID", lambda: mailing.stub.GetFile(pb.GetFileRequest(**ids)))
    assert mailing.stub.GetFile(
        pb.GetFileRequest(**mailing.ids(mailing.links(keeps)[0]))
    ).file.size_bytes == len(PDF)


def test_what_is_read_later_has_the_link(mailing: Mailing) -> None:
    sent = mailing.accepted(PDF)
    assert mailing.world.get(mailing.service, sent.notification_id).body == sent.body


def test_a_file_without_its_content_is_refused_where_none_is_expected(mailing: Mailing) -> None:
    request = email(mailing.service, mailing.template, [("other", "-")])
    request.personalisation.append(common_pb2.PersonalisationField(key="link", file=common_pb2.File()))
    fails("FILE_NOT_ALLOWED", lambda: mailing.world.stub.SendEmail(request))

"""Files of templates in the emails that are sent with them (docs/adr/0032)."""

import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from notify.notifications.v1 import batches_service_pb2, notifications_service_pb2
from notify.notifications.v1 import files_service_pb2 as pb
from notify.notifications.v1.batches_service_pb2_grpc import (
    BatchesServiceStub,
    add_BatchesServiceServicer_to_server,
)
from notify.notifications.v1.files_service_pb2_grpc import (
    FilesServiceStub,
    add_FilesServiceServicer_to_server,
)
from notify.notifications.v1.notifications_service_pb2_grpc import (
    NotificationsServiceStub,
    add_NotificationsServiceServicer_to_server,
)
from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.clamd import scanner_of
from notify_common.rpc import status
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration
from notify_local.backing import ObjectStore
from notify_notifications import bootstrap
from notify_notifications.clients.previews import PreviewsClient
from notify_notifications.servicers import batches, files, notifications
from notify_notifications.servicers.batches import BatchesServicer
from notify_notifications.servicers.files import FilesServicer
from notify_notifications.store import files as files_store
from notify_notifications.usecases import send
from notify_notifications.usecases.files import (
    Copying,
    FileParts,
    remove_expired_copies,
    remove_expired_files,
    settle_files,
)
from notify_testing.clamd import VIRUS, FakeClamd
from notify_testing.rpc import InProcessServer
from notify_testing.waiting import WAIT_SECONDS, until

from .conftest import World
from .requests import caller, email, sms
from .test_batches import opening, part, rows_of, told
from .test_files import CONTACT, PDF, Mailing, fails


class Sending:
    """A service whose template has files, and notifications in front of the same database, with buckets."""

    def __init__(self, world: World, blobs: BlobStore, uploads: BlobStore) -> None:
        self.world, self.blobs, self.uploads = world, blobs, uploads
        self.clamd = FakeClamd(largest=3_000_000)
        self.parts = FileParts(world.parts.uow, blobs, scanner_of(self.clamd.address, 5), uploads)

    def __enter__(self) -> "Sending":
        self.clamd.__enter__()
        parts = self.world.parts
        sending = replace(bootstrap.sending_parts(parts), files=self.parts)
        servicer = bootstrap.notifications_servicer(parts, sending, Pager(b"x" * 32))
        kept = FilesServicer(self.parts, parts.snapshots, servicer.send_email_with_files)
        previews = PreviewsClient(parts.channels.get("letters", parts.settings.letters_target))
        rows = BatchesServicer(parts.uow, sending, previews)
        self.server = InProcessServer(
            "notifications",
            [
                Registration(add_FilesServiceServicer_to_server, kept, files.SERVICE),
                Registration(add_NotificationsServiceServicer_to_server, servicer, notifications.SERVICE),
                Registration(add_BatchesServiceServicer_to_server, rows, batches.SERVICE),
            ],
        )
        channel = self.server.__enter__().channel("operator")
        self.files, self.stub = FilesServiceStub(channel), NotificationsServiceStub(channel)
        self.batches = BatchesServiceStub(channel)
        return self

    def __exit__(self, *raised: Any) -> None:
        self.server.__exit__(*raised)
        self.clamd.__exit__(*raised)

    def begin(self) -> None:
        """Have a new service send."""
        self.service = self.world.admin.add_service(contact_link=CONTACT)
        self.template = self.world.admin.add_template(
            self.service, "email", "Dear ((name)), see ((guide.pdf))", "s"
        )
        self.clamd.scanned.clear()
        self.clamd.cut_answers = False
        # a gate that a test closed is closed for seconds
        object.__setattr__(self.parts, "copying", Copying())

    def add(self, filename: str = "guide.pdf", content: bytes | None = PDF, **fields: Any) -> str:
        """Add a file to the template; return its id."""
        id = self.world.admin.add_template_file(self.service, self.template, filename, **fields)
        if content is not None:
            self.uploads.put(f"{self.service}/{id}", content)
        return id

    def request(self, **fields: Any) -> Any:
        return email(self.service, self.template, [("name", "Ann")], **fields)

    def send(self, **fields: Any) -> Any:
        return self.stub.SendEmail(self.request(**fields))

    def link(self, body: str) -> str:
        return next(word for word in body.replace("(", " ").replace(")", " ").split() if "/d/" in word)

    def ids(self, sent: Any) -> dict[str, Any]:
        """Return what the link of an email says, as requests have it."""
        return Mailing.ids(None, self.link(sent.body))  # type: ignore[arg-type] # it uses none of its own

    def download(self, ids: dict[str, Any], address: str = "reader@example.com") -> Any:
        return self.files.DownloadFile(pb.DownloadFileRequest(**ids, email_address=address))

    def count(self, table: str) -> int:
        return int(self.world.rows(f"SELECT count(*) FROM {table}")[0][0])

    def objects(self) -> int:
        prefix = f"template-files/{self.service}/"
        return int(self.blobs._client.list_objects_v2(Bucket=self.blobs.bucket, Prefix=prefix)["KeyCount"])


@pytest.fixture(scope="module")
def sendings(town: World) -> Iterator[Sending]:
    with tempfile.TemporaryDirectory(prefix="notify-files-") as folder:
        server = ObjectStore(Path(folder))
        server.start()
        stores = [
            BlobStore(server.url, name, server.access_key, server.secret_key, region=server.region)
            for name in ("files", "uploads")
        ]
        for store in stores:
            store.ensure_bucket()
        poller = town.parts.snapshots.poller
        poller.start()
        with Sending(town, *stores) as made:
            yield made
        poller.stop()
        server.stop()


@pytest.fixture
def sending(world: World, sendings: Sending) -> Iterator[Sending]:
    sendings.begin()
    yield sendings
    world.execute("DELETE FROM files")
    world.execute("DELETE FROM file_copies")


def test_an_email_links_to_the_files_of_its_template(sending: Sending) -> None:
    sending.add(retention_weeks=4)
    sending.add("not-in-the-text.pdf", None)
    sent = sending.send()
    ids = sending.ids(sent)
    shown = sending.files.GetFile(pb.GetFileRequest(**ids)).file
    assert (shown.name, shown.size_bytes, shown.asks_for_email_address) == ("guide.pdf", len(PDF), True)
    left = shown.expire_time.ToDatetime(UTC) - clock.now()
    assert timedelta(days=27) < left <= timedelta(days=28)
    got = sending.download(ids)
    assert (got.name, got.media_type, got.content) == ("guide.pdf", "application/pdf", PDF)
    fails("EMAIL_ADDRESS_WRONG", partial(sending.download, ids, "other@example.com"))
    fails("LINK_INVALID", partial(sending.download, ids | {"key": bytes(32)}))
    sending.world.relay()
    handed = sending.world.providers.dispatches[sent.notification_id].email
    assert sending.link(sent.body) in handed.plain_body
    assert sending.world.get(sending.service, sent.notification_id).body == sent.body
    # the next one has a link of its own to the same content, which is not read and scanned again
    other = sending.ids(sending.send(email_address="other@example.com"))
    assert (other["file_id"], other["key"]) != (ids["file_id"], ids["key"])
    fails("EMAIL_ADDRESS_WRONG", partial(sending.download, other))
    assert sending.download(other, "other@example.com").content == PDF
    assert (sending.count("files"), sending.objects(), len(sending.clamd.scanned)) == (2, 1, 1)


def test_a_link_says_its_text_and_a_file_may_be_open_to_all(sending: Sending) -> None:
    sending.add(link_text="The [guide]", validates_email_address=False)
    sent = sending.send()
    sending.world.relay()
    handed = sending.world.providers.dispatches[sent.notification_id].email
    assert "The [guide]</a>" in handed.html_body
    ids = sending.ids(sent)
    assert not sending.files.GetFile(pb.GetFileRequest(**ids)).file.asks_for_email_address
    assert sending.download(ids, "").content == PDF


def test_what_a_client_sends_in_its_place_has_no_effect(sending: Sending) -> None:
    sending.add()
    request = email(sending.service, sending.template, [("name", "Ann"), ("Guide.PDF", "mine")])
    assert "mine" not in (body := sending.stub.SendEmail(request).body)
    assert sending.link(body)


def test_a_file_that_is_archived_stays_for_those_who_have_its_link(sending: Sending) -> None:
    id = sending.add()
    ids = sending.ids(sending.send())
    sending.world.admin.archive_template_file(sending.service, sending.template, id)
    sending.uploads.delete(f"{sending.service}/{id}")
    assert sending.download(ids).content == PDF
    snapshots = sending.world.parts.snapshots

    def is_gone() -> bool:
        found = snapshots.template(sending.service, sending.template)
        return found is not None and not found.files

    until(is_gone)
    fails("MISSING_PERSONALISATION", sending.send)


def test_a_file_that_waits_is_in_no_email_and_one_that_goes_live_in_the_next(sending: Sending) -> None:
    id = sending.add(live=False)
    fails("MISSING_PERSONALISATION", sending.send)
    stub = sending.world.admin._files
    ask = {"template_email_file_id": id, "service_id": sending.service, "template_id": sending.template}
    waiting = stub.GetTemplateEmailFile(get_request(**ask)).template_email_file
    waiting.pending = False
    sending.world.admin.set_template_file(waiting)
    # the version stays the same; that it changed is told all the same
    until(lambda: bool(getattr(template(sending), "files", ())))
    assert sending.send().template_version == 1


def get_request(**ids: str) -> Any:
    from notify.admin.v1.template_files_service_pb2 import GetTemplateEmailFileRequest

    return GetTemplateEmailFileRequest(**ids)


def template(sending: Sending) -> Any:
    return sending.world.parts.snapshots.template(sending.service, sending.template)


@pytest.mark.parametrize(
    ("filename", "content", "reason"),
    [
        ("guide.pdf", None, "TEMPLATE_FILE_MISSING"),
        ("guide.pdf", b"", "FILE_EMPTY"),
        ("guide.pdf", VIRUS, "VIRUS_FOUND"),
        ("guide.pdf", b"MZ\x90", "FILE_TYPE_NOT_ALLOWED"),
        ("guide.exe", PDF, "FILE_TYPE_NOT_ALLOWED"),
        ("guide.pdf", PDF + bytes(2 * 1024 * 1024 + 1024), "FILE_TOO_LARGE"),
    ],
)
def test_a_file_that_can_t_be_sent_refuses_the_email_and_leaves_nothing(
    sending: Sending, filename: str, content: bytes | None, reason: str
) -> None:
    sending.template = sending.world.admin.add_template(
        sending.service, "email", f"Dear ((name)), see (({filename}))", "s"
    )
    sending.add(filename, content)
    fails(reason, sending.send)
    assert (sending.count("files"), sending.objects(), sending.world.counts()) == (0, 0, (0, 0, 0))


def test_what_keeps_a_file_from_being_kept_refuses_the_email_for_now(sending: Sending) -> None:
    sending.add()
    sending.clamd.cut_answers = True
    fails("UNAVAILABLE", sending.send)
    sending.clamd.cut_answers = False
    # for a while nobody tries again: what does not answer keeps no thread from other messages
    fails("UNAVAILABLE", sending.send)
    object.__setattr__(sending.parts, "copying", Copying())
    assert sending.download(sending.ids(sending.send())).content == PDF
    assert sending.world.counts()[0] == 1
    without = sending.world.admin.add_service()
    sending.service = without
    sending.template = sending.world.admin.add_template(without, "email", "((name)) ((guide.pdf))", "s")
    sending.add()
    fails("FILES_NOT_SET_UP", sending.send)


def test_a_store_that_does_not_answer_delays_no_message_of_the_same_call(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending.add()
    other = sending.world.admin.add_service()
    text = sending.world.admin.add_template(other, "sms", "Hi")
    answers, head = threading.Event(), BlobStore.head

    def hang(*args: Any) -> Any:
        answers.wait(WAIT_SECONDS)
        return head(*args)

    monkeypatch.setattr(BlobStore, "head", hang)
    items = [
        notifications_service_pb2.SendItem(email=sending.request()),
        notifications_service_pb2.SendItem(sms=sms(other, text)),
    ]
    ask = notifications_service_pb2.BatchSendRequest(items=items)
    mail, message = sending.stub.BatchSend(ask).results
    assert (status.from_bytes(mail.error).reason, bool(message.sms.notification_id)) == ("UNAVAILABLE", True)
    assert (sending.count("files"), sending.world.counts()[0]) == (0, 1)
    answers.set()
    # what was begun goes on for whoever asks next
    until(lambda: sending.count("file_copies WHERE stored") == 1)
    assert sending.send().notification_id


def test_emails_to_nobody_and_previews_store_nothing(sending: Sending) -> None:
    sending.add(link_text="Guide")
    nothing = f"[Guide](http://localhost:6011/services/{sending.service}/documents/test-document)"
    simulated = sending.send(email_address="simulate-delivered@notifications.service.gov.uk")
    assert simulated.body.endswith(nothing)
    row = rows_of(sending.request())
    ask = batches_service_pb2.PreviewRowsRequest(caller=caller(sending.service), rows=row)
    (shown,) = sending.batches.PreviewRows(ask).previews
    assert (shown.error, shown.body.endswith(nothing)) == (b"", True)
    preview = notifications_service_pb2.PreviewTemplateRequest(
        service_id=sending.service,
        template_id=sending.template,
        personalisation=sending.request().personalisation,
    )
    assert sending.stub.PreviewTemplate(preview).body.endswith(nothing)
    assert (sending.count("files"), sending.objects(), sending.clamd.scanned) == (0, 0, [])


def test_rows_of_a_batch_share_one_content(sending: Sending) -> None:
    sending.add()
    opened = opening(sending.service)
    batch = sending.batches.OpenBatch(opened).batch
    requests = [sending.request(email_address=f"r{number}@example.com") for number in range(20)]
    bad = email(sending.service, sending.template)
    answer = sending.batches.BatchAcceptRows(part(opened, batch.id, rows_of(*requests, bad)))
    assert told(answer) == {21: "MISSING_PERSONALISATION"}
    # what is asked for again stores no link twice
    again = part(opened, batch.id, rows_of(*requests), is_repeat=True)
    assert told(sending.batches.BatchAcceptRows(again)) == {}
    assert (sending.count("files"), sending.objects(), len(sending.clamd.scanned)) == (20, 1, 1)
    assert sending.world.rows("SELECT count(*) FROM files WHERE settled")[0][0] == 20


def test_a_repeat_has_the_first_link_and_stores_no_other(sending: Sending) -> None:
    sending.add()
    first = sending.send(idempotency_key="once")
    assert sending.send(idempotency_key="once") == first
    assert sending.count("files") == 1

    def fire(_: int) -> Any:
        try:
            return sending.send(idempotency_key="twice")
        except Exception as error:
            return error

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(fire, range(4)))
    bodies = {one.body for one in answers if not isinstance(one, Exception)}
    assert len(bodies) == 1
    assert (sending.count("files"), sending.world.counts()[0]) == (2, 2)


@pytest.mark.parametrize("stage", ["copy", "object", "link", "message"])
def test_a_process_that_dies_leaves_no_orphan_and_loses_no_file(
    sending: Sending, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    sending.add()

    def die(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("died")

    if stage == "copy":
        monkeypatch.setattr(BlobStore, "put", die)
    elif stage == "object":
        monkeypatch.setattr(files_store, "end_copy", die)
    elif stage == "link":
        monkeypatch.setattr(send, "_store", die)
    else:
        monkeypatch.setattr(files_store, "settle", die)
    fails("INTERNAL", sending.send)
    monkeypatch.undo()
    sending.world.execute("UPDATE files SET create_time = create_time - interval '3601 seconds'")
    assert settle_files(sending.parts) == (1 if stage in ("link", "message") else 0)
    stays = 1 if stage == "message" else 0
    assert (sending.count("files"), sending.world.counts()[0]) == (stays, stays)
    assert settle_files(sending.parts) == 0
    # whatever was left of the copy, the next email has the file
    assert sending.download(sending.ids(sending.send())).content == PDF


def test_a_content_goes_with_its_last_link(sending: Sending) -> None:
    sending.add(retention_weeks=1)
    first = sending.ids(sending.send())
    age = "expire_time = expire_time - interval '1 week'"
    sending.world.execute(f"UPDATE files SET {age}")
    sending.world.execute(f"UPDATE file_copies SET {age}")
    # a copy whose time is over counts as none: it is made again for whoever sends before it is removed
    second = sending.ids(sending.send())
    assert (sending.count("file_copies"), len(sending.clamd.scanned)) == (1, 2)
    assert remove_expired_copies(sending.parts) == 0
    assert remove_expired_files(sending.parts) == 1
    fails("LINK_INVALID", partial(sending.download, first))
    assert sending.download(second).content == PDF
    sending.world.execute(f"UPDATE files SET {age}")
    sending.world.execute(f"UPDATE file_copies SET {age}")
    assert (remove_expired_files(sending.parts), remove_expired_copies(sending.parts)) == (1, 1)
    assert (sending.count("files"), sending.count("file_copies"), sending.objects()) == (0, 0, 0)
    assert remove_expired_copies(sending.parts) == 0


def test_a_content_is_kept_for_as_long_as_the_longest_link(sending: Sending) -> None:
    sending.add(retention_weeks=2)
    sending.send()
    sending.world.execute("UPDATE file_copies SET expire_time = now() + interval '1 day'")
    sending.send()
    (row,) = sending.world.rows(
        "SELECT c.expire_time >= max(f.expire_time) FROM file_copies c JOIN files f ON f.copy_id = c.id "
        "GROUP BY c.expire_time"
    )
    assert row[0]

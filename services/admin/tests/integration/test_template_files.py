"""Files of templates: what the recorded cases can't say."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from notify.admin.v1 import (
    services_service_pb2,
    template_files_service_pb2_grpc,
    templates_service_pb2,
)
from notify.admin.v1 import template_files_service_pb2 as pb
from notify.admin.v1.config_feed_service_pb2 import GetSnapshotsRequest, ListConfigChangesRequest
from notify.admin.v1.snapshot_pb2 import SnapshotKey, TemplateVersionKey
from notify.admin.v1.template_email_file_pb2 import TemplateEmailFile
from notify.admin.v1.template_pb2 import Template
from notify.common.v1 import common_pb2
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import Admin


class Files:
    """Files of one email template, as the gateway calls them."""

    def __init__(self, admin: Admin, user_id: str) -> None:
        self.admin, self.user_id = admin, user_id
        self.stub = template_files_service_pb2_grpc.TemplateFilesServiceStub(admin.channel)
        self.template = self.make_template("Fishing licences")

    def make_template(self, service: str) -> Template:
        """Return an email template of a new service."""
        return self.admin.make_template(
            self.admin.make_service(service).id,
            self.user_id,
            channel=common_pb2.CHANNEL_EMAIL,
            subject="A guide",
            content="See ((guide.pdf))",
        )

    def add(self, filename: str = "guide.pdf", **ids: str) -> TemplateEmailFile:
        """Add a file that waits."""
        of: dict[str, Any] = {"service_id": self.template.service_id, "template_id": self.template.id, **ids}
        file = TemplateEmailFile(**of, filename=filename, retention_weeks=26, created_by_id=self.user_id)
        ask = pb.CreateTemplateEmailFileRequest(request_id=new_id(), template_email_file=file)
        made: TemplateEmailFile = self.stub.CreateTemplateEmailFile(ask).template_email_file
        return made

    def set(self, file: TemplateEmailFile, **fields: Any) -> TemplateEmailFile:
        """Set fields of a file, and make it live."""
        wanted = TemplateEmailFile()
        wanted.CopyFrom(file)
        wanted.pending = False
        for name, value in fields.items():
            setattr(wanted, name, value)
        ask = pb.SetTemplateEmailFileRequest(template_email_file=wanted)
        stored: TemplateEmailFile = self.stub.SetTemplateEmailFile(ask).template_email_file
        return stored

    def archive(self, file: TemplateEmailFile) -> TemplateEmailFile:
        """Take a file out of use."""
        ask = pb.ArchiveTemplateEmailFileRequest(
            template_email_file_id=file.id,
            service_id=file.service_id,
            template_id=file.template_id,
            archived_by_id=self.user_id,
        )
        archived: TemplateEmailFile = self.stub.ArchiveTemplateEmailFile(ask).template_email_file
        return archived

    def live(self) -> list[str]:
        """Return the names of the live files."""
        ask = pb.ListTemplateEmailFilesRequest(
            service_id=self.template.service_id, template_id=self.template.id
        )
        return [file.filename for file in self.stub.ListTemplateEmailFiles(ask).template_email_files]

    def states(self) -> list[tuple[int, str, bool]]:
        """Return template version, link text and whether it is in use, of all states."""
        ask = pb.ListTemplateEmailFileStatesRequest(
            service_id=self.template.service_id, template_id=self.template.id
        )
        found = self.stub.ListTemplateEmailFileStates(ask).template_email_files
        return [(each.template_version, each.link_text, not each.HasField("archive_time")) for each in found]

    def version(self) -> int:
        """Return the current version of the template."""
        version: int = self.admin.get_template(self.template).version
        return version


@pytest.fixture
def files(admin: Admin, user_id: str) -> Files:
    """Provide them."""
    return Files(admin, user_id)


def reason_of(call: Any, *args: Any, **kwargs: Any) -> str:
    """Return why a call is refused."""
    with pytest.raises(NotifyError) as caught:
        call(*args, **kwargs)
    return caught.value.reason


def test_a_version_of_a_template_keeps_its_files(files: Files) -> None:
    file = files.set(files.add(), link_text="one")
    assert (file.version, files.version()) == (1, 1)
    assert files.set(file, link_text="one") == file
    file = files.set(file, link_text="two")
    assert (file.version, files.version()) == (2, 2)
    for _ in range(2):
        archived = files.archive(file)
    assert (archived.version, files.version(), files.live()) == (3, 3, [])
    assert files.states() == [(1, "one", True), (2, "two", True), (3, "two", False)]
    assert reason_of(files.set, file, link_text="three") == "FILE_NOT_FOUND"


def test_two_editors_of_a_file_make_two_versions(files: Files) -> None:
    file = files.set(files.add())
    with ThreadPoolExecutor(4) as pool:
        saved = list(pool.map(lambda text: files.set(file, link_text=text), "abcd"))
    assert sorted(each.template_version for each in saved) == [2, 3, 4, 5]
    assert files.version() == 5
    assert sorted(version for version, _, _ in files.states()) == [1, 2, 3, 4, 5]


def test_one_of_several_files_of_a_name_is_live(files: Files) -> None:
    waiting = [files.add(name) for name in ("guide.pdf", "GUIDE.pdf", "Guide.PDF")]
    with ThreadPoolExecutor(3) as pool:
        errors = [pool.submit(files.set, each).exception() for each in waiting]
    assert [error.reason for error in errors if isinstance(error, NotifyError)] == ["FILENAME_TAKEN"] * 2
    assert len(files.live()) == 1
    assert reason_of(files.add, "guide.PDF") == "FILENAME_TAKEN"
    files.set(files.add("other.pdf"))
    assert len(files.live()) == 2


def test_files_of_another_service_are_found_nowhere(files: Files) -> None:
    file, other = files.add(), files.make_template("Nets")
    assert reason_of(files.add, service_id=other.service_id) == "TEMPLATE_NOT_FOUND"
    for wrong in ({"service_id": other.service_id, "template_id": other.id}, {"template_id": other.id}):
        stranger = TemplateEmailFile()
        stranger.CopyFrom(file)
        for name, value in wrong.items():
            setattr(stranger, name, value)
        assert reason_of(files.set, stranger) in ("FILE_NOT_FOUND", "TEMPLATE_NOT_FOUND")
        assert reason_of(files.archive, stranger) == "FILE_NOT_FOUND"
    assert files.live() == []


def test_files_are_gone_with_their_template_and_service(files: Files) -> None:
    files.set(files.add())
    files.add("waits.pdf")
    files.admin.templates.ArchiveTemplate(
        templates_service_pb2.ArchiveTemplateRequest(
            service_id=files.template.service_id, template_id=files.template.id, archived_by_id=files.user_id
        )
    )
    assert files.states() == [(1, "", True), (2, "", False)]
    assert reason_of(files.add) == "TEMPLATE_ARCHIVED"

    files.template = files.make_template("Nets")
    files.set(files.add())
    files.admin.services.ArchiveService(
        services_service_pb2.ArchiveServiceRequest(service_id=files.template.service_id)
    )
    assert files.states() == [(1, "", True), (2, "", False)]


def test_a_template_is_saved_without_a_file_in_one_version(files: Files) -> None:
    file, kept = files.set(files.add()), files.set(files.add("kept.pdf"))
    ask = templates_service_pb2.UpdateTemplateRequest(
        template=files.template, updated_by_id=files.user_id, archived_email_file_ids=[file.id, new_id()]
    )
    ask.template.content, ask.template.version = "See nothing", 0
    ask.update_mask.paths.append("content")
    assert files.admin.templates.UpdateTemplate(ask).template.version == 2
    assert files.live() == [kept.filename]


def test_only_emails_of_services_that_send_them_have_files(files: Files, admin: Admin) -> None:
    text = admin.make_template(files.template.service_id, files.user_id)
    assert reason_of(files.add, template_id=text.id) == "TEMPLATE_WRONG_CHANNEL"
    service = admin.get_service(files.template.service_id)
    service.permissions[:] = ["sms"]
    admin.update_service(service, "permissions")
    assert reason_of(files.add) == "CHANNEL_NOT_ALLOWED"


def test_snapshots_have_the_files_of_the_version_that_was_asked_for(files: Files) -> None:
    def shown(version: int = 0, **other: str) -> list[tuple[str, str]]:
        ids = {"service_id": files.template.service_id, "template_id": files.template.id, **other}
        key = SnapshotKey(template_version=TemplateVersionKey(version=version, **ids))
        (snapshot,) = files.admin.feed.GetSnapshots(GetSnapshotsRequest(keys=[key])).snapshots
        return sorted((file.filename, file.link_text) for file in snapshot.email_files)

    cursor = files.admin.feed.ListConfigChanges(ListConfigChangesRequest()).next_cursor

    def news() -> int:
        nonlocal cursor
        answer = files.admin.feed.ListConfigChanges(ListConfigChangesRequest(cursor=cursor))
        cursor = answer.next_cursor
        return sum(change.template_id == files.template.id for change in answer.changes)

    waiting = files.add()
    assert (shown(), news()) == ([], 0)
    file = files.set(waiting, link_text="one")
    # the same version has one more, so whoever has cached it is told
    assert (shown(), shown(1), news()) == ([("guide.pdf", "one")], [("guide.pdf", "one")], 1)
    files.set(file, link_text="two")
    files.set(files.add("other.pdf"))
    assert (shown(1), shown(2)) == ([("guide.pdf", "one")], [("guide.pdf", "two"), ("other.pdf", "")])
    files.archive(file)
    assert (shown(), shown(2)) == ([("other.pdf", "")], [("guide.pdf", "two"), ("other.pdf", "")])
    assert shown(template_id=new_id()) == []
    both = [
        SnapshotKey(
            template_version=TemplateVersionKey(
                service_id=files.template.service_id, template_id=files.template.id, version=version
            )
        )
        for version in (0, 3, 1)
    ]
    answer = files.admin.feed.GetSnapshots(GetSnapshotsRequest(keys=both)).snapshots
    assert [len(one.email_files) for one in answer] == [1, 1, 1]

"""Files of templates: what the recorded cases can't say."""

from functools import partial
from typing import Any

import pytest
from notify.admin.v1.template_email_file_pb2 import TemplateEmailFile
from notify.admin.v1.template_pb2 import Template
from notify.common.v1.common_pb2 import CHANNEL_EMAIL
from notify_common.ids import new_id
from notify_testing.calls import at_once, reason
from notify_testing.requests import replaced

from .conftest import Admin


class Files:
    """Files of one email template, as the gateway calls them."""

    def __init__(self, admin: Admin, user_id: str) -> None:
        self.admin, self.user_id = admin, user_id
        self.template = self.make_template("Fishing licences")

    @property
    def ids(self) -> dict[str, str]:
        """Of the template."""
        return {"service_id": self.template.service_id, "template_id": self.template.id}

    def make_template(self, service: str) -> Template:
        """Return an email template of a new service."""
        service_id, content = self.admin.make_service(service).id, "See ((guide.pdf))"
        return self.admin.make_template(service_id, self.user_id, channel=CHANNEL_EMAIL, content=content)

    def add(self, filename: str = "guide.pdf", **ids: str) -> TemplateEmailFile:
        """Add a file that waits."""
        file = {"filename": filename, "retention_weeks": 26, "created_by_id": self.user_id}
        made: TemplateEmailFile = self.admin.CreateTemplateEmailFile(
            template_email_file={**self.ids, **ids, **file}
        )
        return made

    def set(self, file: TemplateEmailFile, **fields: Any) -> TemplateEmailFile:
        """Set fields of a file, and make it live."""
        wanted = replaced(file, pending=False, **fields)
        stored: TemplateEmailFile = self.admin.SetTemplateEmailFile(template_email_file=wanted)
        return stored

    def archive(self, file: TemplateEmailFile) -> TemplateEmailFile:
        """Take a file out of use."""
        ids = {"service_id": file.service_id, "template_id": file.template_id}
        archived: TemplateEmailFile = self.admin.ArchiveTemplateEmailFile(
            **ids, template_email_file_id=file.id, archived_by_id=self.user_id
        )
        return archived

    def live(self) -> list[str]:
        """Return the names of the live files."""
        return [file.filename for file in self.admin.every("ListTemplateEmailFiles", **self.ids)]

    def states(self) -> list[tuple[int, str, bool]]:
        """Return template version, link text and whether it is in use, of all states."""
        found = self.admin.every("ListTemplateEmailFileStates", **self.ids)
        return [(each.template_version, each.link_text, not each.HasField("archive_time")) for each in found]

    def version(self) -> int:
        """Return the current version of the template."""
        return self.admin.get_template(self.template).version

    def snapshots(self, *versions: int, **ids: str) -> list[list[tuple[str, str]]]:
        """Return name and link text of the files of each version, 0 for the current one."""
        keys = [{"template_version": {**self.ids, **ids, "version": version}} for version in versions]
        answer = self.admin.public.GetSnapshots(keys=keys)
        return [sorted((file.filename, file.link_text) for file in each.email_files) for each in answer]


@pytest.fixture
def files(admin: Admin, user_id: str) -> Files:
    """Provide them."""
    return Files(admin, user_id)


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
    assert reason(files.set, file, link_text="three") == "FILE_NOT_FOUND"


def test_two_editors_of_a_file_make_two_versions(files: Files) -> None:
    file = files.set(files.add())
    saved = at_once(partial(files.set, file, link_text=text) for text in "abcd")
    assert sorted(each.template_version for each in saved) == [2, 3, 4, 5]
    assert files.version() == 5
    assert sorted(version for version, _, _ in files.states()) == [1, 2, 3, 4, 5]


def test_one_of_several_files_of_a_name_is_live(files: Files) -> None:
    waiting = [files.add(name) for name in ("guide.pdf", "GUIDE.pdf", "Guide.PDF")]
    assert at_once(partial(files.set, each) for each in waiting).count("FILENAME_TAKEN") == 2
    assert len(files.live()) == 1
    assert reason(files.add, "guide.PDF") == "FILENAME_TAKEN"
    files.set(files.add("other.pdf"))
    assert len(files.live()) == 2


def test_files_are_gone_with_their_template_and_service(files: Files) -> None:
    files.set(files.add())
    files.add("waits.pdf")
    files.admin.archive_template(files.template, files.user_id)
    assert files.states() == [(1, "", True), (2, "", False)]
    assert reason(files.add) == "TEMPLATE_ARCHIVED"

    files.template = files.make_template("Nets")
    files.set(files.add())
    files.admin.ArchiveService(service_id=files.template.service_id)
    assert files.states() == [(1, "", True), (2, "", False)]


def test_a_template_is_saved_without_a_file_in_one_version(files: Files) -> None:
    file, kept = files.set(files.add()), files.set(files.add("kept.pdf"))
    files.template.content, files.template.version = "See nothing", 0
    gone = [file.id, new_id()]
    saved = files.admin.update_template(
        files.template, files.user_id, "content", archived_email_file_ids=gone
    )
    assert (saved.version, files.live()) == (2, [kept.filename])


def test_only_emails_of_services_that_send_them_have_files(files: Files, admin: Admin) -> None:
    text = admin.make_template(files.template.service_id, files.user_id)
    assert reason(files.add, template_id=text.id) == "TEMPLATE_WRONG_CHANNEL"
    service = admin.get_service(files.template.service_id)
    service.permissions[:] = ["sms"]
    admin.update_service(service, "permissions")
    assert reason(files.add) == "CHANNEL_NOT_ALLOWED"


def test_snapshots_have_the_files_of_the_version_that_was_asked_for(files: Files) -> None:
    cursor = files.admin.public.ListConfigChanges().next_cursor

    def news() -> int:
        nonlocal cursor
        answer = files.admin.public.ListConfigChanges(cursor=cursor)
        cursor = answer.next_cursor
        return sum(change.template_id == files.template.id for change in answer.changes)

    waiting = files.add()
    assert (files.snapshots(0), news()) == ([[]], 0)
    file = files.set(waiting, link_text="one")
    # the same version has one more, so whoever has cached it is told
    assert (files.snapshots(0, 1), news()) == ([[("guide.pdf", "one")]] * 2, 1)
    files.set(file, link_text="two")
    files.set(files.add("other.pdf"))
    both = [("guide.pdf", "two"), ("other.pdf", "")]
    assert files.snapshots(1, 2) == [[("guide.pdf", "one")], both]
    files.archive(file)
    assert files.snapshots(0, 2) == [[("other.pdf", "")], both]
    assert files.snapshots(0, template_id=new_id()) == [[]]
    assert [len(each) for each in files.snapshots(0, 3, 1)] == [1, 1, 1]

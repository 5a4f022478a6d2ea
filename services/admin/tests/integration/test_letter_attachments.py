"""PDFs that are printed behind the letters of a template: what the recorded cases can't say."""

from typing import Any

import pytest
from notify.admin.v1 import template_files_service_pb2 as pb
from notify.admin.v1 import template_files_service_pb2_grpc, templates_service_pb2
from notify.admin.v1.letter_attachment_pb2 import LetterAttachment
from notify.admin.v1.template_pb2 import Template
from notify.common.v1 import common_pb2
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import Admin


class Attachments:
    """Attachments of one letter template, as the gateway calls them."""

    def __init__(self, admin: Admin, user_id: str) -> None:
        self.admin, self.user_id = admin, user_id
        self.stub = template_files_service_pb2_grpc.TemplateFilesServiceStub(admin.channel)
        self.service_id = admin.make_service("Fishing licences").id
        self.template = self.make_template(common_pb2.CHANNEL_LETTER)

    def make_template(self, channel: Any) -> Template:
        return self.admin.make_template(
            self.service_id, self.user_id, channel=channel, subject="A guide", content="See behind"
        )

    def ask(self, template_id: str = "") -> pb.CreateLetterAttachmentRequest:
        attachment = LetterAttachment(
            template_id=template_id or self.template.id,
            original_filename="guide.pdf",
            page_count=2,
            created_by_id=self.user_id,
        )
        return pb.CreateLetterAttachmentRequest(request_id=new_id(), letter_attachment=attachment)

    def archive(self, attachment_id: str) -> LetterAttachment:
        ask = pb.ArchiveLetterAttachmentRequest(
            letter_attachment_id=attachment_id, archived_by_id=self.user_id
        )
        answer: pb.ArchiveLetterAttachmentResponse = self.stub.ArchiveLetterAttachment(ask)
        return answer.letter_attachment

    def versions(self) -> list[str]:
        """The attachments that versions of the template have, oldest first."""
        ask = templates_service_pb2.ListTemplateVersionsRequest(
            service_id=self.service_id, template_id=self.template.id
        )
        found = self.admin.templates.ListTemplateVersions(ask).templates
        return [version.letter_attachment_id for version in reversed(found)]

    def reason(self, ask: pb.CreateLetterAttachmentRequest) -> str:
        with pytest.raises(NotifyError) as raised:
            self.stub.CreateLetterAttachment(ask)
        return raised.value.reason


@pytest.fixture
def attachments(admin: Admin, user_id: str) -> Attachments:
    return Attachments(admin, user_id)


def test_each_version_keeps_its_attachment(attachments: Attachments) -> None:
    first, second = attachments.ask(), attachments.ask()
    stored = attachments.stub.CreateLetterAttachment(first).letter_attachment
    assert (stored.id, stored.service_id) == (first.request_id, attachments.service_id)
    assert attachments.stub.CreateLetterAttachment(first).letter_attachment == stored
    assert attachments.reason(second) == "TEMPLATE_HAS_ATTACHMENT"
    changed = Template(id=attachments.template.id, service_id=attachments.service_id, content="other")
    attachments.admin.templates.UpdateTemplate(
        templates_service_pb2.UpdateTemplateRequest(
            template=changed, update_mask={"paths": ["content"]}, updated_by_id=attachments.user_id
        )
    )
    gone = attachments.archive(first.request_id)
    assert (gone.archived_by_id, gone.HasField("archive_time")) == (attachments.user_id, True)
    with pytest.raises(NotifyError) as raised:
        attachments.archive(first.request_id)
    assert raised.value.reason == "FILE_ARCHIVED"
    attachments.stub.CreateLetterAttachment(second)
    had = ["", first.request_id, first.request_id, "", second.request_id]
    assert attachments.versions() == had


def test_what_nothing_is_attached_to(attachments: Attachments) -> None:
    assert attachments.reason(attachments.ask(new_id())) == "TEMPLATE_NOT_FOUND"
    email = attachments.make_template(common_pb2.CHANNEL_EMAIL)
    assert attachments.reason(attachments.ask(email.id)) == "TEMPLATE_WRONG_CHANNEL"
    archive = templates_service_pb2.ArchiveTemplateRequest(
        service_id=attachments.service_id,
        template_id=attachments.template.id,
        archived_by_id=attachments.user_id,
    )
    attachments.admin.templates.ArchiveTemplate(archive)
    assert attachments.reason(attachments.ask()) == "TEMPLATE_ARCHIVED"
    with pytest.raises(NotifyError) as raised:
        attachments.archive(new_id())
    assert raised.value.reason == "FILE_NOT_FOUND"

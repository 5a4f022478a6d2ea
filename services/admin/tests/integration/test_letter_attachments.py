"""PDFs that are printed behind the letters of a template: what the recorded cases can't say."""

from functools import partial
from typing import Any

import pytest
from notify.admin.v1.service_pb2 import Service
from notify.common.v1.common_pb2 import CHANNEL_EMAIL, CHANNEL_LETTER
from notify_common.ids import new_id
from notify_testing.calls import reason

from .conftest import Admin


class Attachments:
    """Attachments of one letter template, as the gateway calls them."""

    def __init__(self, admin: Admin, service: Service, user_id: str) -> None:
        self._admin, self._by = admin, user_id
        self.template = admin.make_template(service.id, user_id, channel=CHANNEL_LETTER)

    def add(self, template_id: str = "", **request: str) -> Any:
        """Attach a PDF of two pages."""
        given = {"template_id": template_id or self.template.id, "created_by_id": self._by}
        file = {"original_filename": "guide.pdf", "page_count": 2}
        return self._admin.CreateLetterAttachment(letter_attachment={**given, **file}, **request)

    def archive(self, attachment_id: str) -> Any:
        """Take a PDF away."""
        return self._admin.ArchiveLetterAttachment(
            letter_attachment_id=attachment_id, archived_by_id=self._by
        )


@pytest.fixture
def attachments(admin: Admin, service: Service, user_id: str) -> Attachments:
    """Provide them."""
    return Attachments(admin, service, user_id)


def test_each_version_keeps_its_attachment(admin: Admin, attachments: Attachments, user_id: str) -> None:
    template, request_id = attachments.template, new_id()
    create = partial(attachments.add, request_id=request_id)
    stored = create()
    assert (stored.id, stored.service_id) == (request_id, template.service_id)
    assert create() == stored
    assert reason(attachments.add) == "TEMPLATE_HAS_ATTACHMENT"
    template.content, template.version = "other", 0
    admin.update_template(template, user_id, "content")
    gone = attachments.archive(stored.id)
    assert (gone.archived_by_id, gone.HasField("archive_time")) == (user_id, True)
    assert reason(attachments.archive, stored.id) == "FILE_ARCHIVED"
    second = attachments.add()
    found = admin.every("ListTemplateVersions", service_id=template.service_id, template_id=template.id)
    had = [version.letter_attachment_id for version in reversed(found)]
    assert had == ["", stored.id, stored.id, "", second.id]


def test_what_nothing_is_attached_to(admin: Admin, attachments: Attachments, user_id: str) -> None:
    assert reason(attachments.add, new_id()) == "TEMPLATE_NOT_FOUND"
    email = admin.make_template(attachments.template.service_id, user_id, channel=CHANNEL_EMAIL)
    assert reason(attachments.add, email.id) == "TEMPLATE_WRONG_CHANNEL"
    admin.archive_template(attachments.template, user_id)
    assert reason(attachments.add) == "TEMPLATE_ARCHIVED"
    assert reason(attachments.archive, new_id()) == "FILE_NOT_FOUND"

"""PDFs that are printed behind the letters of a template (internal-api.md C5 to C7)."""

from typing import Any

from notify.admin.v1 import template_files_service_pb2 as pb
from notify.admin.v1.letter_attachment_pb2 import LetterAttachment
from notify.common.v1.common_pb2 import Channel
from notify_common import clock
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.store import templates
from notify_admin.store.resources import LETTER_ATTACHMENTS, TEMPLATES, USERS
from notify_admin.usecases.reads import Gets
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.templates import lock_live

get_letter_attachment = Gets(LETTER_ATTACHMENTS)


def create_letter_attachment(tx: Tx, ask: pb.CreateLetterAttachmentRequest) -> LetterAttachment:
    """Attach a PDF to a letter template, which makes a version of it. Idempotency key: its id."""
    given = ask.letter_attachment
    service_id = TEMPLATES.value(tx, "service_id", id=given.template_id)
    if service_id is None:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    lock_service(tx, service_id)
    template = lock_live(tx, service_id, given.template_id, Channel.CHANNEL_LETTER)
    if template.hidden:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    if template.letter_attachment_id not in ("", ask.request_id):
        raise NotifyError("TEMPLATE_HAS_ATTACHMENT")
    USERS.one(tx, id=given.created_by_id)
    if LETTER_ATTACHMENTS.add(tx, ask, given, service_id=service_id):
        attached = {"letter_attachment_id": ask.request_id}
        keys = {"service_id": service_id, "template_id": template.id}
        templates.copy_versions(tx, attached, given.created_by_id, **keys)
    return LETTER_ATTACHMENTS.one(tx, id=ask.request_id)


def archive_letter_attachment(tx: Tx, ask: pb.ArchiveLetterAttachmentRequest) -> LetterAttachment:
    """Take a PDF off its template, which makes a version of it. Raises NotifyError FILE_ARCHIVED."""
    attachment_id = ask.letter_attachment_id
    service_id = LETTER_ATTACHMENTS.one(tx, id=attachment_id).service_id
    lock_service(tx, service_id, archived_too=True)
    found = LETTER_ATTACHMENTS.one(tx, id=attachment_id)
    if found.HasField("archive_time"):
        raise NotifyError("FILE_ARCHIVED")
    USERS.one(tx, id=ask.archived_by_id)
    keys = {"service_id": service_id, "template_id": found.template_id}
    templates.copy_versions(tx, {"letter_attachment_id": None}, ask.archived_by_id, **keys)
    gone: dict[str, Any] = {"archive_time": clock.now(), "archived_by_id": ask.archived_by_id}
    return LETTER_ATTACHMENTS.change(tx, {"id": attachment_id}, **gone)[0]

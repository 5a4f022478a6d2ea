"""Files that emails of a template link to (internal-api.md §4.7, A121 to A125)."""

from typing import Any

from notify.admin.v1 import template_files_service_pb2 as pb
from notify.admin.v1.template_email_file_pb2 import TemplateEmailFile
from notify.admin.v1.template_pb2 import Template
from notify.common.v1.common_pb2 import Channel
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.store import changes, email_files, templates
from notify_admin.store.resources import EMAIL_FILE_STATES, EMAIL_FILES, SERVICES, USERS
from notify_admin.usecases.reads import Gets, Lists
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.templates import lock_live, require_channel

get_template_email_file = Gets(EMAIL_FILES)
list_template_email_files = Lists(EMAIL_FILES, email_files.LIVE, parent=SERVICES)
list_template_email_file_states = Lists(EMAIL_FILE_STATES)


def create_template_email_file(tx: Tx, ask: pb.CreateTemplateEmailFileRequest) -> TemplateEmailFile:
    """Add a file that waits to be made live."""
    given = ask.template_email_file
    template = _lock(tx, given)
    USERS.one(tx, id=given.created_by_id)
    _refuse_second(tx, given)
    given.pending = True
    EMAIL_FILES.add(tx, ask, given, template_version=template.version)
    return EMAIL_FILES.one(tx, id=ask.request_id)


def set_template_email_file(tx: Tx, ask: pb.SetTemplateEmailFileRequest) -> TemplateEmailFile:
    """Set everything; a live file stays live, and its change makes a version of the template.

    Two who edit at once make two versions, each with what it says.
    """
    wanted = ask.template_email_file
    template = _lock(tx, wanted)
    keys: dict[str, Any] = {"id": wanted.id, "template_id": template.id, "service_id": template.service_id}
    found = EMAIL_FILES.one(tx, **keys, archive_time=None)
    now = {
        "link_text": wanted.link_text or None,
        "retention_weeks": wanted.retention_weeks,
        "validates_email_address": wanted.validates_email_address,
    }
    if found.pending and wanted.pending:
        return EMAIL_FILES.change(tx, {"id": found.id}, **now)[0]
    if found.pending:
        _refuse_second(tx, found)
    elif all((getattr(found, name) or None) == (value or None) for name, value in now.items()):
        return found
    else:
        templates.copy_versions(tx, {}, service_id=template.service_id, template_id=template.id)
    version = template.version if found.pending else template.version + 1
    saved = EMAIL_FILES.change(tx, {"id": found.id}, **now, pending=False, template_version=version)[0]
    email_files.record(tx, found.id)
    if found.pending:
        # the version that whoever sends has cached has one file more
        changes.append(tx, "template", template.service_id, [template.id])
    return saved


def archive_template_email_file(tx: Tx, ask: pb.ArchiveTemplateEmailFileRequest) -> TemplateEmailFile:
    """Take a file out of use. Idempotency key: its state."""
    lock_service(tx, ask.service_id)
    USERS.one(tx, id=ask.archived_by_id)
    file_id = ask.template_email_file_id
    found = EMAIL_FILES.one(tx, id=file_id, template_id=ask.template_id, service_id=ask.service_id)
    if found.HasField("archive_time"):
        return found
    if not found.pending:
        keys = {"service_id": ask.service_id, "template_id": ask.template_id}
        templates.copy_versions(tx, {}, ask.archived_by_id, **keys)
    return email_files.archive(tx, ask.service_id, [ask.template_id], ask.archived_by_id, file_id)[0]


def _lock(tx: Tx, file: TemplateEmailFile) -> Template:
    """Return the template of a file that may be changed, which is locked with its service."""
    service = lock_service(tx, file.service_id)
    template = lock_live(tx, service.id, file.template_id, Channel.CHANNEL_EMAIL)
    require_channel(service, template.channel)
    return template


def _refuse_second(tx: Tx, file: TemplateEmailFile) -> None:
    named = email_files.live_named(file.template_id, file.filename)
    if any(found.id != file.id for found in EMAIL_FILES.find(tx, named)):
        raise NotifyError("FILENAME_TAKEN")

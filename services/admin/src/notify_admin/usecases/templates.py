"""Templates and their versions."""

from typing import Any

from notify.admin.v1 import service_pb2
from notify.admin.v1 import templates_service_pb2 as pb
from notify.admin.v1.template_pb2 import Template
from notify.common.v1 import common_pb2
from notify.common.v1.common_pb2 import Channel
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError
from notify_common.ids import PLATFORM_USER_ID, child_id
from notify_common.rpc import enums
from notify_common.rpc.paging import Pager

from notify_admin.domain import templates as rules
from notify_admin.domain.templates import CURRENT, VersionKey
from notify_admin.store import email_files, folders, templates
from notify_admin.store.resources import (
    EMAIL_FILES,
    FOLDERS,
    LETTER_CONTACTS,
    SERVICES,
    TEMPLATES,
    USERS,
    VERSIONS,
)
from notify_admin.usecases.reads import Lists
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.violations import Violations

_DOMESTIC = (common_pb2.POSTAGE_FIRST, common_pb2.POSTAGE_SECOND, common_pb2.POSTAGE_ECONOMY)
_LETTERS_ONLY = ("postage", "letter_contact_id", "welsh_subject", "welsh_content")


def create_template(tx: Tx, ask: pb.CreateTemplateRequest) -> Template:
    """Create a template at version 1; a letter has the contact block that is named, not the default one.

    Raises:
        NotifyError: INVALID_FIELD, MESSAGE_TOO_LONG, QR_CODE_TOO_LONG; SERVICE_NOT_FOUND, SERVICE_ARCHIVED;
            CHANNEL_NOT_ALLOWED; USER_NOT_FOUND; SENDER_NOT_FOUND; REQUEST_ID_REUSED.
    """
    template = checked(ask.template)
    template.ClearField("archived")
    template.ClearField("hidden")
    service = lock_service(tx, template.service_id)
    require_channel(service, template.channel)
    USERS.one(tx, id=template.created_by_id)
    if template.folder_id:
        FOLDERS.one(tx, id=template.folder_id, service_id=service.id)
    template.letter_contact_block = _contact_block(tx, template)
    templates.create(tx, ask, template)
    return templates.current(tx, service.id, ask.request_id)


def get_template(tx: Tx, ask: pb.GetTemplateRequest) -> Template:
    """Return a template at a version, archived or not."""
    return templates.one(tx, VersionKey(ask.service_id, ask.template_id, ask.version))


list_templates = Lists(TEMPLATES, templates.LISTED, parent=SERVICES)


def list_template_versions(
    pager: Pager, tx: Tx, ask: pb.ListTemplateVersionsRequest
) -> pb.ListTemplateVersionsResponse:
    """Return all versions, newest first. Raises NotifyError TEMPLATE_NOT_FOUND."""
    answer = TEMPLATES.page(
        tx, pager, ask, pb.ListTemplateVersionsResponse, order="-version", id=ask.template_id
    )
    if not answer.templates:
        templates.current(tx, ask.service_id, ask.template_id)
    return answer


def update_template(tx: Tx, ask: pb.UpdateTemplateRequest) -> Template:
    """Make a version with the masked fields; no difference makes none unless it is asked for (A116).

    Raises:
        NotifyError: TEMPLATE_NOT_FOUND; TEMPLATE_ARCHIVED; STALE_VERSION; INVALID_FIELD, MESSAGE_TOO_LONG,
            QR_CODE_TOO_LONG; CHANNEL_NOT_ALLOWED; USER_NOT_FOUND; SENDER_NOT_FOUND; SERVICE_NOT_FOUND,
            SERVICE_ARCHIVED.
    """
    service = lock_service(tx, ask.template.service_id)
    current = lock_live(tx, service.id, ask.template.id)
    if ask.template.version not in (0, current.version):
        raise NotifyError("STALE_VERSION")
    require_channel(service, current.channel)
    USERS.one(tx, id=ask.updated_by_id)
    as_it_is = ask.makes_version and not ask.update_mask.paths
    wanted = checked(current if as_it_is else VERSIONS.merge(current, ask.template, ask.update_mask))
    files = EMAIL_FILES.find(tx, email_files.LIVE, template_id=current.id)
    gone = [file.id for file in files if file.id in ask.archived_email_file_ids]
    if wanted == current and not gone and not ask.makes_version:
        return current
    wanted.letter_contact_block = _contact_block(tx, wanted)
    templates.add_version(tx, wanted, ask.updated_by_id)
    if gone:
        email_files.archive(tx, service.id, [current.id], ask.updated_by_id, *gone)
    return templates.current(tx, service.id, current.id)


def archive_template(tx: Tx, ask: pb.ArchiveTemplateRequest) -> Template:
    """Make an archived version of a template; archiving twice makes one."""
    lock_service(tx, ask.service_id, archived_too=True)
    USERS.one(tx, id=ask.archived_by_id)
    current = templates.lock(tx, ask.service_id, ask.template_id)
    if current.archived:
        return current
    keys: dict[str, Any] = {"service_id": ask.service_id, "template_id": current.id}
    templates.copy_versions(tx, {"archived": True}, ask.archived_by_id, **keys)
    email_files.archive(tx, ask.service_id, [current.id], ask.archived_by_id)
    folders.move(tx, ask.service_id, [], [current.id], None)
    return templates.current(tx, ask.service_id, current.id)


def redact_template(tx: Tx, ask: pb.RedactTemplateRequest) -> Template:
    """Hide for good what is filled into the placeholders; it makes no version."""
    lock_service(tx, ask.service_id)
    USERS.one(tx, id=ask.redacted_by_id)
    templates.lock(tx, ask.service_id, ask.template_id)
    templates.redact(tx, ask.service_id, ask.template_id)
    return templates.current(tx, ask.service_id, ask.template_id)


def ensure_precompiled_template(tx: Tx, ask: pb.EnsurePrecompiledTemplateRequest) -> Template:
    """Make the hidden letter template of a service, or return it (internal-api.md §4.7).

    Idempotency key: its id, which is made from the service's.
    """
    service = lock_service(tx, ask.service_id)
    template_id = child_id(service.id, "precompiled template")
    key = VersionKey(service.id, template_id, CURRENT)
    if found := templates.get_many(tx, [key]):
        return found[key]
    made = Template(
        service_id=service.id,
        channel=Channel.CHANNEL_LETTER,
        name=rules.PRECOMPILED,
        subject=rules.PRECOMPILED,
        postage=common_pb2.POSTAGE_SECOND,
        created_by_id=USERS.one(tx, id=PLATFORM_USER_ID).id,
    )
    request = pb.CreateTemplateRequest(request_id=template_id, template=made)
    templates.create(tx, request, made, hidden=True)
    return templates.current(tx, service.id, template_id)


def checked(given: Template) -> Template:
    """Return a template in the form in which it is stored; letters go second class unless told otherwise.

    Raises:
        NotifyError: INVALID_FIELD, with all violations; MESSAGE_TOO_LONG; QR_CODE_TOO_LONG.
    """
    stored = Template()
    stored.CopyFrom(given)
    letter = given.channel == Channel.CHANNEL_LETTER
    with Violations("template") as violations:
        require = violations.require
        require(bool(given.name.strip()), "name", "is required")
        violations.require_short(given.name, rules.MAX_NAME_LENGTH, "name")
        require(bool(given.content.strip()), "content", "is required")
        if given.channel == Channel.CHANNEL_SMS:
            require(not given.subject, "subject", "should be empty for a text")
        else:
            require(bool(given.subject.strip()), "subject", "is required")
        for field in ("subject", "welsh_subject"):
            violations.require_short(getattr(given, field), rules.MAX_SUBJECT_LENGTH, field)
        if letter:
            stored.postage = given.postage or common_pb2.POSTAGE_SECOND
            require(stored.postage in _DOMESTIC, "postage", "should be first, second or economy")
            both_or_none = bool(given.welsh_subject.strip()) == bool(given.welsh_content.strip())
            require(both_or_none, "welsh_content", "needs welsh_subject, and the other way round")
            for field in ("content", "welsh_content"):
                fits = len(getattr(given, field).encode()) <= rules.MAX_CONTENT_BYTES
                require(fits, field, f"is longer than {rules.MAX_CONTENT_BYTES} bytes")
        else:
            for field in _LETTERS_ONLY:
                require(not getattr(given, field), field, "is for letters only")
        if given.channel != Channel.CHANNEL_EMAIL:
            require(not given.has_unsubscribe_link, "has_unsubscribe_link", "is for emails only")
    match given.channel:
        case Channel.CHANNEL_SMS:
            rules.check_text(given.content)
        case Channel.CHANNEL_EMAIL:
            rules.check_email(given.content)
        case _:
            rules.check_letter(given.subject, given.content)
            rules.check_letter(given.welsh_subject, given.welsh_content)
    return stored


def _contact_block(tx: Tx, template: Template) -> str:
    if not template.letter_contact_id:
        return ""
    mine, contact_id = template.service_id, template.letter_contact_id
    contact = LETTER_CONTACTS.get(tx, id=contact_id, service_id=mine, archived=False)
    if contact is None:
        facts = {"field": "letter_contact_id", "sender_id": contact_id, "service_id": mine}
        raise NotifyError("SENDER_NOT_FOUND", metadata=facts)
    return contact.contact_block


def lock_live(tx: Tx, service_id: str, template_id: str, channel: Channel | None = None) -> Template:
    """Return a template at its current version that nobody else changes until the transaction ends.

    Raises NotifyError: TEMPLATE_NOT_FOUND; TEMPLATE_ARCHIVED; TEMPLATE_WRONG_CHANNEL, it is of another one.
    """
    template = templates.lock(tx, service_id, template_id)
    if template.archived:
        raise NotifyError("TEMPLATE_ARCHIVED")
    if channel is not None and template.channel != channel:
        named = {"template_channel": template.channel, "channel": channel}
        facts = {fact: enums.to_text(Channel, value) for fact, value in named.items()}
        raise NotifyError("TEMPLATE_WRONG_CHANNEL", metadata=facts)
    return template


def require_channel(service: service_pb2.Service, channel: Channel) -> None:
    """Raise NotifyError CHANNEL_NOT_ALLOWED unless a service may send by a channel."""
    name = enums.to_text(Channel, channel)
    if name not in service.permissions:
        raise NotifyError("CHANNEL_NOT_ALLOWED", metadata={"channel": name})

"""Templates and their versions (internal-api.md A113 to A120)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from notify.admin.v1 import services_service_pb2
from notify.admin.v1 import templates_service_pb2 as pb
from notify.admin.v1.template_pb2 import Template
from notify.common.v1.common_pb2 import Channel, PersonalisationField
from notify.notifications.v1.notifications_service_pb2 import PreviewTemplateRequest
from notify_common.errors import NotifyError

from notify_gateway.admin.forms import BOOLEAN, NULLABLE_TEXT, STRING, UUID, InvalidForm, schema, words
from notify_gateway.admin.letter_attachments import attachments_of
from notify_gateway.admin.routes import Answer, Call, Routes, bare, by_field, data, new_id, plain
from notify_gateway.admin.shapes import Shape, nullable, whole
from notify_gateway.admin.template_files import files_of
from notify_gateway.clients import InternalClients
from notify_gateway.errors import TABLE, Choice, Row, Rows

PRECOMPILED: Final = "Pre-compiled PDF"
"""Name of the hidden template that each service's uploaded letters are made of."""


def _languages(template: Template) -> str | None:
    if template.channel != Channel.CHANNEL_LETTER:
        return None
    return "welsh_then_english" if template.welsh_content else "english"


def is_precompiled(template: Template) -> bool:
    """Whether it is the one that letters which come as PDFs are sent with."""
    return template.hidden and template.name == PRECOMPILED


_SHARED: Final[dict[str, Any]] = {
    "template_type": "channel",
    "subject": nullable("subject"),
    "service": "service_id",
    "created_at": "create_time",
    "updated_at": "update_time",
    "created_by": "made_by_id",
    "template_redacted": "id",
    "postage": nullable("postage"),
    "letter_welsh_subject": nullable("welsh_subject"),
    "letter_welsh_content": nullable("welsh_content"),
    "letter_languages": whole(_languages),
    "service_letter_contact": nullable("letter_contact_id"),
    "reply_to": nullable("letter_contact_id"),
    "reply_to_text": nullable("letter_contact_block"),
    "is_precompiled_letter": whole(is_precompiled),
}
_SAME: Final = "id name content version archived hidden has_unsubscribe_link"
TEMPLATE = Shape(Template, _SAME, **_SHARED, folder=nullable("folder_id"), redact_personalisation="redacted")
_MAKER = Shape(Template, id="made_by_id", name="made_by_name", email_address="made_by_email_address")
VERSION = Shape(Template, _SAME, **{**_SHARED, "created_by": whole(_MAKER.json)})
LISTED = Shape(
    Template,
    "id name",
    template_type="channel",
    folder=nullable("folder_id"),
    is_precompiled_letter=whole(is_precompiled),
)
_WRITTEN: Final[dict[str, Any]] = {
    "template_type": "channel",
    "created_by": "created_by_id",
    "parent_folder_id": "folder_id",
    "letter_welsh_subject": "welsh_subject",
    "letter_welsh_content": "welsh_content",
    "reply_to": "letter_contact_id",
}
INPUT = Shape(Template, "name content subject postage has_unsubscribe_link", **_WRITTEN)

_KEYS: Final[dict[str, Any]] = {
    "name": STRING,
    "template_type": {"enum": ["sms", "email", "letter"]},
    "content": STRING,
    "subject": STRING,
    "service": UUID,
    "created_by": UUID,
    "parent_folder_id": UUID,
    "postage": {"type": "string", "format": "postage"},
    "has_unsubscribe_link": {"type": ["boolean", "null"]},
    "letter_languages": {"enum": ["english", "welsh_then_english"]},
    "letter_welsh_subject": NULLABLE_TEXT,
    "letter_welsh_content": NULLABLE_TEXT,
}


def _welsh(language: str, kind: str) -> dict[str, Any]:
    return {
        "properties": {
            "letter_languages": {"enum": [language]},
            "letter_welsh_subject": {"type": kind},
            "letter_welsh_content": {"type": kind},
        },
        "required": ["letter_languages", "letter_welsh_subject", "letter_welsh_content"],
    }


_LANGUAGES: Final[dict[str, Any]] = {
    "anyOf": [
        {"not": {"required": ["letter_languages"]}},
        _welsh("english", "null"),
        _welsh("welsh_then_english", "string"),
    ]
}
_NEEDS_SUBJECT: Final[dict[str, Any]] = {
    "if": {"properties": {"template_type": {"enum": ["email", "letter"]}}},
    "then": {"required": ["subject"]},
}
CREATE = schema(
    "name template_type content service created_by", first=_NEEDS_SUBJECT, more=_LANGUAGES, **_KEYS
)
UPDATE = schema(
    keep_others=True,
    more=_LANGUAGES,
    **_KEYS,
    archived=BOOLEAN,
    redact_personalisation=BOOLEAN,
    archive_email_file_ids={"type": "array", "items": UUID},
    reply_to={**UUID, "type": ["string", "null"]},
)


def _refused(verb: str) -> Choice:
    def row(name: str) -> Row:
        return by_field("template_type", f"{verb} {name} templates is not allowed", 403)

    return Choice("channel", {"sms": row("text message"), "email": row("email")}, row("letter"))


_TOO_LONG = by_field("content", "Content has a character count greater than the limit of {limit}")
ERRORS: Rows = {
    "MESSAGE_TOO_LONG": _TOO_LONG,
    "QR_CODE_TOO_LONG": by_field("content", "qr-code-too-long"),
    "FOLDER_NOT_FOUND": plain("parent_folder_id not found"),
    "CHANNEL_NOT_ALLOWED": _refused("Creating"),
}
PREVIEW_ERRORS: Rows = {"MISSING_PERSONALISATION": by_field("template", "Missing personalisation: {names}")}
UPDATE_ERRORS: Rows = {
    "CHANNEL_NOT_ALLOWED": _refused("Updating"),
    "SENDER_NOT_FOUND": TABLE["SENDER_NOT_FOUND"],
}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("templates", clients, ERRORS)
    all_ = "/service/<uuid:service_id>/template"
    one = f"{all_}/<uuid:template_id>"

    def read(call: Call, version: int = 0) -> Template:
        found: Template = clients.ask(pb.GetTemplateRequest(**{**call.path, "version": version})).template
        if found.hidden:
            raise NotifyError("TEMPLATE_NOT_FOUND")
        return found

    def shown(template: Template, shape: Shape[Template] = TEMPLATE) -> dict[str, Any]:
        text = _reply_to_text(clients, template)
        [files] = _files(clients, [template])
        return {**shape.json(template), "reply_to_text": text, **files}

    made.call("GET", all_, pb.ListTemplatesRequest, LISTED)

    @made.post(all_, CREATE)
    def create_template(call: Call) -> Answer:
        template = INPUT.message(call.form, service_id=call.id("service_id"))
        ask = pb.CreateTemplateRequest(request_id=new_id(), template=template)
        return data(shown(clients.ask(ask).template), 201)

    @made.get(one)
    def get_template(call: Call) -> Answer:
        return data(shown(read(call)))

    @made.get(f"{all_}/precompiled")
    def get_precompiled(call: Call) -> Answer:
        return bare(shown(clients.ask(pb.EnsurePrecompiledTemplateRequest(**call.path)).template))

    @made.get(f"{one}/version/<int:version>")
    def get_version(call: Call) -> Answer:
        return data(shown(read(call, int(call.id("version"))), VERSION))

    @made.get(f"{one}/preview", PREVIEW_ERRORS)
    def preview_template(call: Call) -> Answer:
        template = read(call)
        values = [PersonalisationField(key=key, text=value) for key, value in call.queries()]
        filled = clients.ask(PreviewTemplateRequest(**call.path, personalisation=values))
        return bare({**shown(template), "subject": filled.subject or None, "content": filled.body})

    @made.get(f"{one}/versions")
    def list_versions(call: Call) -> Answer:
        found = list(clients.all(pb.ListTemplateVersionsRequest(**call.path)))
        text = _reply_to_text(clients, found[0])
        pairs = zip(found, _files(clients, found), strict=True)
        return data([{**VERSION.json(each), "reply_to_text": text, **files} for each, files in pairs])

    @made.post(one, UPDATE, UPDATE_ERRORS)
    def update_template(call: Call) -> Answer:
        form = dict(call.form)
        by = form.get("created_by", "")
        if form.get("redact_personalisation"):
            if not by:
                raise InvalidForm({"created_by": ["Field is required"]})
            clients.ask(pb.RedactTemplateRequest(**call.path, redacted_by_id=by))
            return bare(None)
        current = read(call)
        if "reply_to" in form:
            return save(current, {"reply_to": form["reply_to"]}, current.made_by_id)
        stored = shown(current)
        if {**stored, **form} == stored:
            return data(stored)
        by = by or current.made_by_id
        if form.get("archived"):
            ask = pb.ArchiveTemplateRequest(**call.path, archived_by_id=by)
            return data(shown(clients.ask(ask).template))
        wanted = INPUT.message({"template_type": form.get("template_type")})
        if wanted.channel not in (Channel.CHANNEL_UNSPECIFIED, current.channel):
            raise InvalidForm({"subject": ["Invalid template subject"]})
        return save(current, form, by, form.get("archive_email_file_ids", ()))

    def save(current: Template, form: Mapping[str, Any], by: str, files: Sequence[str] = ()) -> Answer:
        changed = {name: value for name, value in form.items() if name in CHANGEABLE}
        ask = pb.UpdateTemplateRequest(
            template=INPUT.message(changed, id=current.id, service_id=current.service_id),
            update_mask=INPUT.mask(changed),
            updated_by_id=by,
            archived_email_file_ids=files,
            makes_version=True,
        )
        return data(shown(clients.ask(ask).template))

    return made


CHANGEABLE: Final = words(
    "name content subject postage has_unsubscribe_link letter_welsh_subject letter_welsh_content reply_to"
)


def _files(clients: InternalClients, templates: list[Template]) -> list[dict[str, Any]]:
    """Return the files that versions of one template have."""
    files, attachments = files_of(clients, templates), attachments_of(clients, templates)
    return [
        {"email_files": each, "letter_attachment": attachment}
        for each, attachment in zip(files, attachments, strict=True)
    ]


def _reply_to_text(clients: InternalClients, template: Template) -> str | None:
    """Return what the messages of a template come from, or are answered to."""
    mine: dict[str, Any] = {"service_id": template.service_id, "page_size": 1}
    if template.channel == Channel.CHANNEL_SMS:
        senders = clients.ask(services_service_pb2.ListSmsSendersRequest(**mine)).sms_senders
        return _international(senders[0].sender) if senders else None
    if template.channel == Channel.CHANNEL_EMAIL:
        addresses = clients.ask(services_service_pb2.ListReplyToAddressesRequest(**mine)).reply_to_addresses
        return addresses[0].email_address if addresses else None
    return template.letter_contact_block or None


def _international(sender: str) -> str:
    digits = sender.lstrip("+")
    return f"44{digits[1:]}" if digits.isdecimal() and digits.startswith("0") else digits

"""Files that emails of a template link to (internal-api.md A121 to A125)."""

from collections.abc import Iterable
from typing import Any, Final

from notify.admin.v1 import template_files_service_pb2 as pb
from notify.admin.v1.template_email_file_pb2 import TemplateEmailFile
from notify.admin.v1.template_pb2 import Template
from notify.common.v1.common_pb2 import Channel

from notify_gateway.admin.forms import BOOLEAN, INTEGER, NULLABLE_TEXT, STRING, UUID, schema
from notify_gateway.admin.routes import Answer, Call, Json, Routes, data, new_id, plain
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.clients import InternalClients
from notify_gateway.errors import Rows

_SAID: Final[dict[str, Any]] = {
    "link_text": nullable("link_text"),
    "retention_period": "retention_weeks",
    "validate_users_email": "validates_email_address",
}
EMAIL_FILE = Shape(
    TemplateEmailFile,
    "id filename pending version template_id template_version created_by_id",
    **_SAID,
    template="template_id",
    created_by="created_by_id",
    created_at="create_time",
    updated_at="update_time",
    archived_at="archive_time",
    archived_by=nullable("archived_by_id"),
)
SHOWN = Shape(TemplateEmailFile, "id filename pending", **_SAID)
"""As a template has it."""
_KEYS: dict[str, Any] = {
    "link_text": NULLABLE_TEXT,
    "retention_period": {**INTEGER, "minimum": 1, "maximum": 78},
    "validate_users_email": BOOLEAN,
}
CREATE = schema("filename created_by_id", id=UUID, filename=STRING, created_by_id=UUID, **_KEYS)
SET = schema("retention_period validate_users_email pending", pending=BOOLEAN, **_KEYS)
ARCHIVE = schema("archived_by_id", archived_by_id=UUID)
DEFAULT_WEEKS: Final = 1
ERRORS: Rows = {
    "TEMPLATE_WRONG_CHANNEL": plain("Cannot add an email file to a non-email template"),
    "CHANNEL_NOT_ALLOWED": plain("Updating email templates is not allowed"),
    "FILENAME_TAKEN": plain("File named {filename} already exists for template id {template_id}"),
}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("template_files", clients, ERRORS)
    all_ = "/service/<uuid:service_id>/templates/<uuid:template_id>/template_email_files"
    one = f"{all_}/<uuid:template_email_file_id>"

    made.call("GET", all_, pb.ListTemplateEmailFilesRequest, EMAIL_FILE)
    made.call("GET", one, pb.GetTemplateEmailFileRequest, EMAIL_FILE)
    made.call("POST", one, pb.SetTemplateEmailFileRequest, EMAIL_FILE, form=SET)
    made.call("POST", f"{one}/archive", pb.ArchiveTemplateEmailFileRequest, EMAIL_FILE, form=ARCHIVE)

    @made.post(all_, CREATE)
    def create(call: Call) -> Answer:
        form = {"retention_period": DEFAULT_WEEKS, "validate_users_email": True, **call.form}
        file_id = form.pop("id", "") or new_id()
        file = EMAIL_FILE.message(form, **call.path)
        ask = pb.CreateTemplateEmailFileRequest(request_id=file_id, template_email_file=file)
        return data(EMAIL_FILE.json(clients.ask(ask).template_email_file), 201)

    return made


def files_of(clients: InternalClients, templates: Iterable[Template]) -> list[list[Json]]:
    """Return the files of versions of one template, as each has them."""
    versions = list(templates)
    if not versions or versions[0].channel != Channel.CHANNEL_EMAIL:
        return [[] for _ in versions]
    ask = pb.ListTemplateEmailFileStatesRequest(service_id=versions[0].service_id, template_id=versions[0].id)
    states = list(clients.all(ask))
    return [_at(states, template.version) for template in versions]


def _at(states: Iterable[TemplateEmailFile], version: int) -> list[Json]:
    newest = {state.id: state for state in states if state.template_version <= version}
    return SHOWN.list(state for state in newest.values() if not state.HasField("archive_time"))

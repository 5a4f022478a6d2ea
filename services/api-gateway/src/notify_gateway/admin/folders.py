"""Template folders (internal-api.md A126 to A131)."""

from typing import Any, Final

from notify.admin.v1 import template_folders_service_pb2 as pb
from notify.admin.v1.template_folder_pb2 import TemplateFolder

from notify_gateway.admin.forms import NULLABLE_UUID, TEXT, UUID, schema
from notify_gateway.admin.routes import Answer, Call, Routes, data, plain, under
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.clients import InternalClients
from notify_gateway.errors import NO_RESULT, Choice, Rows

FOLDER = Shape(
    TemplateFolder, "id name service_id", parent_id=nullable("parent_id"), users_with_permission="user_ids"
)
_IDS = {"type": "array", "items": UUID}
CREATE = schema("name parent_id", name=TEXT, parent_id=NULLABLE_UUID)
SET = schema("name", name=TEXT, users_with_permission=_IDS)
MOVE = schema("templates folders", templates=_IDS, folders=_IDS)
_MOVED: Final = {"templates": "template_ids", "folders": "folder_ids"}
_NO_TEMPLATE = "Could not move to folder: No template found with id {template_id} for service {service_id}"
MOVE_ERRORS: Rows = {
    "TEMPLATE_NOT_FOUND": plain(_NO_TEMPLATE),
    "FOLDER_NOT_FOUND": Choice(
        "role",
        {"moved": plain("No folder found with id {folder_id} for service {service_id}")},
        NO_RESULT,
    ),
    "FOLDER_IN_ITSELF": Choice(
        "place",
        {"itself": plain("You cannot move a folder to itself")},
        plain("You cannot move a folder to one of its subfolders"),
    ),
}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("folders", clients)
    all_ = "/service/<uuid:service_id>/template-folder"
    one = f"{all_}/<uuid:template_folder_id>"
    no_parent = {"FOLDER_NOT_FOUND": plain("parent_id not found")}
    moving: dict[str, Any] = {"form": MOVE, "errors": MOVE_ERRORS, "names": _MOVED}
    made.call("GET", all_, pb.ListTemplateFoldersRequest, FOLDER, under("template_folders"))
    made.call("POST", all_, pb.CreateTemplateFolderRequest, FOLDER, form=CREATE, errors=no_parent)
    made.call("DELETE", one, pb.DeleteTemplateFolderRequest)
    made.call("POST", f"{all_}/contents", pb.MoveToFolderRequest, **moving)
    made.call("POST", f"{all_}/<uuid:target_id>/contents", pb.MoveToFolderRequest, **moving)

    @made.post(one, SET)
    def set_folder(call: Call) -> Answer:
        ids = {"service_id": call.id("service_id"), "id": call.id("template_folder_id")}
        folder, sets = FOLDER.message(call.form, **ids), "users_with_permission" in call.form
        ask = pb.SetTemplateFolderRequest(template_folder=folder, set_users=sets)
        return data(FOLDER.json(clients.ask(ask).template_folder))

    return made

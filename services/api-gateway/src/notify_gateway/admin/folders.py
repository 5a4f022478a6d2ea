"""Template folders (internal-api.md A126 to A131)."""

from notify.admin.v1 import template_folders_service_pb2 as pb
from notify.admin.v1.template_folder_pb2 import TemplateFolder

from notify_gateway.admin.forms import NULLABLE_UUID, TEXT, UUID, schema
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data, every, new_id, nothing, plain
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import InternalClients
from notify_gateway.errors import NO_RESULT, Choice, Rows

FOLDER = Shape(
    TemplateFolder, "id name service_id", parent_id=nullable("parent_id"), users_with_permission="user_ids"
)
_IDS = {"type": "array", "items": UUID}
CREATE = schema("name parent_id", name=TEXT, parent_id=NULLABLE_UUID)
SET = schema("name", name=TEXT, users_with_permission=_IDS)
MOVE = schema("templates folders", templates=_IDS, folders=_IDS)
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


def routes(clients: InternalClients, client: ClientAuthenticator) -> Routes:
    """Return the routes."""
    made = Routes("folders", client)
    all_ = "/service/<uuid:service_id>/template-folder"
    one = f"{all_}/<uuid:folder_id>"

    @made.get(all_)
    def list_folders(call: Call) -> Answer:
        ask = pb.ListTemplateFoldersRequest(service_id=call.id("service_id"))
        return bare({"template_folders": FOLDER.list(every(clients.folders.ListTemplateFolders, ask))})

    @made.post(all_, CREATE, {"FOLDER_NOT_FOUND": plain("parent_id not found")})
    def create_folder(call: Call) -> Answer:
        folder = FOLDER.message(call.form, service_id=call.id("service_id"))
        ask = pb.CreateTemplateFolderRequest(request_id=new_id(), template_folder=folder)
        return data(FOLDER.json(clients.folders.CreateTemplateFolder(ask).template_folder), 201)

    @made.post(one, SET)
    def set_folder(call: Call) -> Answer:
        folder = FOLDER.message(call.form, service_id=call.id("service_id"), id=call.id("folder_id"))
        ask = pb.SetTemplateFolderRequest(
            template_folder=folder, set_users="users_with_permission" in call.form
        )
        return data(FOLDER.json(clients.folders.SetTemplateFolder(ask).template_folder))

    @made.delete(one)
    def delete_folder(call: Call) -> Answer:
        ids = {"service_id": call.id("service_id"), "template_folder_id": call.id("folder_id")}
        clients.folders.DeleteTemplateFolder(pb.DeleteTemplateFolderRequest(**ids))
        return nothing()

    @made.post(f"{all_}/contents", MOVE, MOVE_ERRORS)
    def move_to_top(call: Call) -> Answer:
        return _move(clients, call, "")

    @made.post(f"{one}/contents", MOVE, MOVE_ERRORS)
    def move_into(call: Call) -> Answer:
        return _move(clients, call, call.id("folder_id"))

    return made


def _move(clients: InternalClients, call: Call, target_id: str) -> Answer:
    ask = pb.MoveToFolderRequest(
        service_id=call.id("service_id"),
        target_id=target_id,
        template_ids=call.form["templates"],
        folder_ids=call.form["folders"],
    )
    clients.folders.MoveToFolder(ask)
    return nothing()

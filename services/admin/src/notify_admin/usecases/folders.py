"""Template folders: a tree for each service, and which members see what of it."""

from collections.abc import Mapping, Sequence
from typing import Final

from notify.admin.v1 import template_folders_service_pb2 as pb
from notify.admin.v1.template_folder_pb2 import TemplateFolder
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.store import folders, members, templates
from notify_admin.store.resources import FOLDERS, SERVICES
from notify_admin.usecases.reads import Lists
from notify_admin.usecases.services import lock_service

MOST_FOLDERS: Final = 10_000


def create_template_folder(tx: Tx, ask: pb.CreateTemplateFolderRequest) -> TemplateFolder:
    """Create a folder, seen by those who see its parent, or by all members."""
    given = ask.template_folder
    lock_service(tx, given.service_id)
    known, seen = folders.parents(tx, given.service_id), members.folders(tx, given.service_id)
    if given.parent_id and given.parent_id not in known:
        raise NotifyError("FOLDER_NOT_FOUND", metadata={"role": "parent"})
    if FOLDERS.add(tx, ask, given, name=given.name.strip()):
        if len(known) >= MOST_FOLDERS:
            raise NotifyError("TOO_MANY", metadata={"limit": str(MOST_FOLDERS)})
        who = [user for user, ids in seen.items() if not given.parent_id or given.parent_id in ids]
        members.set_folders(tx, given.service_id, ask.request_id, who)
    return with_users(tx, [FOLDERS.one(tx, id=ask.request_id)])[0]


def set_template_folder(tx: Tx, ask: pb.SetTemplateFolderRequest) -> TemplateFolder:
    """Set the name, and who sees it where that is asked for."""
    wanted = ask.template_folder
    lock_service(tx, wanted.service_id)
    FOLDERS.one(tx, id=wanted.id, service_id=wanted.service_id)
    if ask.set_users:
        if not set(wanted.user_ids) <= members.folders(tx, wanted.service_id).keys():
            raise NotifyError("USER_NOT_FOUND")
        members.set_folders(tx, wanted.service_id, wanted.id, wanted.user_ids)
    return with_users(tx, FOLDERS.change(tx, {"id": wanted.id}, name=wanted.name.strip()))[0]


def delete_template_folder(tx: Tx, ask: pb.DeleteTemplateFolderRequest) -> None:
    """Delete an empty folder."""
    lock_service(tx, ask.service_id)
    folder = FOLDERS.one(tx, id=ask.template_folder_id, service_id=ask.service_id)
    if not folders.is_empty(tx, folder.id):
        raise NotifyError("FOLDER_NOT_EMPTY")
    members.set_folders(tx, ask.service_id, folder.id, [])
    FOLDERS.delete(tx, id=folder.id)


def move_to_folder(tx: Tx, ask: pb.MoveToFolderRequest) -> None:
    """Move templates and folders into a folder, all or nothing; archived templates stay where they are."""
    lock_service(tx, ask.service_id)
    known = folders.parents(tx, ask.service_id)
    if ask.target_id and ask.target_id not in known:
        raise NotifyError("FOLDER_NOT_FOUND", metadata={"role": "target"})
    above = _above(known, ask.target_id)
    for folder_id in ask.folder_ids:
        if folder_id not in known:
            raise NotifyError("FOLDER_NOT_FOUND", metadata={"folder_id": folder_id, "role": "moved"})
        if folder_id in above:
            itself = "itself" if folder_id == ask.target_id else "below"
            raise NotifyError("FOLDER_IN_ITSELF", metadata={"place": itself})
    live = [id_ for id_ in ask.template_ids if not templates.lock(tx, ask.service_id, id_).archived]
    folders.move(tx, ask.service_id, list(ask.folder_ids), live, ask.target_id or None)


def _above(known: Mapping[str, str | None], folder_id: str) -> set[str]:
    """Return a folder and all that it is in."""
    found: set[str] = set()
    place: str | None = folder_id or None
    while place is not None and place not in found:
        found.add(place)
        place = known.get(place)
    return found


def with_users(tx: Tx, found: Sequence[TemplateFolder]) -> Sequence[TemplateFolder]:
    """Return the same folders of a service, filled with who sees them."""
    seen = members.who_sees(tx, found[0].service_id, [folder.id for folder in found]) if found else {}
    for folder in found:
        folder.user_ids[:] = seen.get(folder.id, ())
    return found


list_template_folders = Lists(FOLDERS, parent=SERVICES, fill=with_users)

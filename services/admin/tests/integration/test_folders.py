"""TemplateFoldersService over the wire, with as many folders as there may be."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from notify.admin.v1 import template_folders_service_pb2 as pb
from notify.admin.v1.template_folder_pb2 import TemplateFolder
from notify.admin.v1.template_folders_service_pb2_grpc import TemplateFoldersServiceStub
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import Admin
from .test_users import add

MOST = 10_000


@pytest.fixture
def folders(admin: Admin) -> Any:
    return TemplateFoldersServiceStub(admin.channel)


def every(folders: Any, service_id: str) -> Iterator[TemplateFolder]:
    token = ""
    while True:
        ask = pb.ListTemplateFoldersRequest(service_id=service_id, page_size=250, page_token=token)
        page = folders.ListTemplateFolders(ask)
        yield from page.template_folders
        if not (token := page.next_page_token):
            return


def test_ten_thousand_folders_are_listed_and_moved_and_there_are_no_more(
    admin: Admin, folders: Any, uow: UnitOfWork
) -> None:
    service = admin.make_service()
    people = [admin.make_user("Ann", f"ann-{number}@example.gov.uk") for number in range(3)]
    for user_id in people:
        add(admin, service.id, user_id)
    deep = (
        "WITH made AS (SELECT gen_random_uuid() AS id, number FROM generate_series(1, :most) number), "
        "parents AS (SELECT id, lag(id) OVER (ORDER BY number) AS parent_id, number FROM made), "
        "kept AS (INSERT INTO template_folders (id, service_id, parent_id, name, request_hash) "
        "SELECT id, :service, parent_id, number::text, '' FROM parents RETURNING id) "
        "UPDATE memberships SET folder_ids = (SELECT array_agg(id) FROM made) "
        "WHERE service_id = :service AND user_id <> :one"
    )
    with uow.begin() as tx:
        tx.execute(sa.text("UPDATE users SET state = 'active'"))
        tx.execute(sa.text(deep), {"most": MOST, "service": service.id, "one": people[0]})
    found = list(every(folders, service.id))
    assert len({folder.id for folder in found}) == MOST
    assert {tuple(folder.user_ids) for folder in found} == {tuple(sorted(people[1:]))}
    one_more = pb.CreateTemplateFolderRequest(
        request_id=new_id(), template_folder=TemplateFolder(service_id=service.id, name="One more")
    )
    with pytest.raises(NotifyError) as caught:
        folders.CreateTemplateFolder(one_more)
    assert caught.value.reason == "TOO_MANY"
    by_depth = sorted(found, key=lambda folder: int(folder.name))
    into_itself = pb.MoveToFolderRequest(
        service_id=service.id, target_id=by_depth[-1].id, folder_ids=[by_depth[0].id]
    )
    with pytest.raises(NotifyError) as caught:
        folders.MoveToFolder(into_itself)
    assert caught.value.reason == "FOLDER_IN_ITSELF"
    folders.MoveToFolder(pb.MoveToFolderRequest(service_id=service.id, folder_ids=[by_depth[-1].id]))

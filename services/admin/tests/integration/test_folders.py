"""TemplateFoldersService over the wire, with as many folders as there may be."""

import sqlalchemy as sa
from notify.admin.v1.service_pb2 import Service
from notify_common.db.unit_of_work import UnitOfWork
from notify_testing.calls import reason

from .conftest import Admin

MOST = 10_000


def test_ten_thousand_folders_are_listed_and_moved_and_there_are_no_more(
    admin: Admin, service: Service, uow: UnitOfWork
) -> None:
    people = [admin.make_user("Ann", f"ann-{number}@example.gov.uk") for number in range(3)]
    for user_id in people:
        admin.AddMember(service_id=service.id, user_id=user_id)
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
    found = admin.every("ListTemplateFolders", service_id=service.id, page_size=250)
    assert len({folder.id for folder in found}) == MOST
    assert {tuple(folder.user_ids) for folder in found} == {tuple(sorted(people[1:]))}
    one_more = {"service_id": service.id, "name": "One more"}
    assert reason(admin.CreateTemplateFolder, template_folder=one_more) == "TOO_MANY"
    by_depth = sorted(found, key=lambda folder: int(folder.name))
    top, bottom = by_depth[0].id, by_depth[-1].id
    into_itself = {"service_id": service.id, "target_id": bottom, "folder_ids": [top]}
    assert reason(admin.MoveToFolder, **into_itself) == "FOLDER_IN_ITSELF"
    admin.MoveToFolder(service_id=service.id, folder_ids=[bottom])

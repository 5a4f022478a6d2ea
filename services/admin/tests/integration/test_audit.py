"""The audit log: every change with who made it, in chains that tell whether they were changed."""

import json
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from notify.admin.v1.audit_service_pb2 import AuditRecord
from notify.admin.v1.service_pb2 import Service
from notify_admin.store.audit import Broken
from notify_admin.usecases.audit import verify_audit_log
from notify_common import current
from notify_common.db.engine import postgres_url
from notify_common.db.unit_of_work import UnitOfWork
from notify_testing.calls import at_once, reason

from .conftest import Admin


def read(admin: Admin, chain_id: str, of_api_keys: bool = False) -> list[AuditRecord]:
    """Return a chain, read two records at a time."""
    return admin.every("ListAuditRecords", chain_id=chain_id, of_api_keys=of_api_keys, page_size=2)


def told(record: AuditRecord) -> tuple[str, str, Any, Any]:
    before, after = (json.loads(text) if text else None for text in (record.before, record.after))
    return record.resource, record.action, before, after


def test_changes_are_recorded_with_who_made_them(admin: Admin, user_id: str, uow: UnitOfWork) -> None:
    with current.bind(request_id="r-1"):
        current.actor.set(user_id)
        service = admin.make_service(restricted=True)
        service.restricted, service.version = False, 0
        admin.update_service(service, "restricted")
        admin.update_service(service, "restricted")
    first, sender, update = records = read(admin, service.id)
    assert [record.number for record in records] == [1, 2, 3]
    assert told(first)[:3] == ("Service", "create", None)
    assert told(first)[3]["name"] == "Fishing licences"
    assert told(sender)[:2] == ("SmsSender", "create")
    before, after = {"restricted": True, "version": 1}, {"restricted": False, "version": 2}
    assert told(update) == ("Service", "update", before, after)
    assert {(record.actor_id, record.request_id) for record in records} == {(user_id, "r-1")}
    assert list(verify_audit_log(uow)) == []


def test_what_is_refused_leaves_no_record(admin: Admin, service: Service) -> None:
    before = len(read(admin, service.id))
    service.name = admin.make_service("Other").name
    assert reason(admin.update_service, service, "name") == "NAME_TAKEN"
    assert len(read(admin, service.id)) == before


def test_personal_data_and_secrets_are_left_out_but_their_change_is_told(
    admin: Admin, service: Service, uow: UnitOfWork
) -> None:
    ann = admin.make_user("Ann", "ann@example.gov.uk", "07700900123")
    changed = {"id": ann, "email_address": "other@example.gov.uk"}
    admin.SetUser(user=changed, update_mask={"paths": ["email_address"]})
    callback = {"service_id": service.id, "type": "delivery_status", "url": "https://example.gov.uk"}
    given = {**callback, "updated_by_id": ann}
    made = admin.CreateCallback(callback=given, bearer_token="secret-token-1")
    admin.SetCallback(callback={**given, "id": made.id}, bearer_token="secret-token-2")
    assert told(read(admin, ann)[-1])[2:] == ({"email_address": "(left out)"},) * 2
    assert told(read(admin, service.id)[-1])[3] == {"encrypted_bearer_token": "(left out)"}
    with uow.begin() as tx:
        everything = str(tx.execute(sa.text("SELECT before, after FROM audit_log")).all())
    for hidden in ("ann@", "other@", "Ann", "07700900123", "secret-token"):
        assert hidden not in everything


def test_keys_have_a_chain_of_their_own(admin: Admin, service: Service, user_id: str) -> None:
    made = admin.make_key(service.id, user_id)
    for _ in range(2):
        admin.RevokeApiKey(service_id=service.id, api_key_id=made.api_key.id)
    records = read(admin, service.id, of_api_keys=True)
    assert [told(record)[:2] for record in records] == [("ApiKey", "create"), ("ApiKey", "update")]
    assert made.secret not in str(records)


def test_changes_at_once_make_one_chain(admin: Admin, service: Service, uow: UnitOfWork) -> None:
    names = [Service(id=service.id, name=f"Name {number}") for number in range(12)]
    renamed = at_once((partial(admin.update_service, each, "name") for each in names), 6)
    assert {each.name for each in renamed} == {each.name for each in names}
    assert [record.number for record in read(admin, service.id)] == list(range(1, 15))
    assert list(verify_audit_log(uow)) == []


@pytest.mark.parametrize(
    ("change", "broken_at"),
    [
        ("UPDATE audit_log SET after = '{}' WHERE number = 2", 2),
        ("UPDATE audit_log SET actor_id = chain_id WHERE number = 1", 1),
        ("DELETE FROM audit_log WHERE number = 2", 2),
        ("UPDATE audit_log SET create_time = create_time + interval '1 second' WHERE number = 3", 3),
    ],
)
def test_the_first_broken_link_is_named(
    admin: Admin, service: Service, uow: UnitOfWork, database_server: str, change: str, broken_at: int
) -> None:
    service.prefix_sms = True
    admin.update_service(service, "prefix_sms")
    with pytest.raises(sa.exc.DBAPIError), uow.begin() as tx:
        tx.execute(sa.text(change))
    owner = sa.create_engine(
        postgres_url(database_server).set(database=uow.engine.url.database), poolclass=sa.NullPool
    )
    with owner.begin() as tx:
        tx.execute(sa.text("ALTER TABLE audit_log DISABLE TRIGGER audit_log_stays"))
        tx.execute(sa.text(change))
    assert list(verify_audit_log(uow)) == [Broken(service.id, broken_at)]

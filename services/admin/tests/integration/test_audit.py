"""The audit log: every change with who made it, in chains that tell whether they were changed."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from notify.admin.v1 import (
    api_keys_service_pb2,
    audit_service_pb2,
    audit_service_pb2_grpc,
    service_pb2,
    service_setting_pb2,
    service_settings_service_pb2,
    service_settings_service_pb2_grpc,
    users_service_pb2,
)
from notify.admin.v1.user_pb2 import User
from notify_admin.store.audit import Broken
from notify_admin.usecases.audit import verify_audit_log
from notify_common import current
from notify_common.db.engine import postgres_url
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.ids import new_id
from notify_testing.rpc import InProcessServer

from .conftest import Admin

Read = Callable[..., list[audit_service_pb2.AuditRecord]]


@pytest.fixture
def read(server: InProcessServer) -> Read:
    """Provide what reads a chain, two records at a time."""
    stub = audit_service_pb2_grpc.AuditServiceStub(server.channel("gateway-internal"))

    def records(chain_id: str, of_api_keys: bool = False) -> list[audit_service_pb2.AuditRecord]:
        found: list[audit_service_pb2.AuditRecord] = []
        ask = audit_service_pb2.ListAuditRecordsRequest(
            chain_id=chain_id, of_api_keys=of_api_keys, page_size=2
        )
        while True:
            page = stub.ListAuditRecords(ask)
            found += page.audit_records
            if not page.next_page_token:
                return found
            ask.page_token = page.next_page_token

    return records


def told(record: audit_service_pb2.AuditRecord) -> tuple[str, str, Any, Any]:
    before, after = (json.loads(text) if text else None for text in (record.before, record.after))
    return record.resource, record.action, before, after


def test_changes_are_recorded_with_who_made_them(
    admin: Admin, user_id: str, read: Read, uow: UnitOfWork
) -> None:
    with current.bind(request_id="r-1"):
        current.actor.set(user_id)
        service = admin.make_service(restricted=True)
        service.restricted, service.version = False, 0
        admin.update_service(service, "restricted")
        admin.update_service(service, "restricted")
    first, sender, update = read(service.id)
    assert [record.number for record in (first, sender, update)] == [1, 2, 3]
    assert told(first)[:3] == ("Service", "create", None)
    assert told(first)[3]["name"] == "Fishing licences"
    assert told(sender)[:2] == ("SmsSender", "create")
    assert told(update) == (
        "Service",
        "update",
        {"restricted": True, "version": 1},
        {"restricted": False, "version": 2},
    )
    assert {(record.actor_id, record.request_id) for record in read(service.id)} == {(user_id, "r-1")}
    assert list(verify_audit_log(uow)) == []


def test_what_is_refused_leaves_no_record(admin: Admin, user_id: str, read: Read) -> None:
    service = admin.make_service()
    admin.make_service("Other")
    before = len(read(service.id))
    service.name = "Other"
    with pytest.raises(Exception, match="name"):
        admin.update_service(service, "name")
    assert len(read(service.id)) == before


def test_personal_data_and_secrets_are_left_out_but_their_change_is_told(
    admin: Admin, server: InProcessServer, read: Read, uow: UnitOfWork
) -> None:
    ann = admin.make_user("Ann", "ann@example.gov.uk", "07700900123")
    ask = users_service_pb2.SetUserRequest(user=User(id=ann, email_address="other@example.gov.uk"))
    ask.update_mask.paths.append("email_address")
    admin.users.SetUser(ask)
    service = admin.make_service()
    settings = service_settings_service_pb2_grpc.ServiceSettingsServiceStub(
        server.channel("gateway-internal")
    )
    callback = service_setting_pb2.Callback(
        service_id=service.id, type="delivery_status", url="https://example.gov.uk", updated_by_id=ann
    )
    made = settings.CreateCallback(
        service_settings_service_pb2.CreateCallbackRequest(
            request_id=new_id(), callback=callback, bearer_token="secret-token-1"
        )
    ).callback
    callback.id = made.id
    settings.SetCallback(
        service_settings_service_pb2.SetCallbackRequest(callback=callback, bearer_token="secret-token-2")
    )
    assert told(read(ann)[-1])[2:] == ({"email_address": "(left out)"}, {"email_address": "(left out)"})
    assert told(read(service.id)[-1])[3] == {"encrypted_bearer_token": "(left out)"}
    with uow.begin() as tx:
        everything = str(tx.execute(sa.text("SELECT before, after FROM audit_log")).all())
    for hidden in ("ann@", "other@", "Ann", "07700900123", "secret-token"):
        assert hidden not in everything


def test_keys_have_a_chain_of_their_own(admin: Admin, user_id: str, read: Read) -> None:
    service = admin.make_service()
    made = admin.make_key(service.id, user_id)
    ask = api_keys_service_pb2.RevokeApiKeyRequest(service_id=service.id, api_key_id=made.api_key.id)
    admin.keys.RevokeApiKey(ask)
    admin.keys.RevokeApiKey(ask)
    assert [told(record)[:2] for record in read(service.id, of_api_keys=True)] == [
        ("ApiKey", "create"),
        ("ApiKey", "update"),
    ]
    assert made.secret not in str(read(service.id, of_api_keys=True))


def test_changes_at_once_make_one_chain(admin: Admin, read: Read, uow: UnitOfWork) -> None:
    service = admin.make_service()

    def rename(number: int) -> None:
        changed = service_pb2.Service(id=service.id, name=f"Name {number}")
        admin.update_service(changed, "name")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(rename, range(12)))
    assert [record.number for record in read(service.id)] == list(range(1, 15))
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
    admin: Admin, uow: UnitOfWork, database_server: str, change: str, broken_at: int
) -> None:
    service = admin.make_service()
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

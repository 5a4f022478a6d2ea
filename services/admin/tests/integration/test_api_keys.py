"""ApiKeysService and ApiKeyVerificationService over the wire."""

import re
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from notify.admin.v1 import sign_in_service_pb2
from notify.admin.v1.service_pb2 import Service
from notify.common.v1 import common_pb2
from notify_admin.settings import Settings
from notify_admin.usecases.secrets import SecretBox, rotate_secrets
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.ids import new_id
from notify_common.snapshots.cache import ConfigFeedPoller, SnapshotCache
from notify_testing.calls import at_once, reason
from notify_testing.waiting import until

from .conftest import Admin


def revoke(admin: Admin, service_id: str, api_key_id: str) -> Any:
    return admin.RevokeApiKey(service_id=service_id, api_key_id=api_key_id)


def listed(admin: Admin, service_id: str) -> list[str]:
    return [key.name for key in admin.every("ListApiKeys", service_id=service_id)]


@pytest.mark.parametrize(
    "key_type", [common_pb2.KEY_TYPE_NORMAL, common_pb2.KEY_TYPE_TEAM, common_pb2.KEY_TYPE_TEST]
)
def test_makes_keys_of_each_type_that_verify(
    admin: Admin, service: Service, user_id: str, key_type: Any
) -> None:
    made = admin.make_key(service.id, user_id, key_type=key_type)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made.secret)
    assert made.api_key.key_type == key_type
    assert not made.api_key.HasField("revoke_time")
    verifying = [(key.api_key_id, key.key_type, key.secret) for key in admin.verification_keys(service.id)]
    assert verifying == [(made.api_key.id, key_type, made.secret)]


def test_secret_is_stored_encrypted_only(
    admin: Admin, service: Service, user_id: str, uow: UnitOfWork
) -> None:
    made = admin.make_key(service.id, user_id)
    with uow.begin() as conn:
        row = conn.execute(sa.text("SELECT * FROM api_keys")).one()
    assert not any(made.secret in str(value) for value in row)
    assert made.secret.encode() not in bytes(row.encrypted_secret)


def test_repeat_gets_the_same_secret_and_other_content_is_refused(
    admin: Admin, service: Service, user_id: str
) -> None:
    make = partial(admin.make_key, service.id, user_id, request_id=new_id())
    answers = at_once([make] * 4)
    assert {answer.secret for answer in answers} == {answers[0].secret}
    assert len(admin.verification_keys(service.id)) == 1
    assert reason(make, key_type=common_pb2.KEY_TYPE_TEST) == "REQUEST_ID_REUSED"
    other, known = admin.make_service("Other").id, answers[0].api_key.id
    assert reason(admin.make_key, other, user_id, request_id=known) == "REQUEST_ID_REUSED"


def test_name_is_unique_among_unrevoked_keys(admin: Admin, service: Service, user_id: str) -> None:
    first = admin.make_key(service.id, user_id)
    assert reason(admin.make_key, service.id, user_id) == "NAME_TAKEN"
    admin.make_key(admin.make_service("Other").id, user_id)
    revoke(admin, service.id, first.api_key.id)
    admin.make_key(service.id, user_id)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "x" * 256}, "INVALID_FIELD"),
        ({"key_type": 0}, "INVALID_FIELD"),
        ({"key_type": 9}, "INVALID_FIELD"),
        ({"service_id": "nonsense"}, "INVALID_FIELD"),
        ({"created_by_id": ""}, "INVALID_FIELD"),
        ({"created_by_id": "00000000-0000-0000-0000-000000000001"}, "USER_NOT_FOUND"),
    ],
)
def test_bad_key_is_refused_and_nothing_written(
    admin: Admin, service: Service, user_id: str, change: dict[str, Any], expected: str
) -> None:
    key = {"service_id": service.id, "name": "live", "key_type": 1, "created_by_id": user_id} | change
    assert reason(admin.CreateApiKey, api_key=key) == expected
    assert listed(admin, service.id) == []


def test_revoked_key_says_when_and_comes_after_the_working_ones(
    admin: Admin, service: Service, user_id: str
) -> None:
    ids = [admin.make_key(service.id, user_id, name).api_key.id for name in ("a", "b", "c")]
    revoked = revoke(admin, service.id, ids[2])
    assert revoked.HasField("revoke_time")
    assert revoke(admin, service.id, ids[2]) == revoked
    keys = [(key.api_key_id, key.HasField("revoke_time")) for key in admin.verification_keys(service.id)]
    assert keys == [(ids[1], False), (ids[0], False), (ids[2], True)]
    assert listed(admin, service.id) == ["c", "b", "a"]


def test_key_revoked_over_a_week_ago_is_forgotten(
    admin: Admin, service: Service, user_id: str, uow: UnitOfWork
) -> None:
    old, recent = (admin.make_key(service.id, user_id, name).api_key.id for name in ("old", "recent"))
    for api_key_id in (old, recent):
        revoke(admin, service.id, api_key_id)
    forget = "UPDATE api_keys SET revoke_time = now() - interval '7 days 1 minute' WHERE id = :id"
    with uow.begin() as conn:
        conn.execute(sa.text(forget), {"id": old})
    assert listed(admin, service.id) == ["recent"]
    assert [key.api_key_id for key in admin.verification_keys(service.id)] == [recent]


def test_lists_in_pages_that_join(admin: Admin, service: Service, user_id: str) -> None:
    ids = [admin.make_key(service.id, user_id, str(number)).api_key.id for number in range(5)]
    revoke(admin, service.id, ids[4])
    asked: dict[str, Any] = {"service_id": service.id, "page_size": 2}
    pages = [[key.id for key in page] for page in admin.pages("ListApiKeys", **asked)]
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    pages = [[key.api_key_id for key in page] for page in admin.public.pages("ListVerificationKeys", **asked)]
    assert pages == [[ids[3], ids[2]], [ids[1], ids[0]], [ids[4]]]


def test_unknown_service_has_nothing_that_verifies(admin: Admin, unknown: str) -> None:
    assert admin.verification_keys(unknown) == []
    assert reason(listed, admin, unknown) == "SERVICE_NOT_FOUND"


def test_making_and_revoking_is_told_once_each(admin: Admin, service: Service, user_id: str) -> None:
    cursor = admin.cursor()
    made = admin.make_key(service.id, user_id)
    for _ in range(2):
        revoke(admin, service.id, made.api_key.id)
    assert admin.changes(cursor) == [("KIND_API_KEYS", service.id, "")] * 2


def test_whoever_follows_the_feed_stops_taking_a_revoked_key(
    admin: Admin, service: Service, user_id: str
) -> None:
    made = admin.make_key(service.id, user_id)

    def working(service_id: str) -> tuple[str, ...]:
        keys = admin.verification_keys(service_id)
        return tuple(key.secret for key in keys if not key.HasField("revoke_time"))

    def load(service_ids: list[str]) -> dict[str, tuple[str, ...]]:
        return {service_id: working(service_id) for service_id in service_ids}

    def list_changes(cursor: str) -> tuple[list[str], str]:
        response = admin.public.ListConfigChanges(cursor=cursor)
        return [change.service_id for change in response.changes], response.next_cursor

    cache: SnapshotCache[str, tuple[str, ...]] = SnapshotCache("keys", load, max_entries=10, ttl=3600)
    poller = ConfigFeedPoller("keys", list_changes, cache.evict, cache.clear, interval=0.02)
    poller.start()
    try:
        until(lambda: cache.get(service.id) == (made.secret,))
        revoke(admin, service.id, made.api_key.id)
        until(lambda: cache.get(service.id) == ())
    finally:
        poller.stop()


def test_secrets_are_encrypted_anew_and_the_old_key_can_go(
    admin: Admin, service: Service, user_id: str, uow: UnitOfWork, settings: Settings
) -> None:
    secrets = {admin.make_key(service.id, user_id, str(number)).secret for number in range(3)}
    mail_id, kind = new_id(), sign_in_service_pb2.SendAccountMailRequest.KIND_ALREADY_REGISTERED
    admin.SendAccountMail(request_id=mail_id, user_id=user_id, kind=kind)
    new = Fernet.generate_key().decode()
    both = SecretBox([new, settings.api_key_encryption_keys.get_secret_value()])
    assert rotate_secrets(uow, both) == 4
    assert rotate_secrets(uow, both) == 0
    with uow.begin() as conn:
        encrypted = conn.execute(sa.text("SELECT encrypted_secret FROM api_keys")).scalars().all()
        waiting = conn.execute(sa.text("SELECT encrypted_mail FROM platform_mail")).scalar_one()
    only_new = SecretBox([new])
    assert mail_id.encode() in only_new.decrypt_bytes(waiting)
    assert {only_new.decrypt(bytes(value).decode()) for value in encrypted} == secrets

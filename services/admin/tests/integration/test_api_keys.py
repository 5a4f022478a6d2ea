"""ApiKeysService and ApiKeyVerificationService over the wire."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from notify.admin.v1 import api_key_pb2, service_pb2, sign_in_service_pb2
from notify.admin.v1 import api_keys_service_pb2 as pb
from notify.admin.v1.config_feed_service_pb2 import ListConfigChangesRequest
from notify.admin.v1.sign_in_service_pb2_grpc import SignInServiceStub
from notify.common.v1 import common_pb2
from notify_admin.settings import Settings
from notify_admin.usecases.secrets import SecretBox, rotate_secrets
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_common.snapshots.cache import ConfigFeedPoller, SnapshotCache

from .conftest import Admin, eventually


@pytest.fixture
def service(admin: Admin) -> service_pb2.Service:
    return admin.make_service()


def revoke(admin: Admin, service_id: str, api_key_id: str) -> api_key_pb2.ApiKey:
    answer: api_key_pb2.ApiKey = admin.keys.RevokeApiKey(
        pb.RevokeApiKeyRequest(service_id=service_id, api_key_id=api_key_id)
    ).api_key
    return answer


def listed(admin: Admin, service_id: str) -> list[str]:
    return [key.name for key in admin.keys.ListApiKeys(pb.ListApiKeysRequest(service_id=service_id)).api_keys]


@pytest.mark.parametrize(
    "key_type", [common_pb2.KEY_TYPE_NORMAL, common_pb2.KEY_TYPE_TEAM, common_pb2.KEY_TYPE_TEST]
)
def test_makes_keys_of_each_type_that_verify(
    admin: Admin, service: service_pb2.Service, user_id: str, key_type: Any
) -> None:
    made = admin.make_key(service.id, user_id, "live", key_type)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made.secret)
    assert made.api_key.key_type == key_type
    assert not made.api_key.HasField("revoke_time")
    verifying = admin.verification_keys(service.id)
    assert [(key.api_key_id, key.key_type, key.secret) for key in verifying] == [
        (made.api_key.id, key_type, made.secret)
    ]


def test_secret_is_stored_encrypted_only(
    admin: Admin, service: service_pb2.Service, user_id: str, uow: UnitOfWork
) -> None:
    made = admin.make_key(service.id, user_id)
    with uow.begin() as conn:
        row = conn.execute(sa.text("SELECT * FROM api_keys")).one()
    assert not any(made.secret in str(value) for value in row)
    assert made.secret.encode() not in bytes(row.encrypted_secret)


def test_repeat_gets_the_same_secret_and_other_content_is_refused(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    key = api_key_pb2.ApiKey(
        service_id=service.id, name="live", key_type=common_pb2.KEY_TYPE_NORMAL, created_by_id=user_id
    )
    request = pb.CreateApiKeyRequest(request_id=new_id(), api_key=key)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: admin.keys.CreateApiKey(request), range(4)))
    assert {answer.secret for answer in answers} == {answers[0].secret}
    assert len(admin.verification_keys(service.id)) == 1
    request.api_key.key_type = common_pb2.KEY_TYPE_TEST
    with pytest.raises(NotifyError) as caught:
        admin.keys.CreateApiKey(request)
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_another_service_gets_no_secret_for_a_known_request_id(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    made = admin.make_key(service.id, user_id)
    other = admin.make_service("Other")
    key = api_key_pb2.ApiKey(
        service_id=other.id, name="live", key_type=common_pb2.KEY_TYPE_NORMAL, created_by_id=user_id
    )
    with pytest.raises(NotifyError) as caught:
        admin.keys.CreateApiKey(pb.CreateApiKeyRequest(request_id=made.api_key.id, api_key=key))
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_name_is_unique_among_unrevoked_keys(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    first = admin.make_key(service.id, user_id, "live")
    with pytest.raises(NotifyError) as caught:
        admin.make_key(service.id, user_id, "live")
    assert caught.value.reason == "NAME_TAKEN"
    admin.make_key(admin.make_service("Other").id, user_id, "live")
    revoke(admin, service.id, first.api_key.id)
    admin.make_key(service.id, user_id, "live")


def test_name_may_be_empty(admin: Admin, service: service_pb2.Service, user_id: str) -> None:
    made = admin.make_key(service.id, user_id, "")
    assert (made.api_key.name, bool(made.secret)) == ("", True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "x" * 256}, "INVALID_FIELD"),
        ({"key_type": 0}, "INVALID_FIELD"),
        ({"key_type": 9}, "INVALID_FIELD"),
        ({"service_id": "nonsense"}, "INVALID_FIELD"),
        ({"created_by_id": ""}, "INVALID_FIELD"),
        ({"service_id": "00000000-0000-0000-0000-000000000001"}, "SERVICE_NOT_FOUND"),
        ({"created_by_id": "00000000-0000-0000-0000-000000000001"}, "USER_NOT_FOUND"),
    ],
)
def test_bad_key_is_refused_and_nothing_written(
    admin: Admin, service: service_pb2.Service, user_id: str, change: dict[str, Any], reason: str
) -> None:
    values: dict[str, Any] = {
        "service_id": service.id,
        "name": "live",
        "key_type": 1,
        "created_by_id": user_id,
    } | change
    with pytest.raises(NotifyError) as caught:
        admin.keys.CreateApiKey(
            pb.CreateApiKeyRequest(request_id=new_id(), api_key=api_key_pb2.ApiKey(**values))
        )
    assert caught.value.reason == reason
    assert listed(admin, service.id) == []


def test_revoked_key_says_when_and_comes_after_the_working_ones(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    ids = [admin.make_key(service.id, user_id, name).api_key.id for name in ("a", "b", "c")]
    revoked = revoke(admin, service.id, ids[2])
    assert revoked.HasField("revoke_time")
    assert revoke(admin, service.id, ids[2]) == revoked
    keys = admin.verification_keys(service.id)
    assert [key.api_key_id for key in keys] == [ids[1], ids[0], ids[2]]
    assert [key.HasField("revoke_time") for key in keys] == [False, False, True]
    assert listed(admin, service.id) == ["c", "b", "a"]


def test_key_revoked_over_a_week_ago_is_forgotten(
    admin: Admin, service: service_pb2.Service, user_id: str, uow: UnitOfWork
) -> None:
    old = admin.make_key(service.id, user_id, "old").api_key.id
    recent = admin.make_key(service.id, user_id, "recent").api_key.id
    for api_key_id in (old, recent):
        revoke(admin, service.id, api_key_id)
    with uow.begin() as conn:
        conn.execute(
            sa.text("UPDATE api_keys SET revoke_time = now() - interval '7 days 1 minute' WHERE id = :id"),
            {"id": old},
        )
    assert listed(admin, service.id) == ["recent"]
    assert [key.api_key_id for key in admin.verification_keys(service.id)] == [recent]


def test_key_of_another_service_is_not_found(
    admin: Admin, service: service_pb2.Service, user_id: str, unknown: str
) -> None:
    made = admin.make_key(service.id, user_id)
    other = admin.make_service("Other")
    for service_id, api_key_id in ((other.id, made.api_key.id), (service.id, unknown)):
        with pytest.raises(NotifyError) as caught:
            revoke(admin, service_id, api_key_id)
        assert caught.value.reason == "API_KEY_NOT_FOUND"
    assert not admin.verification_keys(service.id)[0].HasField("revoke_time")


def test_lists_in_pages_that_join(admin: Admin, service: service_pb2.Service, user_id: str) -> None:
    ids = [admin.make_key(service.id, user_id, str(number)).api_key.id for number in range(5)]
    revoke(admin, service.id, ids[4])
    newest_first: list[str] = []
    verifying: list[str] = []
    token = token_of_verifying = ""
    for _ in range(3):
        page = admin.keys.ListApiKeys(
            pb.ListApiKeysRequest(service_id=service.id, page_size=2, page_token=token)
        )
        newest_first += [key.id for key in page.api_keys]
        token = page.next_page_token
        more = admin.verification.ListVerificationKeys(
            pb.ListVerificationKeysRequest(service_id=service.id, page_size=2, page_token=token_of_verifying)
        )
        verifying += [key.api_key_id for key in more.verification_keys]
        token_of_verifying = more.next_page_token
    assert newest_first == ids[::-1]
    assert verifying == [*ids[3::-1], ids[4]]
    assert (token, token_of_verifying) == ("", "")


def test_unknown_service_has_nothing_that_verifies(admin: Admin, unknown: str) -> None:
    assert admin.verification_keys(unknown) == []
    with pytest.raises(NotifyError) as caught:
        listed(admin, unknown)
    assert caught.value.reason == "SERVICE_NOT_FOUND"


def test_making_and_revoking_is_told_once_each(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    cursor = admin.cursor()
    made = admin.make_key(service.id, user_id)
    revoke(admin, service.id, made.api_key.id)
    revoke(admin, service.id, made.api_key.id)
    marker = admin.make_service("Marker")
    changes = admin.wait_for_changes(cursor, 3)
    assert changes == [("KIND_API_KEYS", service.id, "")] * 2 + [("KIND_SERVICE", marker.id, "")]


def test_whoever_follows_the_feed_stops_taking_a_revoked_key(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    made = admin.make_key(service.id, user_id)

    def load(service_ids: list[str]) -> dict[str, tuple[str, ...]]:
        return {
            service_id: tuple(
                key.secret for key in admin.verification_keys(service_id) if not key.HasField("revoke_time")
            )
            for service_id in service_ids
        }

    def list_changes(cursor: str) -> tuple[list[str], str]:
        response = admin.feed.ListConfigChanges(ListConfigChangesRequest(cursor=cursor))
        return [change.service_id for change in response.changes], response.next_cursor

    cache: SnapshotCache[str, tuple[str, ...]] = SnapshotCache("keys", load, max_entries=10, ttl=3600)
    poller = ConfigFeedPoller("keys", list_changes, cache.evict, cache.clear, interval=0.02)
    poller.start()
    try:
        eventually(lambda: cache.get(service.id) == (made.secret,))
        revoke(admin, service.id, made.api_key.id)
        eventually(lambda: cache.get(service.id) == ())
    finally:
        poller.stop()


def test_secrets_are_encrypted_anew_and_the_old_key_can_go(
    admin: Admin, service: service_pb2.Service, user_id: str, uow: UnitOfWork, settings: Settings
) -> None:
    secrets = {admin.make_key(service.id, user_id, str(number)).secret for number in range(3)}
    mail = sign_in_service_pb2.SendAccountMailRequest(
        request_id=new_id(),
        user_id=user_id,
        kind=sign_in_service_pb2.SendAccountMailRequest.KIND_ALREADY_REGISTERED,
    )
    SignInServiceStub(admin.channel).SendAccountMail(mail)
    new = Fernet.generate_key().decode()
    old = settings.api_key_encryption_keys.get_secret_value()
    both = SecretBox([new, old])
    assert rotate_secrets(uow, both) == 4
    assert rotate_secrets(uow, both) == 0
    with uow.begin() as conn:
        encrypted = conn.execute(sa.text("SELECT encrypted_secret FROM api_keys")).scalars().all()
        waiting = conn.execute(sa.text("SELECT encrypted_mail FROM platform_mail")).scalar_one()
    only_new = SecretBox([new])
    assert mail.request_id.encode() in only_new.decrypt_bytes(waiting)
    assert {only_new.decrypt(bytes(value).decode()) for value in encrypted} == secrets

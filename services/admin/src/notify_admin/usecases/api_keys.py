"""API keys: with one a service signs its requests (public-api.md §1)."""

from typing import Final
from uuid import uuid4

from notify.admin.v1 import api_key_pb2
from notify.admin.v1 import api_keys_service_pb2 as pb
from notify_common.db.unit_of_work import Tx
from notify_common.rpc.paging import MAX_PAGE_SIZE, Pager

from notify_admin.store import api_keys, changes
from notify_admin.store.resources import API_KEYS, SERVICES, USERS, VERIFICATION_KEYS
from notify_admin.usecases.reads import Lists
from notify_admin.usecases.secrets import SecretBox
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.violations import Violations

MAX_NAME_LENGTH: Final = 255


def create_api_key(box: SecretBox, tx: Tx, ask: pb.CreateApiKeyRequest) -> pb.CreateApiKeyResponse:
    """Make a key; a repeat gets the same secret.

    Raises:
        NotifyError: INVALID_FIELD; SERVICE_NOT_FOUND, SERVICE_ARCHIVED; USER_NOT_FOUND; NAME_TAKEN, the
            service has an unrevoked key of this name; REQUEST_ID_REUSED.
    """
    given = ask.api_key
    with Violations("api_key") as violations:
        violations.require_short(given.name, MAX_NAME_LENGTH, "name")
    lock_service(tx, given.service_id)
    USERS.one(tx, id=given.created_by_id)
    if API_KEYS.add(tx, ask, given, encrypted_secret=box.encrypt(str(uuid4())).encode()):
        changes.append(tx, "api-keys", given.service_id)
    api_key = API_KEYS.one(tx, id=ask.request_id)
    secret = box.decrypt_bytes(API_KEYS.value(tx, "encrypted_secret", id=ask.request_id)).decode()
    return pb.CreateApiKeyResponse(api_key=api_key, secret=secret)


def revoke_api_key(tx: Tx, ask: pb.RevokeApiKeyRequest) -> api_key_pb2.ApiKey:
    """Revoke a key for good; revoking twice keeps the first time.

    Everyone who verifies signatures hears of it through the feed. It waits for no other change.
    """
    if api_keys.revoke(tx, ask.service_id, ask.api_key_id):
        changes.append(tx, "api-keys", ask.service_id)
    return API_KEYS.one(tx, id=ask.api_key_id, service_id=ask.service_id)


list_api_keys = Lists(API_KEYS, api_keys.SHOWN, parent=SERVICES)


def list_verification_keys(
    box: SecretBox, pager: Pager, tx: Tx, ask: pb.ListVerificationKeysRequest
) -> pb.ListVerificationKeysResponse:
    """Return keys with their secrets in clear; none for an unknown service."""
    answer = VERIFICATION_KEYS.page(
        tx, pager, ask, pb.ListVerificationKeysResponse, api_keys.SHOWN, default_size=MAX_PAGE_SIZE
    )
    for key in answer.verification_keys:
        key.secret = box.decrypt(key.secret)
    return answer

"""API keys: making, listing and revoking them, and what verifies their signatures.

Secrets are encrypted at rest with a list of Fernet keys: the first one encrypts, all of them decrypt, so that
a new key can be put in front, the secrets be encrypted anew, and the old key be taken away.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import FieldViolation, NotifyError, invalid_field

from notify_admin.domain.api_keys import MAX_NAME_LENGTH, ApiKey, VerificationKey, new_secret
from notify_admin.store import api_keys, changes, users
from notify_admin.store.rows import Position, request_hash
from notify_admin.usecases.services import get_service, lock_service

_ROTATE_BATCH: Final = 500


class SecretBox:
    """Encrypts and decrypts the secrets of API keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises ValueError unless there is a key and all are Fernet keys; the message holds none of them."""
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ValueError("should be Fernet keys: 32 bytes each, in URL-safe Base64") from None

    def encrypt(self, secret: str) -> bytes:
        """The secret as it is stored."""
        return self._fernet.encrypt(secret.encode())

    def decrypt(self, encrypted: bytes) -> str:
        """The secret in clear. Raises RuntimeError if none of the keys encrypted it."""
        try:
            return self._fernet.decrypt(encrypted).decode()
        except InvalidToken:
            raise RuntimeError(
                "an API key's secret was encrypted with a key that is not configured"
            ) from None

    def rotate(self, encrypted: bytes) -> bytes:
        """The same secret encrypted with the first key. Raises RuntimeError as `decrypt`."""
        try:
            return self._fernet.rotate(encrypted)
        except InvalidToken:
            raise RuntimeError(
                "an API key's secret was encrypted with a key that is not configured"
            ) from None


def create_api_key(
    uow: UnitOfWork,
    box: SecretBox,
    api_key_id: UUID,
    service_id: UUID,
    name: str,
    key_type: str,
    created_by_id: UUID,
) -> VerificationKey:
    """Make a key and return it with its secret. Idempotency key: `api_key_id`; a repeat gets the same secret.

    Raises:
        NotifyError: INVALID_FIELD; SERVICE_NOT_FOUND, SERVICE_ARCHIVED; USER_NOT_FOUND; NAME_TAKEN, the
            service has an unrevoked key of this name; REQUEST_ID_REUSED.
    """
    if not name.strip():
        raise invalid_field(FieldViolation("api_key.name", "is required"))
    if len(name) > MAX_NAME_LENGTH:
        raise invalid_field(FieldViolation("api_key.name", f"is longer than {MAX_NAME_LENGTH} characters"))
    asked = request_hash(service_id=service_id, name=name, key_type=key_type, created_by_id=created_by_id)
    row = {
        "id": api_key_id,
        "service_id": service_id,
        "name": name,
        "key_type": key_type,
        "encrypted_secret": box.encrypt(new_secret()),
        "created_by_id": created_by_id,
        "request_hash": asked,
    }
    with uow.begin() as conn:
        lock_service(conn, service_id)
        if users.get(conn, created_by_id) is None:
            raise NotifyError("USER_NOT_FOUND")
        if api_keys.create(conn, row):
            changes.append(conn, "api-keys", service_id)
        stored = api_keys.get(conn, service_id, api_key_id)
    if stored is None:
        raise NotifyError("API_KEY_NOT_FOUND")
    api_key, encrypted = stored
    return VerificationKey(api_key, box.decrypt(encrypted))


def list_api_keys(uow: UnitOfWork, service_id: UUID, position: Position | None, limit: int) -> list[ApiKey]:
    """Return keys newest first, revoked ones for seven days. Raises NotifyError SERVICE_NOT_FOUND."""
    with uow.autocommit() as conn:
        found = api_keys.list_page(conn, service_id, position, limit)
    if not found:
        get_service(uow, service_id)
    return found


def revoke_api_key(uow: UnitOfWork, service_id: UUID, api_key_id: UUID) -> ApiKey:
    """Revoke a key for good and return it; revoking twice keeps the first time.

    Everyone who verifies signatures hears of it through the feed.

    Raises:
        NotifyError: API_KEY_NOT_FOUND.
    """
    with uow.begin() as conn:
        if api_keys.revoke(conn, service_id, api_key_id):
            changes.append(conn, "api-keys", service_id)
        stored = api_keys.get(conn, service_id, api_key_id)
    if stored is None:
        raise NotifyError("API_KEY_NOT_FOUND")
    return stored[0]


def list_verification_keys(
    uow: UnitOfWork, box: SecretBox, service_id: UUID, position: Position | None, limit: int
) -> list[VerificationKey]:
    """Return keys with their secrets: working ones first, then newest first; none for an unknown service."""
    with uow.autocommit() as conn:
        found = api_keys.list_with_secrets(conn, service_id, position, limit)
    return [VerificationKey(api_key, box.decrypt(encrypted)) for api_key, encrypted in found]


def rotate_secrets(uow: UnitOfWork, box: SecretBox) -> int:
    """Encrypt every secret anew with the first key and return how many; repeating it is harmless."""
    last: UUID | None = None
    total = 0
    while True:
        with uow.begin() as conn:
            batch = api_keys.lock_secrets(conn, last, _ROTATE_BATCH)
            if not batch:
                return total
            api_keys.save_secrets(conn, [(key_id, box.rotate(encrypted)) for key_id, encrypted in batch])
        last = batch[-1][0]
        total += len(batch)

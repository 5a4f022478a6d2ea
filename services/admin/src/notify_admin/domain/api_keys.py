"""API keys: with one a service signs its requests (public-api.md §1)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

REVOKED_SHOWN_FOR: Final = timedelta(days=7)
"""How long revoked keys are still known, so that using one is answered as such (internal-api.md A12)."""

MAX_NAME_LENGTH: Final = 255


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: UUID
    service_id: UUID
    name: str
    key_type: str
    """`normal`, `team` or `test`."""
    created_by_id: UUID
    create_time: datetime
    revoke_time: datetime | None
    """None while it works."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key with what verifies its signatures."""

    api_key: ApiKey
    secret: str = field(repr=False)


def new_secret() -> str:
    """A new secret: the 36 characters of a random UUID."""
    return str(uuid4())

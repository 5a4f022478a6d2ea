"""Identifiers: time-ordered UUIDs (design.md §2.9) and their one spelling."""

import hashlib
import re
import secrets
from typing import Final
from uuid import UUID

from notify_common import clock

PLATFORM_SERVICE_ID: Final = "d6aa2c68-a2d9-4437-ab19-3ae8eb202553"
"""The service that the platform's own mail is sent as, on every installation."""
PLATFORM_USER_ID: Final = "6af522d0-2915-4e52-83a3-3690455a5fe6"
"""The platform's own user, which makes what nobody else does, on every installation."""

_CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VARIANT = 0b10 << 62


def new_id() -> str:
    """Return a new id: a UUID version 7 as the platform writes it."""
    return str(uuid7())


def child_id(parent: str, *parts: str | int) -> str:
    """Return the id of the child that `parts` name within `parent`, always the same one (see `uuid8`)."""
    return str(uuid8(UUID(parent), *parts))


def uuid7() -> UUID:
    """Return a new UUID version 7: 48 bits of milliseconds, then 74 random bits (RFC 9562 §5.7)."""
    milliseconds = int(clock.now().timestamp() * 1000) & ((1 << 48) - 1)
    random = secrets.randbits(74)
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 62) << 64 | _VARIANT | random & ((1 << 62) - 1))


def uuid8(parent: UUID, *parts: str | int) -> UUID:
    """Return the UUID version 8 of the child that `parts` name within `parent`, always the same one.

    The first 48 bits are the parent's (for a version 7 parent: its time), the rest a SHA-256 of parent and
    parts, so that a redelivered chunk of a job makes the same ids again (design.md §2.9).
    """
    digest = hashlib.sha256(parent.bytes)
    for part in parts:
        text = str(part).encode()
        digest.update(len(text).to_bytes(4) + text)
    bits = int.from_bytes(digest.digest()[:10])
    time_bits = parent.int >> 80
    return UUID(
        int=time_bits << 80 | 8 << 76 | (bits >> 62 & 0xFFF) << 64 | _VARIANT | bits & ((1 << 62) - 1)
    )


def is_uuid(text: str) -> bool:
    """Tell whether `text` is a UUID as the platform writes it: 36 characters, lower case, with hyphens."""
    return _CANONICAL.fullmatch(text) is not None


def is_minted(id: str) -> bool:
    """Tell whether an id is of version 7, as those are that `new_id` makes."""
    return id[14] == "7"

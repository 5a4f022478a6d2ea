"""Identifiers: time-ordered UUIDs (design.md §2.9) and their one spelling."""

import hashlib
import os
import re
from typing import Final
from uuid import UUID

from notify_common import clock

PLATFORM_SERVICE_ID: Final = "d6aa2c68-a2d9-4437-ab19-3ae8eb202553"
"""The service that the platform's own mail is sent as, on every installation."""
PLATFORM_USER_ID: Final = "6af522d0-2915-4e52-83a3-3690455a5fe6"
"""The platform's own user, which makes what nobody else does, on every installation."""

CANONICAL: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An id as the platform writes it."""
MINTED: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
"""One of version 7, as those are that `new_id` makes."""
_VARIANT = 0b10 << 62


def new_id() -> str:
    """Return a new id: a UUID version 7, 48 bits of milliseconds, then 74 random bits (RFC 9562 §5.7)."""
    milliseconds = int(clock.now().timestamp() * 1000) & ((1 << 48) - 1)
    return _id(7, f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}", _random_bits())


def child_id(parent: str, *parts: str | int) -> str:
    """Return the id of the child that `parts` name within `parent`, always the same one: a UUID version 8.

    The first 48 bits are the parent's (for a version 7 parent: its time), the rest a SHA-256 of parent and
    parts, so that a redelivered chunk of a job makes the same ids again (design.md §2.9).
    """
    named = bytes.fromhex(parent.replace("-", ""))
    for part in parts:
        text = str(part).encode()
        named += len(text).to_bytes(4) + text
    return _id(8, parent[:13], int.from_bytes(hashlib.sha256(named).digest()[:10]))


def _id(version: int, first: str, bits: int) -> str:
    """Return the UUID that begins with `first`, 48 bits as it writes them, and goes on with the last 74 of
    `bits`.
    """
    last = _VARIANT | bits & ((1 << 62) - 1)
    return f"{first}-{version}{bits >> 62 & 0xFFF:03x}-{last >> 48:04x}-{last & ((1 << 48) - 1):012x}"


_RANDOM_BYTES: Final = 10
_RANDOM_AT_ONCE: Final = 256
_random: Final[list[int]] = []
os.register_at_fork(after_in_child=_random.clear)


def _random_bits() -> int:
    """Return 74 random bits. The system is asked for those of many ids at once: a thread that asks lets
    others run.
    """
    try:
        return _random.pop()
    except IndexError:
        more = os.urandom(_RANDOM_BYTES * _RANDOM_AT_ONCE)
        parts = [more[at : at + _RANDOM_BYTES] for at in range(0, len(more), _RANDOM_BYTES)]
        _random.extend(int.from_bytes(part) >> 6 for part in parts[1:])
        return int.from_bytes(parts[0]) >> 6


def is_uuid(text: str) -> bool:
    """Tell whether `text` is a UUID as the platform writes it: 36 characters, lower case, with hyphens."""
    return CANONICAL.fullmatch(text) is not None


def is_minted(id: str) -> bool:
    """Tell whether an id is of version 7, as those are that `new_id` makes."""
    return id[14] == "7"


def canonical_uuid(text: str) -> str:
    """Return a UUID in any spelling that Python reads as the platform writes it.

    Raises ValueError, TypeError or AttributeError.
    """
    return text if is_uuid(text) else str(UUID(text))

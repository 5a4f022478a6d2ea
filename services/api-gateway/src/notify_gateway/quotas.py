"""What a service may send on, as headers of the answers to it."""

from collections.abc import Iterable, Mapping
from typing import Final

from notify.notifications.v1.notifications_service_pb2 import Quota

_HEADERS: Final = {
    "RateLimit-Limit": "quota_limit",
    "RateLimit-Remaining": "quota_remaining",
    "RateLimit-Reset": "quota_reset_seconds",
}
"""Headers, and the facts of errors that they tell: of the limit that was met, or will be met first."""


def quota_facts(quota: Quota) -> dict[str, str]:
    """Return a quota as facts of an error."""
    return {
        "quota_limit": str(quota.limit),
        "quota_remaining": str(quota.remaining),
        "quota_reset_seconds": str(quota.reset_seconds),
    }


def quota_headers(facts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the headers that facts tell; none where they say nothing of a quota."""
    return [(header, facts[fact]) for header, fact in _HEADERS.items() if fact in facts]


def says_quota(headers: Iterable[str]) -> bool:
    """Tell whether an answer with headers of these names says what is left."""
    return not _HEADERS.keys().isdisjoint(headers)

"""Where services are called, cached in the one process that calls them (design.md §3.2).

A change is seen within about a second, at the latest after a minute. While admin does not answer, what is
known goes on being used for a quarter of an hour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import grpc
from notify.admin.v1 import callback_targets_service_pb2 as pb
from notify.admin.v1 import callback_targets_service_pb2_grpc as pb_grpc
from notify_common.enums import CallbackType
from notify_common.snapshots.cache import SnapshotCache

_MOST_TARGETS: Final = 10_000
_AT_ONCE: Final = 100


class TargetKey(NamedTuple):
    """The callback of one kind of a service."""

    service_id: str
    type: CallbackType


@dataclass(frozen=True, slots=True)
class Target:
    """Where a service is called, and what it knows the platform by."""

    url: str
    bearer_token: str = field(repr=False)
    signing_secrets: Sequence[str] = field(repr=False)
    """Newest first."""


class CallbackTargets:
    """Targets by service and type. Safe to share between threads."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = pb_grpc.CallbackTargetsServiceStub(channel)
        self._targets: SnapshotCache[TargetKey, Target] = SnapshotCache(
            "callback-targets", self._load, max_entries=_MOST_TARGETS
        )

    def get_many(self, keys: Iterable[TargetKey]) -> dict[TargetKey, Target | None]:
        """Return targets by key; None where there is none. Raises NotifyError where admin can't be asked."""
        return self._targets.get_many(keys)

    def evict(self, service_id: str) -> None:
        """Forget what is known of a service."""
        for type in CallbackType:
            self._targets.evict(TargetKey(service_id, type))

    def clear(self) -> None:
        """Forget everything."""
        self._targets.clear()

    def _load(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Target | None]:
        found: dict[TargetKey, Target | None] = {}
        for start in range(0, len(keys), _AT_ONCE):
            request = pb.GetCallbackTargetsRequest(
                keys=(
                    pb.CallbackTargetKey(service_id=key.service_id, type=key.type)
                    for key in keys[start : start + _AT_ONCE]
                )
            )
            for target in self._stub.GetCallbackTargets(request).targets:
                key = TargetKey(target.key.service_id, CallbackType(target.key.type))
                found[key] = Target(target.url, target.bearer_token, tuple(target.signing_secrets))
        return found

"""Caches of services and their API keys, evicted by the config feed (design.md §3.2).

Staleness: a change is heard of within about a second. While the admin service does not answer, what was
loaded within `auth_stale_seconds` is used on, except what is known to have changed.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from notify.admin.v1.api_key_pb2 import VerificationKey
from notify.admin.v1.api_keys_service_pb2 import ListVerificationKeysRequest
from notify.admin.v1.config_feed_service_pb2 import (
    ConfigChange,
    ListConfigChangesRequest,
)
from notify.admin.v1.snapshot_pb2 import SnapshotKey
from notify.common.v1.common_pb2 import KeyType
from notify_common.snapshots.cache import ConfigFeedPoller, SnapshotCache
from notify_common.snapshots.source import get_snapshots

from notify_gateway.clients import PublicClients

_MAX_SERVICES = 10_000
_KEY_PAGE_SIZE = 250
_KEY_SECONDS = 10.0
"""Keys are read again after this long although no change was heard of: a revoked one must not go on working
while something holds the feed back."""
_CHANGES_PER_CALL = 500


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What the gateway itself needs of a service."""

    id: str
    """UUID, lower case."""
    active: bool
    """False once archived."""
    restricted: bool
    """True in trial mode."""
    permissions: frozenset[str]
    """Such as `sms`, `email`, `letter`."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key that works, or was revoked in the last seven days."""

    id: str
    """UUID, lower case."""
    key_type: KeyType
    secret: str
    """Signs tokens; 36 ASCII characters."""
    revoked: bool


class Snapshots:
    """Services and their API keys by service id; the feed is followed from the first read in a process."""

    def __init__(self, clients: PublicClients, stale_seconds: float) -> None:
        self._clients = clients
        self._services: SnapshotCache[str, ServiceFacts] = SnapshotCache(
            "services", self._load_services, max_entries=_MAX_SERVICES, stale_limit=stale_seconds
        )
        self._keys: SnapshotCache[str, tuple[ApiKey, ...]] = SnapshotCache(
            "api_keys",
            self._load_keys,
            max_entries=_MAX_SERVICES,
            ttl=_KEY_SECONDS,
            stale_limit=stale_seconds,
        )
        self._lock = threading.Lock()
        self._poller: ConfigFeedPoller[ConfigChange] | None = None
        self._poller_pid = 0

    def service(self, service_id: str) -> ServiceFacts | None:
        """Return the service, or None if there is none. Raises NotifyError if admin can't be asked."""
        if self._poller_pid != os.getpid():
            self._follow_feed()
        return self._services.get(service_id)

    def keys(self, service_id: str) -> tuple[ApiKey, ...]:
        """Return the keys of a service, working ones first. Raises NotifyError if admin can't be asked."""
        return self._keys.get(service_id) or ()

    def close(self) -> None:
        """Stop following the feed."""
        with self._lock:
            poller, self._poller, self._poller_pid = self._poller, None, 0
        if poller is not None:
            poller.stop()

    def _follow_feed(self) -> None:
        with self._lock:
            if self._poller_pid == os.getpid():
                return
            self._poller = ConfigFeedPoller("gateway", self._list_changes, self._on_change, self._forget_all)
            self._poller.start()
            self._poller_pid = os.getpid()

    def _list_changes(self, cursor: str) -> tuple[Sequence[ConfigChange], str]:
        response = self._clients.config_feed.ListConfigChanges(
            ListConfigChangesRequest(cursor=cursor, page_size=_CHANGES_PER_CALL)
        )
        return response.changes, response.next_cursor

    def _on_change(self, change: ConfigChange) -> None:
        if change.kind == ConfigChange.KIND_SERVICE:
            self._services.evict(change.service_id)
        elif change.kind == ConfigChange.KIND_API_KEYS:
            self._keys.evict(change.service_id)

    def _forget_all(self) -> None:
        self._services.clear()
        self._keys.clear()

    def _load_services(self, service_ids: list[str]) -> dict[str, ServiceFacts | None]:
        keys = [SnapshotKey(service_id=service_id) for service_id in service_ids]
        loaded: dict[str, ServiceFacts | None] = {}
        for snapshot in get_snapshots(self._clients.config_feed, keys):
            if snapshot.HasField("service"):
                service = snapshot.service.service
                loaded[service.id] = ServiceFacts(
                    service.id, service.active, service.restricted, frozenset(service.permissions)
                )
        return loaded

    def _load_keys(self, service_ids: list[str]) -> dict[str, tuple[ApiKey, ...] | None]:
        return {service_id: self._list_keys(service_id) for service_id in service_ids}

    def _list_keys(self, service_id: str) -> tuple[ApiKey, ...]:
        keys: list[ApiKey] = []
        request = ListVerificationKeysRequest(service_id=service_id, page_size=_KEY_PAGE_SIZE)
        while True:
            response = self._clients.key_verification.ListVerificationKeys(request)
            keys.extend(map(_api_key, response.verification_keys))
            if not response.next_page_token:
                return tuple(keys)
            request.page_token = response.next_page_token


def _api_key(key: VerificationKey) -> ApiKey:
    return ApiKey(key.api_key_id, key.key_type, key.secret, key.HasField("revoke_time"))

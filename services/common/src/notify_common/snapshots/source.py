"""Where snapshots come from: admin's ConfigFeedService (design.md §3.2)."""

from collections.abc import Iterable
from typing import Any

from notify.admin.v1.config_feed_service_pb2 import GetSnapshotsRequest
from notify.admin.v1.snapshot_pb2 import Snapshot, SnapshotKey

MOST_KEYS = 100
"""Keys of one call."""


def get_snapshots(stub: Any, keys: Iterable[SnapshotKey]) -> list[Snapshot]:
    """Return the snapshot of each of `keys`, in their order, in as few calls as possible.

    An answer holds as many as fit into one message; the rest is asked for again, so that large templates of
    one service keep nobody from reading those of others.

    Args:
        stub: a ConfigFeedServiceStub.

    Raises:
        NotifyError: admin can't be reached, or refuses a key.
    """
    wanted = list(keys)
    found: list[Snapshot] = []
    while len(found) < len(wanted):
        request = GetSnapshotsRequest(keys=wanted[len(found) : len(found) + MOST_KEYS])
        answered = stub.GetSnapshots(request).snapshots
        if not answered:
            raise RuntimeError("admin answered no snapshot at all")
        found.extend(answered)
    return found

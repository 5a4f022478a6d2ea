"""Fair shares: how a claim is divided between lanes, and within a lane between services (design.md §3.3).

Pure rules; `leases.table` asks the database which services wait and takes what these rules say. Each lane
that has rows gets its guaranteed share of every claim, each service of a lane the same number of rows, and
what somebody leaves goes to those who have more, so that a claim is full whenever enough rows are due.
"""

import math
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from notify_common.enums import Lane

WEIGHTS: Final[Mapping[Lane, int]] = {Lane.PLATFORM: 4, Lane.API: 3, Lane.JOB: 1}
"""The guaranteed shares, in eighths where all lanes have rows, else in proportion; the fastest lane first."""

PLACES: Final[Mapping[str, int]] = {lane: place for place, lane in enumerate(WEIGHTS)}
"""Where a lane comes in the order in which the rows of one claim are worked off."""


class Tenant(NamedTuple):
    """A service within a lane."""

    lane: Lane
    service_id: str


@dataclass(frozen=True, slots=True)
class Walk:
    """What a look at a lane found.

    Attributes:
        due: services with a due row, in the order of the ring.
        last: the service that the look ended at, due or not; None where the lane has none.
        whole: whether it went round the whole ring.
    """

    due: Sequence[str]
    last: str | None
    whole: bool


class Shares:
    """Divides the claims of one queue, remembering whose turn it is. Safe to share between threads.

    The services of a lane form a ring in the order of their ids. Where a claim has fewer rows than there are
    services, or some over, the next claim goes on behind the last one that got any. A lane's share that is no
    whole number is owed to it, so that its guarantee holds over small claims too.
    """

    def __init__(self) -> None:
        # processes begin anywhere in the ring, so that they don't all begin with the same service
        self._cursors = {lane: str(uuid.uuid4()) for lane in WEIGHTS}
        self._owed: dict[Lane, Fraction] = {}
        self._lock = threading.Lock()

    def cursors(self) -> dict[Lane, str]:
        """Return by lane the service behind which the next look begins."""
        with self._lock:
            return dict(self._cursors)

    def divide(self, limit: int, walks: Mapping[Lane, Walk]) -> dict[Tenant, int]:
        """Return how many rows each service with due rows may take, in the order of lanes and rings.

        The numbers add up to `limit` if any service has due rows; some are 0 where services are many.
        """
        with self._lock:
            waiting = [lane for lane in WEIGHTS if lane in walks and walks[lane].due]
            quotas: dict[Tenant, int] = {}
            for lane, rows in self._lanes(limit, waiting).items():
                due = walks[lane].due
                quotas |= {
                    Tenant(lane, id): number
                    for id, number in zip(due, split(rows, [1] * len(due)), strict=True)
                }
                if len(due) <= rows and not walks[lane].whole:
                    self._move(lane, walks[lane].last)
                elif rows % len(due):
                    self._move(lane, due[rows % len(due) - 1])
            for lane, walk in walks.items():
                if not walk.due and not walk.whole:
                    self._move(lane, walk.last)
            return quotas

    def _move(self, lane: Lane, service_id: str | None) -> None:
        if service_id is not None:
            self._cursors[lane] = service_id

    def _lanes(self, limit: int, waiting: Sequence[Lane]) -> dict[Lane, int]:
        total = sum(WEIGHTS[lane] for lane in waiting)
        owed = {
            lane: self._owed.get(lane, Fraction(0)) + Fraction(limit * WEIGHTS[lane], total)
            for lane in waiting
        }
        rows = {lane: max(0, math.floor(share)) for lane, share in owed.items()}
        while waiting and (missing := limit - sum(rows.values())):
            step = 1 if missing > 0 else -1
            lanes = [lane for lane in waiting if rows[lane] + step >= 0]
            rows[max(lanes, key=lambda lane: step * (owed[lane] - rows[lane]))] += step
        # a lane without rows is owed nothing: its share went to the others
        self._owed = {lane: owed[lane] - rows[lane] for lane in waiting}
        return rows


def divide_again(
    quotas: Mapping[Tenant, int], got: Mapping[Tenant, int], taken: Mapping[Tenant, int]
) -> dict[Tenant, int]:
    """Divide what services left of their quotas between those who may have more rows.

    What is left of a lane's rows goes to its other services; of a lane that has no more, to the other lanes.
    The numbers add up to what is left, or there are none where nobody has more.

    Args:
        quotas: what was divided.
        got: rows taken of it. Whoever got less than the quota has no more.
        taken: rows that the whole claim took so far; of a lane's services those that got fewest come first.
    """
    left: dict[Lane, int] = dict.fromkeys(WEIGHTS, 0)
    tenants: dict[Lane, list[Tenant]] = {lane: [] for lane in WEIGHTS}
    for tenant, quota in quotas.items():
        left[tenant.lane] += quota - got.get(tenant, 0)
        if got.get(tenant, 0) >= quota:
            tenants[tenant.lane].append(tenant)
    lanes = [lane for lane in WEIGHTS if tenants[lane]]
    if not lanes or not any(left.values()):
        return {}
    freed = sum(rows for lane, rows in left.items() if not tenants[lane])
    again: dict[Tenant, int] = {}
    for lane, more in zip(lanes, split(freed, [WEIGHTS[lane] for lane in lanes]), strict=True):
        fewest_first = sorted(tenants[lane], key=lambda tenant: taken.get(tenant, 0))
        again |= zip(fewest_first, split(left[lane] + more, [1] * len(fewest_first)), strict=True)
    return again


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Split a number of rows in proportion to weights, into whole numbers that add up to it.

    Each part is its exact share rounded down or up; the larger fractions, then the earlier, are rounded up.
    """
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    fractions = sorted(range(len(weights)), key=lambda place: -(total * weights[place] % whole))
    for place in fractions[: total - sum(parts)]:
        parts[place] += 1
    return parts

"""How providers do, as their calls and receipts show, and what that makes of their shares (pipeline.md §3.6).

Two mechanisms. A provider whose calls mostly fail or take long is out of the draw within seconds, and in it
again once some probes went well (`next_condition`). One that does worse than others gives them 10 points of
its share, again and again, and gets them back bit by bit (`shift`, `drift`), as the original does.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from notify_providers.domain.routing import Condition

WINDOWS_SECONDS: Final = (10, 30)
"""Calls of these long ago and later say how a provider does: of the first where it has many, so that what it
did well before does not hide that it fails; of the last where it has few."""
BUCKET_SECONDS: Final = 5
"""Calls are counted together for so long."""
SLOW_SECONDS: Final = 2.0
"""A call that takes longer is slow, whatever comes of it."""
PROBES: Final = 3
"""So many calls in a row that end well make a provider healthy."""
FIRST_PROBE_SECONDS: Final = 5.0
LONGEST_PROBE_SECONDS: Final = 60.0

POINTS: Final = 10.0
"""What one shift moves, of 100 points of all shares of a channel."""
ERRORS_A_MINUTE: Final = 50
"""More failed calls than these within a minute cost points."""
LATE_SECONDS: Final = 300
"""A receipt that comes later is late."""
LATE_SHARE: Final = 0.15
"""A provider of which this part of receipts is late is slow to deliver."""
_ROUNDING: Final = 1e-6
QUIET_AFTER_ERRORS: Final = 60.0
QUIET_AFTER_LATENESS: Final = 300.0
QUIET_BEFORE_DRIFT: Final = 900.0
"""Seconds without a change of shares before one for errors, for lateness, and back towards rest."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of a provider that ended in a time; `failed` and `slow` may overlap."""

    ended: int = 0
    failed: int = 0
    slow: int = 0

    def __add__(self, other: "Calls") -> "Calls":
        """Return both together."""
        return Calls(self.ended + other.ended, self.failed + other.failed, self.slow + other.slow)


@dataclass(frozen=True, slots=True)
class Health:
    """How a provider does.

    Attributes:
        passed: calls in a row that ended well, while it is not healthy.
        probes: probes that were made since one went well.
    """

    condition: Condition = Condition.HEALTHY
    passed: int = 0
    probes: int = 0


def next_condition(before: Health, windows: Sequence[Calls], news: Calls, least: int) -> Health:
    """Return how a provider does once it is known how more of its calls ended.

    Args:
        windows: all of its calls of the last WINDOWS_SECONDS each, since it was last found healthy, `news`
            included.
        news: those that were not known at `before`.
        least: calls in a window below which it says nothing.
    """
    telling = [window for window in windows if window.ended >= least]
    failing = any(window.failed * 2 >= window.ended for window in telling)
    if failing and before.condition is not Condition.FAILING:
        return Health(Condition.FAILING)
    if before.condition is Condition.HEALTHY:
        slow = any(window.slow * 2 >= window.ended for window in telling)
        return Health(Condition.SLOW) if slow else before
    if not (news.ended or news.failed):
        return before
    if news.failed or news.slow:
        return Health(before.condition, 0, before.probes)
    passed = before.passed + news.ended
    return Health() if passed >= PROBES else Health(before.condition, passed, 0)


def probe_seconds(probes: int) -> float:
    """Return how long after a probe the next one comes: later with each of `probes` that did not go well."""
    return min(LONGEST_PROBE_SECONDS, FIRST_PROBE_SECONDS * 2.0 ** min(probes, 10))


def shift(weights: Mapping[str, float], worse: Collection[str]) -> dict[str, float]:
    """Return weights, of 100 points together, after those that do worse have each given 10 to the rest.

    None falls below 0. What is given is shared evenly; where all do worse, or none, nothing moves.
    """
    points = as_points(weights)
    better = [name for name in points if name not in worse]
    if not better or len(better) == len(points):
        return points
    given = 0.0
    for name in points:
        if name in worse:
            given += min(POINTS, points[name])
            points[name] -= min(POINTS, points[name])
    return {name: value + given / len(better) if name in better else value for name, value in points.items()}


def drift(weights: Mapping[str, float], resting: Mapping[str, float]) -> dict[str, float]:
    """Return weights, of 100 points together, up to 10 points nearer to those at rest.

    Those that are furthest from rest move by 10, the others in proportion, so that all arrive at once.
    """
    points, goal = as_points(weights), as_points(resting)
    furthest = max((abs(goal[name] - points[name]) for name in points), default=0.0)
    if furthest <= POINTS + _ROUNDING:
        return goal
    return {name: points[name] + (goal[name] - points[name]) * POINTS / furthest for name in points}


def as_points(weights: Mapping[str, float]) -> dict[str, float]:
    """Return weights in proportion, 100 together; even ones where all are 0."""
    whole = sum(weights.values())
    if not whole:
        return dict.fromkeys(weights, 100.0 / len(weights)) if weights else {}
    return {name: value * 100.0 / whole for name, value in weights.items()}

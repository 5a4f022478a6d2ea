"""A platform in seconds: what waits through a day, and what one tenant's flood makes others wait."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from notify_capacity.model import DAY_SECONDS, Load

_HOURS: Final = (1, 1, 1, 1, 1, 1, 2, 6, 14, 22, 24, 22, 18, 20, 22, 20, 18, 14, 10, 8, 6, 4, 2, 1)
"""How a day's messages come, by hour, where no peak factor says otherwise: public bodies send by day."""


@dataclass(frozen=True, slots=True)
class Day:
    """What became of a day's messages, by a stage that handles so many a second.

    Attributes:
        handled: messages.
        left: still waiting at midnight.
        longest_queue: messages that waited at once, at most.
        longest_wait: seconds that any message waited, at most.
    """

    handled: float
    left: float
    longest_queue: float
    longest_wait: float


def arrivals(load: Load) -> list[float]:
    """Return the messages of each second of a day: by the hours, and for ten minutes at the peak."""
    scale = load.messages_a_day / sum(_HOURS) / 3600
    seconds = [_HOURS[second // 3600] * scale for second in range(DAY_SECONDS)]
    begins = 10 * 3600
    for second in range(begins, begins + 600):
        seconds[second] = max(seconds[second], load.peak)
    peak = sum(seconds[begins : begins + 600])
    rest = (load.messages_a_day - peak) / (sum(seconds) - peak)
    return [one if begins <= second < begins + 600 else one * rest for second, one in enumerate(seconds)]


def run_day(load: Load, rate: float) -> Day:
    """Return how a stage that handles `rate` messages a second does with a day, first come, first served."""
    waiting = handled = longest_queue = longest_wait = 0.0
    for came in arrivals(load):
        waiting += came
        done = min(waiting, rate)
        handled += done
        waiting -= done
        longest_queue = max(longest_queue, waiting)
        longest_wait = max(longest_wait, waiting / rate)
    return Day(handled, waiting, longest_queue, longest_wait)


def fair_shares(waiting: Mapping[str, float], room: float) -> dict[str, float]:
    """Divide room between tenants: the same for each, and what one leaves goes to those who have more."""
    shares: dict[str, float] = {}
    left, tenants = room, len(waiting)
    for tenant, count in sorted(waiting.items(), key=lambda one: one[1]):
        shares[tenant] = min(count, left / tenants)
        left -= shares[tenant]
        tenants -= 1
    return shares


def flood(
    others: int, their_rate: float, flood_count: float, rate: float, *, fair: bool = True, seconds: int = 600
) -> dict[str, float]:
    """Return the longest wait in seconds of a flood's tenant and of any other, in so many seconds.

    Args:
        others: tenants besides, each sending `their_rate` messages a second.
        flood_count: messages that one tenant queues in the first second.
        rate: messages a second that are handled.
        fair: whether tenants have fair shares (ADR 0014); without them, first come, first served.
    """
    queues: dict[str, deque[list[float]]] = {"flood": deque([[0, flood_count]])}
    queues |= {f"other {number}": deque() for number in range(others)}
    longest = {"flood": 0.0, "others": 0.0}
    for second in range(seconds):
        for tenant, queue in queues.items():
            if tenant != "flood":
                queue.append([second, their_rate])
        waiting = {tenant: sum(count for _, count in queue) for tenant, queue in queues.items()}
        shares = fair_shares(waiting, rate) if fair else _in_turn(list(queues.items()), rate)
        for tenant, queue in queues.items():
            waited = _take(queue, shares[tenant], second)
            kind = "flood" if tenant == "flood" else "others"
            longest[kind] = max(longest[kind], waited)
    for tenant, queue in queues.items():
        if queue:
            kind = "flood" if tenant == "flood" else "others"
            longest[kind] = max(longest[kind], seconds - queue[0][0])
    return longest


def _in_turn(queues: Sequence[tuple[str, deque[list[float]]]], rate: float) -> dict[str, float]:
    """Return what each tenant gets where those due longest come first, whoever they are."""
    shares = dict.fromkeys((tenant for tenant, _ in queues), 0.0)
    rows = sorted((at, tenant, count) for tenant, queue in queues for at, count in queue)
    for _, tenant, count in rows:
        taken = min(count, rate)
        shares[tenant] += taken
        rate -= taken
        if rate <= 0:
            break
    return shares


def _take(queue: deque[list[float]], room: float, second: int) -> float:
    """Take from a queue; return how many seconds the oldest of what was taken waited."""
    waited = 0.0
    while queue and room > 1e-9:
        at, count = queue[0]
        waited = max(waited, second - at)
        if count > room and not math.isclose(count, room):
            queue[0][1] -= room
            return waited
        room -= count
        queue.popleft()
    return waited

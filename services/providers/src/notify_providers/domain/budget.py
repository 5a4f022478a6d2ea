"""How much somebody may do in a time."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

MAX_KEYS: Final = 10_000
"""Budgets that are remembered at once; beyond, the one that was asked for longest ago starts anew."""


class Budgets:
    """Token buckets by key: each allows `burst` at once, and `rate` a second in the long run.

    Any thread may ask. Nothing is kept beyond MAX_KEYS.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._lock = threading.Lock()
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, now: float) -> bool:
        """Use up one of a key's budget; return whether there was one.

        Args:
            now: reading of a clock in seconds; while it goes back, no budget grows.
        """
        with self._lock:
            left, at = self._left.pop(key, (self._burst, now))
            left = min(self._burst, left + max(0.0, now - at) * self._rate)
            allowed = left >= 1
            self._left[key] = (left - 1 if allowed else left, now)
            if len(self._left) > MAX_KEYS:
                self._left.popitem(last=False)
            return allowed

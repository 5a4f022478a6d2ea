"""Long computing that leaves the interpreter to other threads in between."""

import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

TURN_SECONDS: Final = 0.0005
"""How long a turn is."""
_PAUSE_SECONDS: Final = 0.00005


def in_turns(items: Iterable[T]) -> Iterator[T]:
    """Yield `items`; after each turn of work on them, pause for as long as it takes others to begin.

    A thread that computes is asked for the interpreter only after 5 ms, and who answers a small request
    needs it several times: beside one that makes a long list it takes ten times as long.
    """
    begun = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - begun > TURN_SECONDS:
            time.sleep(_PAUSE_SECONDS)
            begun = time.perf_counter()

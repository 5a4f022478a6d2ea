"""Waiting for a condition, in place of sleeping."""

import threading
from collections.abc import Callable

from notify_common import clock

WAIT_SECONDS = 180.0
"""How long a test waits for an answer, a process or a condition before it fails. It is the one bound of all
tests: on a machine that is busy with other things everything takes ten times as long."""


def until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS, pause: float = 0.02) -> None:
    """Ask until `condition` holds. Raises AssertionError if it does not within `seconds`."""
    deadline = clock.monotonic() + seconds
    pausing = threading.Event()
    while not condition():
        if clock.monotonic() > deadline:
            raise AssertionError(f"nothing changed for {seconds:.0f} s")
        pausing.wait(pause)

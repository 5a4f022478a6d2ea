"""Python itself, set for processes that load much once and serve many threads with short-lived objects."""

import gc
import sys
from typing import Final

_YOUNG: Final = 20_000
"""Objects made between two looks at the youngest; a request or a batch makes few that refer in a circle."""
_SWITCH_SECONDS: Final = 0.0005
"""How long a thread that has an answer in hand waits for one that computes. Python's own is ten times that,
which is as long as accepting a message takes in all (docs/adr/0012)."""


def settle() -> None:
    """Leave what is loaded by now out of later collections, collect less often, and have threads take turns.

    Call it once a process, after any fork, when everything is loaded. A collection then costs what was made
    since, not the modules, tables and protos of the whole process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
    sys.setswitchinterval(_SWITCH_SECONDS)

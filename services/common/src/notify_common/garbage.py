"""Python's garbage collector, set for processes that load much once and then make short-lived objects."""

import gc
from typing import Final

_YOUNG: Final = 20_000
"""Objects made between two looks at the youngest; a request or a batch makes few that refer in a circle."""


def settle() -> None:
    """Leave what is loaded by now out of all later collections, and collect less often.

    Call it once a process, after any fork, when everything is loaded. A collection then costs what was made
    since, not the modules, tables and protos of the whole process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)

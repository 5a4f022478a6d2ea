"""Whether the server was told to stop, which its parent process tells all of its worker processes."""

import mmap

_told = mmap.mmap(-1, 1)
"""One byte that a process shares with those that are forked from it."""


def is_stopping() -> bool:
    """Tell whether the server was told to stop and serves on for a while."""
    return _told[0] != 0


def tell() -> None:
    """Say, here and in all processes forked from this one, that the server was told to stop."""
    _told[0] = 1

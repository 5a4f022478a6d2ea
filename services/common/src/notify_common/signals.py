"""How a process is told to stop and to say what it is doing."""

import faulthandler
import os
import signal
import sys
import threading
from types import FrameType
from typing import Final

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

_stop = threading.Event()
_watcher: threading.Thread | None = None


def install() -> threading.Event:
    """Make SIGTERM and SIGINT set the returned event, and SIGUSR1 write all stacks to standard error.

    Call it from the main thread, after any fork; every call returns the same event.

    A thread sets the event, woken through a pipe. A handler written in Python could not be trusted to: it
    runs in the main thread, which may hold the event's lock in `wait` just then, and it does not run at all
    while that thread sleeps and the kernel gave the signal to another one.
    """
    global _watcher
    if _watcher is None or not _watcher.is_alive():
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        _watcher = threading.Thread(target=_watch, args=(reader,), name="signals", daemon=True)
        _watcher.start()
    for number in _STOPPING:
        signal.signal(number, _pass_on)
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
    return _stop


def _pass_on(signum: int, frame: FrameType | None) -> None:
    """Do nothing: that there is a handler makes Python write the signal's number to the pipe."""


def _watch(reader: int) -> None:
    while numbers := os.read(reader, 64):
        if any(number in numbers for number in _STOPPING):
            _stop.set()

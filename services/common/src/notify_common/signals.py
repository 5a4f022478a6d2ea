"""How a process is told to stop and to say what it is doing."""

import faulthandler
import queue
import signal
import sys
import threading
from types import FrameType

_stop = threading.Event()
_told: "queue.SimpleQueue[int]" = queue.SimpleQueue()
_watcher: threading.Thread | None = None


def install() -> threading.Event:
    """Makes SIGTERM and SIGINT set the returned event, and SIGUSR1 write all stacks to standard error.

    Call it from the main thread, after any fork; every call returns the same event.
    """
    global _watcher
    if _watcher is None or not _watcher.is_alive():
        _watcher = threading.Thread(target=_watch, name="signals", daemon=True)
        _watcher.start()
    signal.signal(signal.SIGTERM, _tell)
    signal.signal(signal.SIGINT, _tell)
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
    return _stop


def _tell(signum: int, frame: FrameType | None) -> None:
    # Not `_stop.set()`: a handler interrupts the main thread, which may hold the event's lock in `wait` just
    # then, and both would wait for ever. A SimpleQueue may be interrupted anywhere.
    _told.put(signum)


def _watch() -> None:
    while True:
        _told.get()
        _stop.set()

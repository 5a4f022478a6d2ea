"""How a process is told to stop and to say what it is doing."""

import faulthandler
import signal
import sys
import threading
from types import FrameType

_stop = threading.Event()


def install() -> threading.Event:
    """Makes SIGTERM and SIGINT set the returned event, and SIGUSR1 write all stacks to standard error.

    Handlers do nothing else: the main thread waits on the event (design.md §4.3). Call it from the main
    thread; every call returns the same event.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        _stop.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
    return _stop

"""The platform that a drill is done to."""

from collections.abc import Iterator
from contextlib import contextmanager

from notify_local.stack import Options, Stack
from notify_testing.folders import passable_folder


@contextmanager
def running_stack(*, with_edge: bool = False) -> Iterator[Stack]:
    """Provide the platform in a folder of its own, and say on the terminal what is being started."""
    with passable_folder("notify-drill-") as folder:
        stack = Stack(Options(folder / "stack", console=False, with_edge=with_edge))
        try:
            stack.start(lambda text: print(f"starting {text}", flush=True))
            yield stack
        finally:
            stack.stop()

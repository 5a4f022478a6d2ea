"""What drills that use the whole house have in common: a house of their own, and what an operator types."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from notify_testing.folders import passable_folder

from tests.harness.house import House, running_house


@contextmanager
def drill_folder() -> Iterator[Path]:
    """Provide a folder that is deleted at the end, also where the drill is told to end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with passable_folder("notify-drill-") as folder:
        yield folder


@contextmanager
def drill_house(folder: Path) -> Iterator[House]:
    """Provide a house in a folder, and say on the terminal what is being started."""
    with running_house(folder / "stack", lambda text: _say(f"starting {text}")) as house:
        yield house


def typed(house: House, context: str, *arguments: str) -> list[str]:
    """Run a command of a service with its settings; print it and what it says, and return the latter."""
    command = [sys.executable, "-m", f"notify_{context}", *arguments]
    environment = house.stack.processes[context].environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("{")]
    _say(f"$ python -m notify_{context} {' '.join(arguments)}", *lines)
    return lines


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()

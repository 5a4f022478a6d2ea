"""Processor time of processes, for benches."""

from collections.abc import Iterable, Mapping

import psutil
from notify_local.stack import Stack


def pids(stack: Stack, processes: Iterable[str], servers: Iterable[str]) -> dict[str, int]:
    """Return the ids of processes of the platform, and of servers underneath, that run, by name."""
    backing = {server.name: server.pid for server in stack.backing}
    found = {name: stack.processes[name].pid for name in processes} | {
        name: backing[name] for name in servers
    }
    return {name: pid for name, pid in found.items() if pid is not None}


class Meter:
    """Reads the processor time of processes, with that of their children."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids

    def read(self) -> dict[str, float]:
        """Seconds by name, from the start of each process on."""
        return {name: sum(map(seconds_of, _family(pid))) for name, pid in self._pids.items()}


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def seconds_of(process: psutil.Process) -> float:
    """Return the processor time of one process; 0 where it has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)

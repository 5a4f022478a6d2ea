"""Processor time of processes, for benches."""

from collections.abc import Mapping

import psutil


class Meter:
    """Reads the processor time of processes, with that of their children."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids

    def read(self) -> dict[str, float]:
        """Seconds by name, from the start of each process on."""
        return {name: sum(map(_seconds, _family(pid))) for name, pid in self._pids.items()}


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)

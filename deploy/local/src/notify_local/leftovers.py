"""Finds and ends processes of a stack that was itself killed before it could end them.

A stack writes down each process that it starts (id and start time) and strikes it out at the end; what a
later start finds written down and still running under the same id and start time was left behind.
"""

import contextlib
import json
import os
import signal
from pathlib import Path

import psutil


class Ledger:
    """The list of a stack's processes, in a file of its run folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[int, float] = {}

    def add(self, pid: int) -> None:
        """Write a process down."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._entries[pid] = psutil.Process(pid).create_time()
        self._save()

    def clear(self) -> None:
        """Strike all out."""
        self._entries = {}
        self._save()

    def running_stack(self) -> int | None:
        """Return the id of a stack that runs from this folder now, if it is not this process."""
        owner, _ = self._read()
        if owner is not None and owner[0] != os.getpid() and _runs(*owner):
            return owner[0]
        return None

    def end_leftovers(self) -> int:
        """End what a dead stack left behind, and return how many processes that were."""
        _, entries = self._read()
        left = [psutil.Process(pid) for pid, started in entries if _runs(pid, started)]
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(left, timeout=10)
        for process in stubborn:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # each leads a group, of what it started itself
        psutil.wait_procs(stubborn, timeout=10)
        return len(left)

    def _read(self) -> tuple[tuple[int, float] | None, list[tuple[int, float]]]:
        try:
            content = json.loads(self._path.read_text())
            owner, entries = content["owner"], content["processes"]
            return (int(owner[0]), float(owner[1])), [(int(pid), float(at)) for pid, at in entries]
        except (OSError, ValueError, KeyError, TypeError):
            return None, []

    def _save(self) -> None:
        me = psutil.Process()
        content = {"owner": [me.pid, me.create_time()], "processes": sorted(self._entries.items())}
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(content))
        partial.replace(self._path)


def _runs(pid: int, started: float) -> bool:
    try:
        return bool(abs(psutil.Process(pid).create_time() - started) < 0.01)
    except psutil.NoSuchProcess:
        return False

"""Disks of a few MiB for drills, made of memory: they need root, and Linux."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BALLAST = "ballast"
_PART = b"\0" * 2**16


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """Mount a disk of this size at a folder while the block runs."""
    folder.mkdir(parents=True)
    options = f"size={mebibytes}m,mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "notify-drill", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave no room on a disk while the block runs."""
    ballast = disk / _BALLAST
    try:
        with open(ballast, "wb", buffering=0) as file:
            part = _PART
            while part:
                try:
                    file.write(part)
                except OSError:
                    part = part[: len(part) // 2]
        yield
    finally:
        ballast.unlink(missing_ok=True)


def can_be_mounted() -> bool:
    """Tell whether this user may mount disks."""
    return os.geteuid() == 0

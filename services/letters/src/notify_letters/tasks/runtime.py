"""The parts that a Celery process's tasks use."""

from functools import cache

from notify_common.settings import load_settings

from notify_letters.bootstrap import Parts, parts_for_tasks
from notify_letters.settings import Settings

_parts: Parts | None = None


@cache
def settings() -> Settings:
    """This process's settings, read once."""
    return load_settings(Settings)


def enter(loaded: Settings) -> None:
    """Make this process's parts; called once in each process of a worker, after the fork."""
    global _parts
    _parts = parts_for_tasks(loaded)


def leave() -> None:
    """Close this process's parts."""
    global _parts
    if _parts is not None:
        _parts.close()
    _parts = None


def parts() -> Parts:
    """This process's parts.

    Raises:
        RuntimeError: outside of a Celery worker's process.
    """
    if _parts is None:
        raise RuntimeError("tasks run in the processes of a Celery worker")
    return _parts

"""What the tasks of a Celery process work with; `celery_app` puts it here after the fork."""

from typing import Protocol


class Parts(Protocol):
    """What the tasks do, bound to the parts it takes."""

    def render_batch(self, batch_id: str) -> bool:
        """See `usecases.render_batch`."""

    def submit_batch(self, batch_id: str) -> bool:
        """See `usecases.submit_batch`."""

    def start_daily_print_run(self) -> object:
        """See `usecases.start_print_run`."""

    def close(self) -> None:
        """Close what is open."""


_parts: Parts | None = None


def enter(made: Parts) -> None:
    """Give this process's tasks their parts."""
    global _parts
    _parts = made


def leave() -> None:
    """Close this process's parts."""
    global _parts
    if _parts is not None:
        _parts.close()
    _parts = None


def parts() -> Parts:
    """Return this process's parts.

    Raises:
        RuntimeError: outside of a Celery worker's process.
    """
    if _parts is None:
        raise RuntimeError("tasks run in the processes of a Celery worker")
    return _parts

"""What the tasks of a Celery process work with; `celery_app` puts it here after the fork."""

from typing import Protocol

from notify_common.db.unit_of_work import UnitOfWork

from notify_letters.usecases.render_batch import RenderBatch
from notify_letters.usecases.submit_batch import SubmitBatch


class Parts(Protocol):
    """The parts that tasks use, each made when first asked for."""

    @property
    def uow(self) -> UnitOfWork:
        """The database."""

    @property
    def render_batch(self) -> RenderBatch:
        """Behind the task of that name."""

    @property
    def submit_batch(self) -> SubmitBatch:
        """Behind the task of that name."""

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
    """This process's parts.

    Raises:
        RuntimeError: outside of a Celery worker's process.
    """
    if _parts is None:
        raise RuntimeError("tasks run in the processes of a Celery worker")
    return _parts

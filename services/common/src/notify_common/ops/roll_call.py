"""Workers say that they run, so that operators see who works and who died."""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.worker import Worker
from notify_common.logging import describe_exception, get_logger
from notify_common.ops.tables import OpsTables

BEAT_SECONDS: Final = 5.0
_FORGET_AFTER: Final = timedelta(days=1)


class RollCall:
    """Writes down every 5 s that the workers of this process run, all in one statement.

    A thread of its own does, so that a worker that hangs still shows, as busy. At the end the rows go; those
    of a process that died stay for a day.
    """

    def __init__(self, uow: UnitOfWork, tables: OpsTables, workers: Sequence[Worker]) -> None:
        """Take the workers of this process."""
        self.process = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._uow = uow
        self._table = tables.workers
        self._workers = workers
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roll-call", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and take the rows away."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_SECONDS)
        self._try(self._leave)

    def beat(self) -> None:
        """Write down how the workers are doing now."""
        if not self._workers:
            return
        w = self._table
        rows = [
            {
                "process": self.process,
                "name": worker.name,
                "busy_seconds": worker.busy_seconds,
                "handled_count": worker.handled_count,
                "failing": worker.failing,
            }
            for worker in self._workers
        ]
        said = insert(w).values(rows)
        news = {name: said.excluded[name] for name in ("busy_seconds", "handled_count", "failing")}
        with self._uow.begin() as tx:
            tx.execute(
                said.on_conflict_do_update(
                    index_elements=["process", "name"], set_={**news, "beat_time": sa.func.now()}
                )
            )
            tx.execute(sa.delete(w).where(w.c.beat_time < sa.func.now() - _FORGET_AFTER))

    def _run(self) -> None:
        while True:
            self._try(self.beat)
            if self._stop.wait(BEAT_SECONDS):
                return

    def _leave(self) -> None:
        with self._uow.begin() as tx:
            tx.execute(sa.delete(self._table).where(self._table.c.process == self.process))

    @staticmethod
    def _try(step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            get_logger().warning("workers not noted", **describe_exception(error))

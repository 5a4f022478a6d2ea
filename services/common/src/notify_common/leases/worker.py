"""Loops that do the work of queues and feeds."""

import random
import threading
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import Counter, Gauge, Histogram

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import Queue
from notify_common.logging import describe_exception, get_logger

_OLDEST = Gauge(
    "notify_lease_oldest_due_seconds",
    "How long the row waiting longest has been due; the lane is empty where a queue has none.",
    ["worker", "lane"],
)
_PARKED = Gauge("notify_lease_parked_rows", "Rows given up until an operator looks at them.", ["worker"])
_ROWS = Counter("notify_worker_rows_total", "Rows or events handled.", ["worker"])
_ERRORS = Counter("notify_worker_errors_total", "Batches that failed.", ["worker"])
_SECONDS = Histogram("notify_worker_batch_seconds", "Time of one batch that had rows.", ["worker"])

FIRST_IDLE_SECONDS = 0.025
LONGEST_IDLE_SECONDS = 0.5
PROMPT_IDLE_SECONDS = 0.1
"""For `Worker`s on a message's way to a person."""
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
MEASURE_EVERY_SECONDS = 5.0


class Worker:
    """Calls `claim_and_do` again and again, in the thread that calls `run`.

    After a batch with rows it goes on at once, or, where `full_batch` is given and the batch was smaller,
    after its longest wait; with nothing to do it waits, from 25 ms up to that; after a batch that raised it
    logs and waits longer with each failure in a row, up to 30 s. Nothing that a batch raises ends the loop.
    No wake-up by NOTIFY: committing one takes a lock of the whole database, which costs the accepting side
    more than the polls cost here.

    Args:
        name: in logs and metrics.
        uow: given to `claim_and_do`.
        claim_and_do: does one batch and returns how many rows it had. It makes its own transactions and holds
            none across a call to elsewhere. A `FeedConsumer`'s step fits as `lambda uow: consumer.step()`.
        full_batch: rows from which a batch counts as full. One that is not has left nothing behind, so that
            what comes in meanwhile is better done together: under a steady trickle it costs a round trip for
            each few rows otherwise.
        queue: whose oldest due row and parked rows are measured every 5 s; more parked rows than before are
            logged as an error too.
        filters: those of its claims, where it takes a part of the queue's rows: only these are measured.
        longest_idle_seconds: the longest wait; PROMPT_IDLE_SECONDS on a message's way to a person.
    """

    def __init__(
        self,
        name: str,
        uow: UnitOfWork,
        claim_and_do: Callable[[UnitOfWork], int],
        *,
        full_batch: int = 0,
        queue: Queue | None = None,
        filters: Mapping[str, object] | None = None,
        longest_idle_seconds: float = LONGEST_IDLE_SECONDS,
    ) -> None:
        self.name = name
        self._uow = uow
        self._claim_and_do = claim_and_do
        self._full_batch = full_batch
        self._queue = queue
        self._filters = filters or {}
        self._longest_idle = longest_idle_seconds
        self._failures = 0
        self._measured_at = float("-inf")
        self._parked = 0
        self._busy_since: float | None = None
        self.handled_count = 0
        """Rows or events handled so far."""
        # what is counted from 0 is not missed the first time
        _ROWS.labels(name)
        _ERRORS.labels(name)

    @property
    def busy_seconds(self) -> float:
        """How long the batch at hand has been going on; 0 between two."""
        since = self._busy_since
        return 0.0 if since is None else clock.monotonic() - since

    @property
    def failing(self) -> bool:
        """Whether the last three batches or more all failed; for health checks."""
        return self._failures >= 3

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a batch under way is finished first."""
        idle = FIRST_IDLE_SECONDS
        while not stop.is_set():
            self._measure()
            try:
                started = self._busy_since = clock.monotonic()
                count = self._claim_and_do(self._uow)
            except Exception as error:
                self._failures += 1
                _ERRORS.labels(self.name).inc()
                wait = self._backoff()
                get_logger().error(
                    "batch failed",
                    worker=self.name,
                    attempt=self._failures,
                    seconds=wait,
                    **describe_exception(error),
                )
                self._busy_since = None
                stop.wait(wait)
                continue
            self._busy_since = None
            self._failures = 0
            if count:
                self.handled_count += count
                _ROWS.labels(self.name).inc(count)
                _SECONDS.labels(self.name).observe(clock.monotonic() - started)
                idle = FIRST_IDLE_SECONDS
                if count < self._full_batch:
                    stop.wait(self._longest_idle)
            else:
                stop.wait(idle)
                idle = min(2 * idle, self._longest_idle)

    def _backoff(self) -> float:
        longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(self._failures - 1, 10), LONGEST_BACKOFF_SECONDS)
        return longest * random.uniform(0.5, 1)

    def _measure(self) -> None:
        """Measure the queue if it is time; one that can't be measured now is worked off all the same."""
        if self._queue is None or clock.monotonic() - self._measured_at < MEASURE_EVERY_SECONDS:
            return
        self._measured_at = clock.monotonic()
        try:
            with self._uow.begin() as conn:
                ages = self._queue.oldest_due_ages(conn, **self._filters)
                parked = self._queue.parked_count(conn, **self._filters)
        except Exception as error:
            get_logger().warning("queue not measured", worker=self.name, **describe_exception(error))
            return
        for lane, age in ages.items():
            _OLDEST.labels(self.name, lane).set(age)
        _PARKED.labels(self.name).set(parked)
        if parked > self._parked:
            get_logger().error(
                "rows parked", worker=self.name, table=self._queue.table.name, parked_count=parked
            )
        self._parked = parked


class WorkerGroup:
    """The workers of one process, each in a thread of its own."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = list(workers)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start all workers."""
        for worker in self.workers:
            thread = threading.Thread(target=worker.run, args=(self._stop,), name=worker.name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 30) -> bool:
        """Let every worker finish its batch, for at most `timeout` seconds; return whether all did.

        What a worker that did not was doing comes up again when its leases end.
        """
        self._stop.set()
        deadline = clock.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def healthy(self) -> bool:
        """Tell whether all threads live and none keeps failing."""
        return all(t.is_alive() for t in self._threads) and not any(w.failing for w in self.workers)

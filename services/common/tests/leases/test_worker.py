"""Loops of workers."""

import threading
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases import worker as worker_module
from notify_common.leases.table import Queue, lease_columns
from notify_common.leases.worker import Worker, WorkerGroup
from notify_testing.waiting import WAIT_SECONDS


@pytest.fixture
def uow() -> UnitOfWork:
    return UnitOfWork(sa.create_engine("postgresql+psycopg2://"))  # never connects


class Script:
    """Gives the answers of a list, one a call, then sets `done` and finds nothing more to do."""

    def __init__(self, *answers: int | BaseException) -> None:
        self.answers = list(answers)
        self.calls = 0
        self.done = threading.Event()

    def __call__(self, uow: UnitOfWork) -> int:
        self.calls += 1
        if not self.answers:
            self.done.set()
            return 0
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def run() -> Iterator[Callable[..., WorkerGroup]]:
    groups: list[WorkerGroup] = []

    def start(*workers: Worker) -> WorkerGroup:
        group = WorkerGroup(workers)
        groups.append(group)
        group.start()
        return group

    yield start
    for group in groups:
        assert group.stop(WAIT_SECONDS)


def test_goes_on_until_nothing_is_left(uow: UnitOfWork, run: Callable[..., WorkerGroup]) -> None:
    script = Script(500, 500, 3)
    group = run(Worker("w", uow, script))
    assert script.done.wait(WAIT_SECONDS)
    assert group.healthy()
    assert script.calls >= 4


def test_bad_batch_backs_off_and_the_loop_goes_on(
    uow: UnitOfWork,
    run: Callable[..., WorkerGroup],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(worker_module, "FIRST_BACKOFF_SECONDS", 0.001)
    script = Script(RuntimeError("recipient 07700900123"), RuntimeError(), 1)
    group = run(Worker("w", uow, script))
    assert script.done.wait(WAIT_SECONDS)
    assert group.healthy()
    assert "07700900123" not in capsys.readouterr().out


def test_bad_worker_leaves_the_others_alone_and_shows_in_health(
    uow: UnitOfWork, run: Callable[..., WorkerGroup], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "FIRST_BACKOFF_SECONDS", 0.001)
    failed = threading.Semaphore(0)

    def always_fails(uow: UnitOfWork) -> int:
        failed.release()
        raise RuntimeError

    good = Script(1, 1)
    group = run(Worker("bad", uow, always_fails), Worker("good", uow, good))
    assert good.done.wait(WAIT_SECONDS)
    for _ in range(4):
        assert failed.acquire(timeout=WAIT_SECONDS)
    assert not group.healthy()


def test_waits_grow_with_failures_up_to_the_longest_and_differ(uow: UnitOfWork) -> None:
    worker = Worker("w", uow, Script())
    for failures, longest in [(1, 0.5), (2, 1), (5, 8), (7, 30), (5000, 30)]:
        worker._failures = failures
        waits = {worker._backoff() for _ in range(50)}
        assert len(waits) > 1
        assert all(longest / 2 <= wait <= longest for wait in waits)


def test_stop_lets_the_batch_under_way_finish(uow: UnitOfWork) -> None:
    started, may_finish, finished = threading.Event(), threading.Event(), threading.Event()

    def batch(uow: UnitOfWork) -> int:
        started.set()
        may_finish.wait(WAIT_SECONDS)
        finished.set()
        return 1

    group = WorkerGroup([Worker("w", uow, batch)])
    group.start()
    assert started.wait(WAIT_SECONDS)
    assert not group.stop(timeout=0.01)
    may_finish.set()
    assert group.stop(WAIT_SECONDS)
    assert finished.is_set()


def test_a_queue_that_can_t_be_measured_is_worked_off_all_the_same(run: Callable[..., WorkerGroup]) -> None:
    table = sa.Table("work", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *lease_columns())
    unreachable = UnitOfWork(sa.create_engine("postgresql+psycopg2:///?host=/nowhere"))
    script = Script(1, 1)
    group = run(Worker("w", unreachable, script, queue=Queue(table, ["id"])))
    assert script.done.wait(WAIT_SECONDS)
    assert group.healthy()

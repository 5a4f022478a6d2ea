"""Leased rows against a real database."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from notify_common import clock
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import Queue, due_index, lease_columns, parked_index
from notify_testing.database import FreshDatabase

metadata = sa.MetaData()
work = sa.Table(
    "work",
    metadata,
    sa.Column("shard", sa.Integer, primary_key=True),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("result", sa.Text),
    *lease_columns(),
)
due_index(work)
parked_index(work)
effects = sa.Table("effects", metadata, sa.Column("id", sa.Integer, nullable=False))

queue = Queue(work, ["shard", "id"], lease_seconds=30, max_attempts=3, retry_base_seconds=10)


@pytest.fixture
def uow(fresh_database: FreshDatabase) -> UnitOfWork:
    engine = create_engine(fresh_database(), pool_size=8)
    metadata.create_all(engine)
    return UnitOfWork(engine)


def fill(uow: UnitOfWork, count: int, age: float = 1) -> None:
    """Store rows 0 to `count` - 1, due `age` seconds ago and a second more each: the last is the oldest."""
    with uow.begin() as conn:
        conn.execute(
            sa.text(
                "INSERT INTO work (shard, id, due_at)"
                " SELECT n % 2, n, now() - make_interval(secs => :age + n)"
                " FROM generate_series(0, :count - 1) n"
            ),
            {"count": count, "age": age},
        )


def end_leases(uow: UnitOfWork) -> None:
    with uow.begin() as conn:
        past = sa.func.now() - timedelta(seconds=1)
        leased = sa.update(work).where(work.c.leased_until.is_not(None))
        conn.execute(leased.values(due_at=past, leased_until=past))


def make_due(uow: UnitOfWork) -> None:
    with uow.begin() as conn:
        conn.execute(sa.update(work).values(due_at=sa.func.now() - timedelta(seconds=1)))


def remaining(uow: UnitOfWork) -> int:
    with uow.begin() as conn:
        return int(conn.execute(sa.select(sa.func.count()).select_from(work)).scalar_one())


def test_claims_what_waited_longest_first_and_no_more_than_asked_for(uow: UnitOfWork) -> None:
    fill(uow, 10)
    with uow.begin() as conn:
        assert [row.id for row in queue.claim(conn, 3)] == [9, 8, 7]
    with uow.begin() as conn:
        assert [row.id for row in queue.claim(conn, 3)] == [6, 5, 4]


def test_claims_at_most_500_at_once(uow: UnitOfWork) -> None:
    fill(uow, 600)
    with uow.begin() as conn:
        assert len(queue.claim(conn, 10_000)) == 500


def test_claims_only_what_matches_the_filters(uow: UnitOfWork) -> None:
    fill(uow, 6)
    with uow.begin() as conn:
        assert {row.id for row in queue.claim(conn, shard=1)} == {1, 3, 5}


def test_does_not_claim_what_is_not_due_parked_or_without_a_time(uow: UnitOfWork) -> None:
    with uow.begin() as conn:
        future = sa.func.now() + timedelta(hours=1)
        conn.execute(sa.insert(work).values(shard=0, id=1, due_at=future))
        conn.execute(sa.insert(work).values(shard=0, id=2, due_at=None))
        conn.execute(sa.insert(work).values(shard=0, id=3, parked_at=sa.func.now()))
        conn.execute(sa.insert(work).values(shard=0, id=4))
    with uow.begin() as conn:
        assert [row.id for row in queue.claim(conn)] == [4]


def test_batch_whose_worker_died_comes_up_again_when_its_lease_ends(uow: UnitOfWork) -> None:
    fill(uow, 4)
    with uow.begin() as conn:
        first = queue.claim(conn)
    with uow.begin() as conn:
        assert queue.claim(conn) == []
    end_leases(uow)
    with uow.begin() as conn:
        second = queue.claim(conn)
    assert {row.id for row in second} == {row.id for row in first}
    assert {row.attempt for row in second} == {2}


def test_worker_that_dies_before_it_commits_leaves_no_trace(uow: UnitOfWork) -> None:
    fill(uow, 4)
    with uow.begin() as conn:
        rows = queue.claim(conn)
    connection = uow.engine.connect()
    connection.execute(sa.insert(effects), [{"id": row.id} for row in rows])
    assert queue.finish(connection, rows) == 4
    connection.invalidate()  # the server sees its client go, with the transaction open
    connection.close()
    end_leases(uow)
    with uow.begin() as conn:
        again = queue.claim(conn)
        conn.execute(sa.insert(effects), [{"id": row.id} for row in again])
        assert queue.finish(conn, again) == 4
    with uow.begin() as conn:
        done = conn.execute(sa.select(effects.c.id)).scalars().all()
    assert sorted(done) == [0, 1, 2, 3]
    assert remaining(uow) == 0


@pytest.mark.parametrize("ending", ["finish", "set", "fail", "park", "heartbeat"])
def test_who_lost_the_lease_changes_nothing(uow: UnitOfWork, ending: str) -> None:
    fill(uow, 3)
    with uow.begin() as conn:
        slow = queue.claim(conn)
    end_leases(uow)
    with uow.begin() as conn:
        quick = queue.claim(conn)
    with uow.begin() as conn:
        before = conn.execute(sa.select(work).order_by(work.c.id)).all()
        late: Callable[[], int] = {
            "finish": lambda: queue.finish(conn, slow),
            "set": lambda: queue.set(conn, slow, result="late"),
            "fail": lambda: queue.fail(conn, slow, "late"),
            "park": lambda: queue.park(conn, slow, "late"),
            "heartbeat": lambda: queue.heartbeat(conn, slow),
        }[ending]
        assert late() == 0
        assert conn.execute(sa.select(work).order_by(work.c.id)).all() == before
        assert queue.finish(conn, quick) == 3


def test_finishes_only_the_rows_it_is_given(uow: UnitOfWork) -> None:
    fill(uow, 5)
    with uow.begin() as conn:
        rows = queue.claim(conn)
        assert queue.finish(conn, rows[:2]) == 2
        assert queue.finish(conn, []) == 0
    assert remaining(uow) == 3


def test_set_writes_values_and_takes_the_rows_out_of_the_queue(uow: UnitOfWork) -> None:
    fill(uow, 3)
    with uow.begin() as conn:
        rows = queue.claim(conn)
        results = [f"result of {row.id}" for row in rows]
        assert queue.set(conn, rows, each={"result": results}, request_id="r") == 3
    end_leases(uow)
    with uow.begin() as conn:
        assert queue.claim(conn) == []
        kept = conn.execute(sa.select(work.c.result, work.c.request_id).order_by(work.c.id)).all()
    assert [tuple(row) for row in kept] == [(f"result of {n}", "r") for n in range(3)]


def test_set_with_a_time_keeps_the_rows_in_the_queue(uow: UnitOfWork) -> None:
    fill(uow, 3)
    with uow.begin() as conn:
        queue.set(conn, queue.claim(conn), due_at=sa.func.now())
    with uow.begin() as conn:
        assert len(queue.claim(conn)) == 3


def test_failed_rows_come_back_later_each_at_a_time_of_its_own(uow: UnitOfWork) -> None:
    fill(uow, 200)
    with uow.begin() as conn:
        assert queue.fail(conn, queue.claim(conn), "provider said no") == 0
    with uow.begin() as conn:
        assert queue.claim(conn) == []
        waits = conn.execute(
            sa.select(sa.func.extract("epoch", work.c.due_at - sa.func.now()), work.c.leased_until)
        ).all()
    seconds = [float(wait) for wait, _ in waits]
    assert len(set(seconds)) == 200
    assert 4.5 < min(seconds) < 10 < max(seconds) < 15  # 10 s, times 0.5 to 1.5
    assert {leased for _, leased in waits} == {None}


def test_wait_doubles_with_each_attempt_up_to_the_cap(uow: UnitOfWork) -> None:
    patient = Queue(work, ["shard", "id"], max_attempts=10_000, retry_base_seconds=10, retry_cap_seconds=60)
    for attempt, longest in [(1, 10), (2, 20), (3, 40), (4, 60), (5, 60), (5000, 60)]:
        with uow.begin() as conn:
            conn.execute(sa.delete(work))
            conn.execute(sa.insert(work).values(shard=0, id=1, attempt=attempt - 1))
            patient.fail(conn, patient.claim(conn), "no")
            wait = conn.execute(
                sa.select(sa.func.extract("epoch", work.c.due_at - sa.func.now()))
            ).scalar_one()
        assert longest * 0.5 <= float(wait) <= longest * 1.5


def test_retry_after_is_kept_exactly(uow: UnitOfWork) -> None:
    fill(uow, 1)
    with uow.begin() as conn:
        queue.fail(conn, queue.claim(conn), "busy", retry_after=timedelta(seconds=90))
        wait = conn.execute(sa.select(work.c.due_at - sa.func.now())).scalar_one()
    assert wait == timedelta(seconds=90)


def test_parks_with_the_reason_after_the_last_attempt(uow: UnitOfWork) -> None:
    fill(uow, 1)
    parked = []
    for _ in range(3):
        make_due(uow)
        with uow.begin() as conn:
            parked.append(queue.fail(conn, queue.claim(conn), "address refused"))
    assert parked == [0, 0, 1]
    make_due(uow)
    with uow.begin() as conn:
        assert queue.claim(conn) == []
        assert queue.parked_count(conn) == 1
        assert queue.oldest_due_ages(conn) == {"": 0}
        assert conn.execute(sa.select(work.c.park_reason)).scalar_one() == "address refused"
        assert queue.put_back(conn, conn.execute(sa.select(work)).all(), [0]) == 1
    with uow.begin() as conn:
        assert [row.attempt for row in queue.claim(conn)] == [1]


@pytest.mark.parametrize("minutes", [-5, 5])
def test_the_clock_of_a_process_counts_for_nothing(uow: UnitOfWork, minutes: int) -> None:
    fill(uow, 2)
    with clock.set_for_tests(clock.now() + timedelta(minutes=minutes)):
        with uow.begin() as conn:
            held, failed = queue.claim(conn)
            left = conn.execute(
                sa.select(work.c.leased_until - sa.func.now()).where(work.c.id == held.id)
            ).scalar_one()
            queue.fail(conn, [failed], "busy", retry_after=timedelta(seconds=90))
            wait = conn.execute(
                sa.select(work.c.due_at - sa.func.now()).where(work.c.id == failed.id)
            ).scalar_one()
        assert (left, wait) == (timedelta(seconds=30), timedelta(seconds=90))
        with uow.begin() as conn:
            assert queue.claim(conn) == []


def test_row_that_kills_its_workers_is_parked_and_holds_up_nobody(uow: UnitOfWork) -> None:
    fill(uow, 2)
    for _ in range(3):
        with uow.begin() as conn:
            assert len(queue.claim(conn)) == 2
        end_leases(uow)
    fill_more = sa.insert(work).values(shard=7, id=7)
    with uow.begin() as conn:
        conn.execute(fill_more)
    with uow.begin() as conn:
        assert [row.id for row in queue.claim(conn)] == [7]
        assert queue.parked_count(conn) == 2


def test_failing_rows_do_not_hold_up_newer_ones(uow: UnitOfWork) -> None:
    fill(uow, 3, age=100)
    with uow.begin() as conn:
        queue.fail(conn, queue.claim(conn, 3), "no")
        conn.execute(sa.insert(work).values(shard=7, id=7))
    with uow.begin() as conn:
        assert [row.id for row in queue.claim(conn, 3)] == [7]


def test_heartbeat_begins_the_lease_anew(uow: UnitOfWork) -> None:
    fill(uow, 2)
    with uow.begin() as conn:
        rows = queue.claim(conn)
    end_leases(uow)
    with uow.begin() as conn:
        assert queue.heartbeat(conn, rows) == 2
        assert queue.claim(conn) == []


def test_age_is_of_the_row_waiting_longest_that_no_worker_has(uow: UnitOfWork) -> None:
    with uow.begin() as conn:
        assert queue.oldest_due_ages(conn) == {"": 0}
    fill(uow, 2, age=100)
    with uow.begin() as conn:
        queue.claim(conn, 1)
        assert 100 <= queue.oldest_due_ages(conn)[""] < 200
        queue.claim(conn, 1)
        assert queue.oldest_due_ages(conn) == {"": 0}


def test_claimed_row_says_since_when_it_was_due(uow: UnitOfWork) -> None:
    fill(uow, 1, age=100)
    with uow.begin() as conn:
        (row,) = queue.claim(conn)
        now = conn.execute(sa.select(sa.func.now())).scalar_one()
    assert 100 <= (now - row.due_at).total_seconds() < 200


def test_claims_one_row_by_its_key(uow: UnitOfWork) -> None:
    fill(uow, 3)
    with uow.begin() as conn:
        row = queue.claim_row(conn, shard=1, id=1)
        assert row is not None
        assert (row.id, row.attempt) == (1, 1)
        assert queue.claim_row(conn, shard=1, id=1) is None
        assert queue.claim_row(conn, shard=0, id=99) is None


def test_claim_runs_on_the_index_of_waiting_rows(uow: UnitOfWork) -> None:
    with uow.begin() as conn:
        conn.exec_driver_sql(
            "INSERT INTO work (shard, id, due_at)"
            " SELECT 0, n, CASE WHEN mod(n, 1000) = 0 THEN now() END FROM generate_series(1, 20000) n"
        )
    with uow.autocommit() as conn:
        conn.exec_driver_sql("ANALYZE work")
    claims: list[tuple[str, Any]] = []

    @sa.event.listens_for(uow.engine, "before_cursor_execute")
    def keep(conn: object, cursor: object, statement: str, parameters: Any, *rest: object) -> None:
        claims.append((statement, parameters))

    with uow.begin() as conn:
        queue.claim(conn)
        statement, parameters = claims[0]
        execute = statement[statement.rindex("EXECUTE ") :]  # what precedes it is prepared by now
        plan = "\n".join(conn.exec_driver_sql(f"EXPLAIN {execute}", parameters).scalars())
    assert "ix_work_due" in plan
    assert "Seq Scan" not in plan


def test_workers_side_by_side_never_get_the_same_row(uow: UnitOfWork) -> None:
    fill(uow, 3000)
    barrier = threading.Barrier(4)

    def drain() -> list[int]:
        got: list[int] = []
        barrier.wait()
        while True:
            with uow.begin() as conn:
                rows = queue.claim(conn, 37)
            if not rows:
                return got
            got += [row.id for row in rows]
            with uow.begin() as conn:
                conn.execute(sa.insert(effects), [{"id": row.id} for row in rows])
                assert queue.finish(conn, rows) == len(rows)

    with ThreadPoolExecutor(4) as pool:
        taken = [future.result() for future in [pool.submit(drain) for _ in range(4)]]
    counts = Counter(row for got in taken for row in got)
    assert len(counts) == 3000
    assert set(counts.values()) == {1}
    with uow.begin() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(effects)).scalar_one() == 3000
    assert remaining(uow) == 0


def test_claim_skips_rows_that_another_claim_is_just_taking(uow: UnitOfWork) -> None:
    fill(uow, 10)
    with uow.begin() as one, uow.begin() as other:
        first = {row.id for row in queue.claim(one, 5)}
        second = {row.id for row in queue.claim(other, 10)}
    assert len(first) == 5
    assert first | second == set(range(10))
    assert not first & second


def test_counting_parked_rows_costs_the_same_however_many_rows_are_kept(uow: UnitOfWork) -> None:
    fill(uow, 20_000)
    with uow.begin() as conn:
        queue.park(conn, queue.claim(conn, 3), "no")
        conn.exec_driver_sql("ANALYZE work")
        assert queue.parked_count(conn) == 3
        plan = conn.exec_driver_sql("EXPLAIN SELECT count(*) FROM work WHERE parked_at IS NOT NULL").scalars()
        assert "Seq Scan" not in "\n".join(plan)

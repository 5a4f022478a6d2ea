"""Queues that services fill, against a real database: lanes, fair shares, bounded cost."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Lane
from notify_common.leases.shares import WEIGHTS, Tenant
from notify_common.leases.table import (
    FairQueue,
    due_index,
    fair_index,
    lane_column,
    lease_columns,
    parked_index,
)
from notify_testing.database import FreshDatabase

metadata = sa.MetaData()
work = sa.Table(
    "work",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    lane_column(),
    sa.Column("service_id", sa.Uuid(as_uuid=False), nullable=False),
    *lease_columns(),
)
due_index(work)
fair_index(work, "kind")
parked_index(work)

HOUR = timedelta(hours=1)
COUNTS = st.dictionaries(
    st.tuples(st.sampled_from(list(Lane)), st.integers(1, 6)), st.integers(1, 40), max_size=12
)


@pytest.fixture
def uow(fresh_database: FreshDatabase) -> UnitOfWork:
    engine = create_engine(fresh_database(), pool_size=8)
    metadata.create_all(engine)
    return UnitOfWork(engine)


def make_queue() -> FairQueue:
    return FairQueue(work, ["id"], lease_seconds=30, max_attempts=3)


def service(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def fill(uow: UnitOfWork, counts: Mapping[tuple[Lane, int], int], kind: str = "a") -> None:
    """Store rows by lane and number of the service, all due, the later the younger."""
    insert = sa.text(
        "INSERT INTO work (kind, lane, service_id, due_at)"
        " SELECT :kind, :lane, CAST(:service_id AS uuid), now() - make_interval(secs => 100000 - n)"
        " FROM generate_series(1, :count) n"
    )
    with uow.begin() as conn:
        for (lane, number), count in counts.items():
            values = {"kind": kind, "lane": lane.value, "service_id": service(number), "count": count}
            conn.execute(insert, values)


def claimed(uow: UnitOfWork, queue: FairQueue, limit: int = 500) -> list[sa.Row[Any]]:
    with uow.begin() as conn:
        return queue.claim(conn, limit, kind="a")


def by_tenant(rows: Iterable[sa.Row[Any]]) -> Counter[Tenant]:
    return Counter(Tenant(Lane(row.lane), row.service_id) for row in rows)


def by_lane(rows: Iterable[sa.Row[Any]]) -> Counter[Lane]:
    return Counter(Lane(row.lane) for row in rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(counts=COUNTS, limit=st.integers(1, 120))
def test_claim_is_full_and_fair(uow: UnitOfWork, counts: dict[tuple[Lane, int], int], limit: int) -> None:
    with uow.begin() as conn:
        conn.execute(sa.delete(work))
    fill(uow, counts)
    rows = claimed(uow, make_queue(), limit)

    assert len(rows) == len({row.id for row in rows}) == min(limit, sum(counts.values()))
    waiting = {Tenant(lane, service(number)): count for (lane, number), count in counts.items()}
    got = by_tenant(rows)
    lanes = {lane for lane, _ in counts}
    for lane in lanes:
        guaranteed = limit * WEIGHTS[lane] // sum(WEIGHTS[one] for one in lanes)
        has = sum(count for tenant, count in waiting.items() if tenant.lane is lane)
        assert by_lane(rows)[lane] >= min(has, guaranteed)
    for one, count in waiting.items():
        if got[one] < count:
            others = [got[other] for other in waiting if other.lane is one.lane]
            assert got[one] >= max(others) - 1, "somebody got more than one who has rows left"


def test_service_that_is_alone_gets_whole_claims(uow: UnitOfWork) -> None:
    fill(uow, {(Lane.JOB, 1): 1200})
    queue = make_queue()
    assert [len(claimed(uow, queue)) for _ in range(4)] == [500, 500, 200, 0]


def test_job_keeps_nobody_waiting_for_more_than_one_claim(uow: UnitOfWork) -> None:
    fill(uow, {(Lane.JOB, 1): 3000})
    queue = make_queue()
    claimed(uow, queue)
    fill(uow, {(Lane.API, 2): 1, (Lane.PLATFORM, 3): 1, (Lane.JOB, 4): 1})
    rows = claimed(uow, queue)
    assert len(rows) == 500
    assert [Lane(row.lane) for row in rows[:2]] == [Lane.PLATFORM, Lane.API], "the fastest lane comes first"
    assert by_tenant(rows)[Tenant(Lane.JOB, service(4))] == 1


def test_no_lane_starves_another_however_small_the_claims(uow: UnitOfWork) -> None:
    fill(uow, {(Lane.PLATFORM, 1): 100, (Lane.API, 2): 100, (Lane.JOB, 3): 100})
    queue = make_queue()
    rows = [row for _ in range(80) for row in claimed(uow, queue, 1)]
    assert by_lane(rows) == {Lane.PLATFORM: 40, Lane.API: 30, Lane.JOB: 10}


def test_all_services_get_their_turn_where_they_are_more_than_a_claim_has_rows(uow: UnitOfWork) -> None:
    fill(uow, {(Lane.API, number): 5 for number in range(1, 61)})
    queue = make_queue()
    rows = [row for _ in range(6) for row in claimed(uow, queue, 20)]
    assert set(by_tenant(rows).values()) == {2}


def test_rows_of_a_service_come_in_the_order_they_were_due(uow: UnitOfWork) -> None:
    fill(uow, {(Lane.API, 1): 30})
    queue = make_queue()
    ids = [row.id for _ in range(3) for row in claimed(uow, queue, 10)]
    assert ids == sorted(ids)


def test_finds_what_is_due_behind_many_services_that_wait_for_later(uow: UnitOfWork) -> None:
    fill(uow, {(Lane.API, number): 1 for number in range(60)})
    with uow.begin() as conn:
        conn.execute(sa.update(work).values(due_at=sa.func.now() + HOUR))
    fill(uow, {(Lane.API, 1000): 1})
    queue = make_queue()
    # a claim of 10 looks at 40 services at most, the next one goes on from there
    assert [row.service_id for _ in range(2) for row in claimed(uow, queue, 10)] == [service(1000)]


def test_filter_keeps_queues_of_one_table_apart(uow: UnitOfWork) -> None:
    fill(uow, {(Lane.API, 1): 3})
    fill(uow, {(Lane.API, 1): 4}, kind="b")
    assert len(claimed(uow, make_queue())) == 3


def test_rows_of_before_there_were_lanes_are_claimed(uow: UnitOfWork) -> None:
    with uow.begin() as conn:
        conn.exec_driver_sql(
            "INSERT INTO work (kind, service_id) VALUES ('a', '00000000-0000-0000-0000-000000000000')"
        )
    assert len(claimed(uow, make_queue())) == 1


def test_lease_of_a_release_that_left_due_at_alone_holds(uow: UnitOfWork) -> None:
    fill(uow, {(Lane.API, 1): 2})
    with uow.begin() as conn:
        conn.exec_driver_sql("UPDATE work SET leased_until = now() + interval '1 minute' WHERE id = 1")
    assert [row.id for row in claimed(uow, make_queue())] == [2]


def test_claimers_side_by_side_take_everything_once(uow: UnitOfWork) -> None:
    counts = {(lane, number): 40 * number for lane in Lane for number in range(1, 8)}
    fill(uow, counts)
    barrier = threading.Barrier(4)

    def drain() -> list[sa.Row[Any]]:
        queue = make_queue()
        got: list[sa.Row[Any]] = []
        barrier.wait()
        while True:
            with uow.begin() as conn:
                rows = queue.claim(conn, 37, kind="a")
            got += rows
            with uow.begin() as conn:
                assert queue.finish(conn, rows) == len(rows)
                if not conn.execute(sa.select(sa.exists().where(work.c.id > 0))).scalar_one():
                    return got

    with ThreadPoolExecutor(4) as pool:
        taken = [future.result() for future in [pool.submit(drain) for _ in range(4)]]
    ids = Counter(row.id for rows in taken for row in rows)
    assert len(ids) == sum(counts.values())
    assert set(ids.values()) == {1}


def test_claims_at_the_same_moment_get_different_rows(uow: UnitOfWork) -> None:
    fill(uow, {(Lane.JOB, 1): 30, (Lane.API, 2): 30})
    with uow.begin() as one, uow.begin() as other:
        first = {row.id for row in make_queue().claim(one, 20, kind="a")}
        second = {row.id for row in make_queue().claim(other, 40, kind="a")}
    assert (len(first), len(second)) == (20, 40)
    assert not first & second


def rows_touched(uow: UnitOfWork, queue: FairQueue) -> tuple[int, str]:
    """Return the rows that the statements of one claim read from the table, and their plans."""
    plans: list[str] = []

    @sa.event.listens_for(uow.engine, "before_cursor_execute")
    def keep(conn: sa.Connection, cursor: Any, statement: str, parameters: Any, *rest: object) -> None:
        prepare, kind, execute = statement.rpartition("EXECUTE ")
        explain = f"SAVEPOINT look; {prepare} EXPLAIN (ANALYZE, TIMING off) {kind}{execute}"
        cursor.execute(explain, parameters)
        plans.append("\n".join(line for (line,) in cursor.fetchall()))
        cursor.execute("ROLLBACK TO look")
        if prepare:  # the statement itself prepares it once more
            cursor.execute(f"DEALLOCATE {execute.partition('(')[0]}")

    try:
        claimed(uow, queue)
    finally:
        sa.event.remove(uow.engine, "before_cursor_execute", keep)
    text = "\n".join(plans)
    lines = [line for line in text.splitlines() if " on work" in line and "actual" in line]
    touched = 0.0
    for line in lines:
        rows, loops = line.split("actual rows=")[1].split(")")[0].split(" loops=")
        touched += float(rows) * int(loops)
    removed = [line for line in text.splitlines() if "Rows Removed by Filter" in line]
    return round(touched + sum(int(line.split(":")[1]) for line in removed)), text


@pytest.mark.parametrize("services", [1, 3000])
def test_cost_of_a_claim_is_bounded(uow: UnitOfWork, services: int) -> None:
    """Neither rows nor services nor leased rows make it read more than a few rows for each that it takes."""
    with uow.begin() as conn:
        conn.exec_driver_sql(
            "INSERT INTO work (kind, lane, service_id, due_at) SELECT 'a', 'job',"
            f" md5((n % {services})::text)::uuid, now() - make_interval(secs => n)"
            " FROM generate_series(1, 30000) n".replace("%", "%%")
        )
    with uow.autocommit() as conn:
        conn.exec_driver_sql("ANALYZE work")
    # nothing that the planner knows says that these are few
    fill(uow, {(Lane.API, 1): 5})
    queue = make_queue()
    for _ in range(6):
        claimed(uow, queue)
    fill(uow, {(Lane.API, 1): 5})
    touched, plan = rows_touched(uow, queue)
    assert "Seq Scan" not in plan, plan
    assert "Sort" not in plan
    assert touched < 6 * 500


def test_how_long_rows_wait_is_told_by_lane(uow: UnitOfWork) -> None:
    queue = make_queue()
    with uow.begin() as conn:
        assert queue.oldest_due_ages(conn, kind="a") == {lane.value: 0 for lane in Lane}
    fill(uow, {(Lane.JOB, number): 3 for number in range(1, 6)})
    fill(uow, {(Lane.PLATFORM, 1): 1}, kind="b")
    with uow.begin() as conn:
        late = sa.update(work).where(work.c.service_id == service(4)).values(due_at=sa.func.now() + HOUR)
        conn.execute(late)
        older = (
            sa.update(work).where(work.c.service_id == service(5)).values(due_at=sa.func.now() - 48 * HOUR)
        )
        conn.execute(older)
        parked = {"parked_at": sa.func.now(), "due_at": sa.func.now() - 96 * HOUR}
        conn.execute(sa.update(work).where(work.c.service_id == service(3)).values(parked))
    with uow.begin() as conn:
        ages = queue.oldest_due_ages(conn, kind="a")
        assert (ages["platform"], ages["api"]) == (0, 0)
        assert 48 * 3600 <= ages["job"] < 49 * 3600
        assert queue.parked_count(conn, kind="a") == 3
        assert queue.parked_count(conn, kind="b") == 0


def test_a_queue_that_was_at_rest_gives_what_comes(uow: UnitOfWork) -> None:
    queue = make_queue()
    for number in range(1, 4):
        fill(uow, {(Lane.API, number): 1}, kind="b")  # another part's rows are not waited for
        assert claimed(uow, queue) == claimed(uow, queue) == []
        fill(uow, {(Lane.JOB, number): 2, (Lane.API, number): 1})
        assert [row.lane for row in claimed(uow, queue)] == [Lane.API, Lane.JOB, Lane.JOB]

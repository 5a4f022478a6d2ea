"""Statements that connections prepare, against a real server."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from notify_common.db.arrays import array_text, one_of
from notify_common.db.engine import create_engine
from notify_common.db.prepared import prepared
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_testing.database import FreshDatabase

_THINGS = sa.table("things", sa.column("id", sa.Integer), sa.column("word", sa.Text))
_FIND = prepared(
    sa.select(_THINGS.c.word).where(one_of(_THINGS.c.id, "ids"), _THINGS.c.word != "100 %").order_by("word")
)
_DIVIDE = prepared(sa.text("SELECT 60 / CAST(:by AS integer)"))


@pytest.fixture
def uow(fresh_database: FreshDatabase) -> Iterator[UnitOfWork]:
    made = UnitOfWork(create_engine(fresh_database(), pool_size=1))
    with made.begin() as tx:
        tx.exec_driver_sql("CREATE TABLE things (id integer PRIMARY KEY, word text NOT NULL)")
    yield made
    made.engine.dispose()


def _fill(tx: Tx) -> None:
    tx.exec_driver_sql("INSERT INTO things SELECT n, 'word ' || n FROM generate_series(1, 20000) AS n")
    tx.exec_driver_sql("INSERT INTO things VALUES (20001, '100 %%')")


def _kept(tx: Tx) -> list[tuple[int, int]]:
    """How often each statement of the connection was planned with its values, and run without."""
    kept = "SELECT custom_plans, generic_plans FROM pg_prepared_statements ORDER BY prepare_time"
    return [(row[0], row[1]) for row in tx.exec_driver_sql(kept)]


def _find(tx: Tx, *ids: int) -> list[str]:
    return list(tx.execute(_FIND, {"ids": list(ids)}).scalars())


def test_a_statement_is_planned_once_and_finds_what_it_would_otherwise(uow: UnitOfWork) -> None:
    with uow.begin() as tx:
        assert _find(tx, 1) == []
        _fill(tx)
        assert _find(tx, 7, 20_001) == ["word 7"]
    with uow.autocommit() as tx:
        assert _find(tx, 8, 9) == ["word 8", "word 9"]
        assert _kept(tx) == [(0, 3)]


def test_a_plan_of_an_empty_table_reads_little_of_a_large_one(uow: UnitOfWork) -> None:
    with uow.begin() as tx:
        _find(tx, 1)
        _fill(tx)
        before = tx.exec_driver_sql("SELECT pg_stat_get_xact_numscans('things'::regclass)").scalar_one()
        assert _find(tx, 5) == ["word 5"]
        after = tx.exec_driver_sql("SELECT pg_stat_get_xact_numscans('things'::regclass)").scalar_one()
    assert after == before


def test_an_error_leaves_nothing_behind(uow: UnitOfWork) -> None:
    for by, quotient in ((0, None), (5, 12), (0, None), (6, 10)):
        if quotient is None:
            with pytest.raises(sa.exc.DataError), uow.begin() as tx:
                tx.execute(_DIVIDE, {"by": by})
        else:
            with uow.begin() as tx:
                assert tx.execute(_DIVIDE, {"by": by}).scalar_one() == quotient
                assert tx.execute(_DIVIDE, {"by": by}).scalar_one() == quotient
                assert len(_kept(tx)) == 1


def test_what_a_rolled_back_transaction_prepared_stays(uow: UnitOfWork) -> None:
    with uow.begin() as tx:
        tx.execute(_DIVIDE, {"by": 5})
        tx.rollback()
    with uow.begin() as tx:
        assert tx.execute(_DIVIDE, {"by": 5}).scalar_one() == 12


def test_a_new_connection_prepares_anew(uow: UnitOfWork) -> None:
    with uow.begin() as tx:
        tx.execute(_DIVIDE, {"by": 5})
        pid = tx.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    other = create_engine(uow.engine.url.render_as_string(hide_password=False), pool_size=1)
    with UnitOfWork(other).autocommit() as tx:
        tx.exec_driver_sql("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    other.dispose()
    with uow.begin() as tx:
        assert tx.execute(_DIVIDE, {"by": 5}).scalar_one() == 12


def test_an_array_may_be_written_as_text(uow: UnitOfWork) -> None:
    statement = prepared(sa.text("SELECT cardinality(CAST(:ids AS uuid[]))"))
    with uow.begin() as tx:
        for ids in ([], ["0198c0de-0000-7000-8000-000000000001"]):
            assert tx.execute(statement, {"ids": array_text(ids)}).scalar_one() == len(ids)

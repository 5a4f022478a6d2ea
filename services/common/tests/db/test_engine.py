"""Engine and unit of work against a real server."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import sqlalchemy as sa
from notify_common import current
from notify_common.db import waiting
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_testing.database import FreshDatabase
from notify_testing.waiting import until
from prometheus_client import REGISTRY
from psycopg2.extensions import set_wait_callback
from psycopg2.extras import wait_select


@pytest.fixture
def uow(fresh_database: FreshDatabase) -> UnitOfWork:
    engine = create_engine(fresh_database(), pool_size=2)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE words (word text PRIMARY KEY)")
    return UnitOfWork(engine)


def fail_after(connection: sa.Connection, word: str) -> None:
    connection.execute(sa.text("INSERT INTO words VALUES (:word)"), {"word": word})
    connection.exec_driver_sql("SELECT 1/0")


def words(uow: UnitOfWork) -> list[str]:
    with uow.begin() as connection:
        return list(connection.exec_driver_sql("SELECT word FROM words ORDER BY word").scalars())


@pytest.mark.parametrize("url", ["", "not a url", "mysql://host/db", "sqlite://"])
def test_refuses_what_is_no_postgresql_url(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        create_engine(url)


def test_error_about_a_url_does_not_repeat_it() -> None:
    with pytest.raises(ValueError, match="not a database URL") as caught:
        create_engine("postgres//admin:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_begin_rolls_everything_back_on_an_error(uow: UnitOfWork) -> None:
    with pytest.raises(sa.exc.DataError), uow.begin() as connection:
        fail_after(connection, "lost")
    assert words(uow) == []


def test_begin_commits_at_the_end(uow: UnitOfWork) -> None:
    with uow.begin() as connection:
        connection.exec_driver_sql("INSERT INTO words VALUES ('kept')")
    assert words(uow) == ["kept"]


def test_autocommit_keeps_each_statement_and_leaves_the_connection_transactional(uow: UnitOfWork) -> None:
    with pytest.raises(sa.exc.DataError), uow.autocommit() as connection:
        fail_after(connection, "kept")
    with pytest.raises(sa.exc.DataError), uow.begin() as connection:
        fail_after(connection, "lost")
    assert words(uow) == ["kept"]


def test_statement_gets_the_time_that_the_call_has_left(uow: UnitOfWork) -> None:
    with current.bind(timeout=0.3), uow.begin() as connection:
        limit = connection.exec_driver_sql("SHOW statement_timeout").scalar_one()
        assert limit.endswith("ms")
        assert 0 < int(limit.removesuffix("ms")) <= 300
    with uow.begin() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "5s"


def test_statement_of_a_call_without_time_left_is_cancelled(uow: UnitOfWork) -> None:
    with (
        current.bind(timeout=-1),
        pytest.raises(sa.exc.OperationalError, match="statement timeout"),
        uow.begin() as connection,
    ):
        connection.exec_driver_sql("SELECT pg_sleep(60)")


def test_connection_broken_by_the_server_is_replaced(uow: UnitOfWork) -> None:
    with uow.begin() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    other = create_engine(uow.engine.url.render_as_string(hide_password=False), application_name="killer")
    with other.begin() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    assert words(uow) == []


def test_a_statement_by_itself_is_one_round_trip_and_a_transaction_three(uow: UnitOfWork) -> None:
    def round_trips(unit: Callable[[], AbstractContextManager[Tx]]) -> int:
        waits: list[object] = []

        def count(asked: object) -> None:
            waits.append(asked)
            wait_select(asked)

        with unit() as connection:
            connection.exec_driver_sql("SELECT 1")  # has the connection made where there is none
        set_wait_callback(count)
        try:
            with unit() as connection:
                connection.exec_driver_sql("SELECT 1")
        finally:
            set_wait_callback(waiting._wait)
        return len(waits)

    assert round_trips(uow.autocommit) == 1
    assert round_trips(uow.begin) == 3


def test_a_connection_that_breaks_off_in_autocommit_is_not_used_again(uow: UnitOfWork) -> None:
    def break_off() -> None:
        with uow.autocommit() as connection:
            connection.connection.driver_connection.close()  # type: ignore[union-attr] # it is a connection

    break_off()
    with pytest.raises(sa.exc.DataError), uow.begin() as connection:
        fail_after(connection, "lost")
    assert words(uow) == []


def test_forked_child_uses_connections_of_its_own(uow: UnitOfWork) -> None:
    def backend() -> int:
        with uow.begin() as connection:
            return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())

    before = backend()
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writable, str(backend()).encode())
        finally:
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        in_child = int(pipe.read())
    os.waitpid(child, 0)
    assert in_child != before
    assert backend() == before


def test_one_connection_more_than_the_pool_holds_waits_and_then_fails(uow: UnitOfWork) -> None:
    uow.engine.pool._timeout = 0.05  # type: ignore[attr-defined] # the wait of 5 s would only be sat through
    with uow.begin(), uow.begin(), pytest.raises(sa.exc.TimeoutError), uow.begin():
        pass
    assert words(uow) == []


def connections(which: str) -> float:
    return REGISTRY.get_sample_value(f"notify_database_connections_{which}") or 0.0


def test_errors_are_counted_by_sqlstate_and_connections_told(uow: UnitOfWork) -> None:
    def errors(sqlstate: str) -> float:
        return REGISTRY.get_sample_value("notify_database_errors_total", {"sqlstate": sqlstate}) or 0.0

    def counts_another() -> bool:
        before = connections("limit")
        another = create_engine("postgresql://nowhere/gone", pool_size=3)
        found = connections("limit")
        another.dispose()
        return found == before + 3

    def counts_one_in_use() -> bool:
        before = connections("in_use")
        with uow.begin():
            return connections("in_use") == before + 1

    before = errors("22012")
    # what tests before this one made may end, or be used, between two readings
    until(counts_another)
    until(counts_one_in_use)
    with pytest.raises(sa.exc.DataError), uow.begin() as connection:
        fail_after(connection, "lost")
    assert errors("22012") == before + 1
    until(counts_one_in_use)


def test_a_server_that_is_away_is_counted(uow: UnitOfWork) -> None:
    before = REGISTRY.get_sample_value("notify_database_errors_total", {"sqlstate": "none"})
    gone = UnitOfWork(create_engine("postgresql://127.0.0.1:1/gone", pool_size=1))
    with pytest.raises(sa.exc.OperationalError), gone.begin():
        pass
    assert before is not None
    assert REGISTRY.get_sample_value("notify_database_errors_total", {"sqlstate": "none"}) == before + 1

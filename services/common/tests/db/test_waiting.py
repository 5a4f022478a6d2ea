"""Connections whose server goes silent without closing them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from notify_common import current
from notify_common.db.engine import create_engine, failure_reason
from notify_common.db.unit_of_work import UnitOfWork
from notify_testing.database import FreshDatabase
from notify_testing.proxy import SilentProxy


@pytest.fixture
def proxy(fresh_database: FreshDatabase) -> Iterator[SilentProxy]:
    with SilentProxy(fresh_database()) as made:
        yield made


def ask(uow: UnitOfWork) -> int:
    with uow.begin() as connection:
        return int(connection.exec_driver_sql("SELECT 1").scalar_one())


def ask_in_silence(uow: UnitOfWork, proxy: SilentProxy) -> None:
    with uow.begin() as connection:
        proxy.go_silent()
        connection.exec_driver_sql("SELECT 1")


def test_a_silent_connection_is_given_up_logged_and_its_pool_replaced(
    proxy: SilentProxy, log_lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notify_common.db.engine._IDLE_SECONDS", 0.0)
    uow = UnitOfWork(create_engine(proxy.url, pool_size=2, statement_timeout_ms=500))
    with uow.begin(), uow.begin():
        pass
    proxy.go_silent()

    # the ping before the first statement finds out; both connections are new ones then
    with uow.begin() as first, uow.begin() as second:
        assert first.exec_driver_sql("SELECT 1").scalar_one() == 1
        assert second.exec_driver_sql("SELECT 1").scalar_one() == 1
    assert proxy.accepted == 4
    events = [line["event"] for line in log_lines() if line["event"].startswith("database")]
    assert events == ["database does not answer, connection given up"]


def test_silence_within_a_transaction_is_unavailable_and_the_next_one_works(proxy: SilentProxy) -> None:
    uow = UnitOfWork(create_engine(proxy.url, pool_size=1, statement_timeout_ms=500))
    with pytest.raises(sa.exc.OperationalError) as caught:
        ask_in_silence(uow, proxy)
    assert failure_reason(caught.value) == "UNAVAILABLE"
    assert ask(uow) == 1


def test_a_call_waits_no_longer_than_it_has_time(proxy: SilentProxy) -> None:
    # a minute is what the server would be given, and longer than the test may take
    uow = UnitOfWork(create_engine(proxy.url, pool_size=1, statement_timeout_ms=60_000))
    with current.bind(timeout=0.2), pytest.raises(sa.exc.OperationalError):
        ask_in_silence(uow, proxy)
    assert ask(uow) == 1


def test_a_slow_statement_is_the_server_s_to_cancel(proxy: SilentProxy) -> None:
    uow = UnitOfWork(create_engine(proxy.url, pool_size=1, statement_timeout_ms=300))
    with (
        pytest.raises(sa.exc.OperationalError, match="statement timeout"),
        uow.begin() as connection,
    ):
        connection.exec_driver_sql("SELECT pg_sleep(60)")
    assert ask(uow) == 1
    assert proxy.accepted == 1

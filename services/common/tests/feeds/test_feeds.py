"""Feeds between two databases: nothing is lost, nothing is applied twice."""

import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from notify_common import clock
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.feeds.consumer import FeedConsumer, cursors_table
from notify_common.feeds.producer import (
    Xid8,
    begin_epoch,
    feed_holders,
    feed_state,
    feed_table,
    latest_cursor,
    oldest_open,
    read_feed,
    trim_feed,
)
from notify_testing.database import FreshDatabase
from notify_testing.embedded import start_server
from notify_testing.waiting import until
from prometheus_client import REGISTRY

producer_tables = sa.MetaData()
news = feed_table("news", producer_tables, sa.Column("body", sa.Integer, nullable=False))
feed_epochs = producer_tables.tables["feed_epochs"]

consumer_tables = sa.MetaData()
cursors = cursors_table(consumer_tables)
applied = sa.Table("applied", consumer_tables, sa.Column("body", sa.Integer, nullable=False))


@pytest.fixture
def producer(fresh_database: FreshDatabase) -> UnitOfWork:
    engine = create_engine(fresh_database(), pool_size=10)
    producer_tables.create_all(engine)
    return UnitOfWork(engine)


@pytest.fixture
def consumer(fresh_database: FreshDatabase) -> UnitOfWork:
    engine = create_engine(fresh_database(), pool_size=4)
    consumer_tables.create_all(engine)
    return UnitOfWork(engine)


def append(uow: UnitOfWork, *bodies: int, wait: bool = True) -> None:
    with uow.begin() as conn:
        conn.execute(sa.insert(news), [{"body": body} for body in bodies])
    if wait:
        settle(uow)


def settle(uow: UnitOfWork) -> None:
    """Wait until all committed events can be read: what ended a moment ago may hold them back."""

    def is_settled() -> bool:
        with uow.begin() as conn:
            unsettled = sa.select(sa.func.count()).where(news.c.tx >= oldest_open(conn))
            return bool(conn.execute(unsettled).scalar_one() == 0)

    until(is_settled)


def read(uow: UnitOfWork, cursor: str, limit: int = 500) -> tuple[list[int], str]:
    with uow.begin() as conn:
        rows, next_cursor = read_feed(conn, news, cursor, limit)
    return [row.body for row in rows], next_cursor


# --- producer


def test_reads_pages_in_order_and_stays_at_the_end(producer: UnitOfWork) -> None:
    append(producer, 1, 2, 3)
    append(producer, 4)
    first, cursor = read(producer, "", 3)
    second, cursor = read(producer, cursor, 3)
    assert (first, second) == ([1, 2, 3], [4])
    assert read(producer, cursor) == ([], cursor)


def test_events_of_one_transaction_may_be_split_over_pages(producer: UnitOfWork) -> None:
    append(producer, *range(10))
    pages: list[list[int]] = []
    cursor = ""

    def is_read() -> bool:
        nonlocal cursor
        page, cursor = read(producer, cursor, 2)
        pages.extend([page] if page else [])  # a session that just begins holds everything back for a moment
        return sum(map(len, pages)) >= 10

    until(is_read)
    assert pages == [[number, number + 1] for number in range(0, 10, 2)]


def test_number_below_one_and_above_500_means_500(producer: UnitOfWork) -> None:
    append(producer, *range(600))
    for limit in (0, -1, 501, 10_000):
        assert len(read(producer, "", limit)[0]) == 500


def test_latest_gives_only_a_cursor_after_which_everything_new_comes(producer: UnitOfWork) -> None:
    append(producer, 1)
    nothing, cursor = read(producer, "latest")
    append(producer, 2)
    assert nothing == []
    assert read(producer, cursor)[0] == [2]


def test_latest_misses_nothing_that_was_written_before_and_commits_after(producer: UnitOfWork) -> None:
    with producer.begin() as late:
        late.execute(sa.insert(news).values(body=1))
        append(producer, 2, wait=False)
        with producer.begin() as conn:
            cursor = latest_cursor(conn, news)
    settle(producer)
    assert sorted(read(producer, cursor)[0]) == [1, 2]


def test_event_that_commits_late_holds_back_what_came_after_it(producer: UnitOfWork) -> None:
    with producer.begin() as late:
        late.execute(sa.insert(news).values(body=1))
        append(producer, 2, wait=False)
        bodies, cursor = read(producer, "")
        assert bodies == []
    settle(producer)
    assert read(producer, cursor)[0] == [1, 2]


def test_transactions_of_other_databases_hold_nothing_back(
    producer: UnitOfWork, consumer: UnitOfWork
) -> None:
    """Neither for a superuser nor for a role that may see nothing of others."""
    with producer.begin() as conn:
        role = f"reader_{uuid.uuid4().hex}"
        conn.exec_driver_sql(f"CREATE ROLE {role}")
        conn.exec_driver_sql(f"GRANT SELECT ON news, feed_epochs TO {role}")
        conn.exec_driver_sql(f"GRANT INSERT ON feed_epochs TO {role}")
    try:
        with consumer.begin() as elsewhere:
            elsewhere.execute(sa.insert(applied).values(body=1))
            append(producer, 1, 2)
            with producer.begin() as conn:
                conn.exec_driver_sql(f"SET LOCAL ROLE {role}")
                rows, cursor = read_feed(conn, news, "")
                assert [row.body for row in rows] == [1, 2]
                assert read_feed(conn, news, "latest")[1] > cursor
            stalled = sa.select(
                sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot()) <= sa.cast(rows[0].tx, Xid8)
            )
            with producer.begin() as conn:
                assert conn.execute(stalled).scalar_one(), "the other transaction is older than the events"
    finally:
        with producer.begin() as conn:
            conn.exec_driver_sql(f"DROP OWNED BY {role}")
            conn.exec_driver_sql(f"DROP ROLE {role}")


def test_this_database_s_transactions_hold_back_beside_those_of_others(
    producer: UnitOfWork, consumer: UnitOfWork
) -> None:
    with consumer.begin() as elsewhere:
        elsewhere.execute(sa.insert(applied).values(body=1))
        with producer.begin() as late:
            late.execute(sa.insert(news).values(body=1))
            append(producer, 2, wait=False)
            assert read(producer, "")[0] == []
        settle(producer)
        assert read(producer, "")[0] == [1, 2]


@pytest.mark.parametrize(
    "cursor",
    ["x", "1", "1.", ".1", "1.2.3", "-1.0", "1.0 ", "1.٣", "99999999999999999999.0", "1.9223372036854775808"],
)
def test_refuses_what_is_no_cursor(producer: UnitOfWork, cursor: str) -> None:
    with pytest.raises(NotifyError) as caught:
        read(producer, cursor)
    assert caught.value.reason == "INVALID_FIELD"
    assert caught.value.violations[0].field == "cursor"


def test_trims_only_what_is_old(producer: UnitOfWork) -> None:
    with producer.begin() as conn:
        conn.execute(sa.insert(news).values(body=1, create_time=sa.func.now() - timedelta(days=8)))
    append(producer, 2)
    with producer.begin() as conn:
        assert trim_feed(conn, news, timedelta(days=7)) == 1
        assert trim_feed(conn, news, timedelta(days=7)) == 0
    assert read(producer, "")[0] == [2]


def test_trimming_waits_for_nobody_who_trims_too(producer: UnitOfWork) -> None:
    with producer.begin() as conn:
        conn.execute(sa.insert(news).values(body=1, create_time=sa.func.now() - timedelta(days=8)))
    with producer.begin() as first, producer.begin() as second:
        assert trim_feed(first, news, timedelta(days=7)) == 1
        second.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
        assert trim_feed(second, news, timedelta(days=7)) == 0


def test_reads_a_range_of_the_index(producer: UnitOfWork) -> None:
    with producer.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("INSERT INTO news (body) SELECT n FROM generate_series(1, 20000) n")
        conn.exec_driver_sql("ANALYZE news")
        plan = "\n".join(
            conn.exec_driver_sql(
                "EXPLAIN SELECT * FROM news WHERE (tx, seq) > ('1'::xid8, 0::bigint)"
                f" AND tx < {oldest_open(conn)} ORDER BY tx, seq LIMIT 500"
            ).scalars()
        )
    assert "news_pkey" in plan
    assert "Sort" not in plan
    assert "Seq Scan on news" not in plan


WRITERS, EVENTS_EACH = 6, 200


def write_elsewhere(consumer: UnitOfWork, stop: "threading.Event") -> None:
    """Let transactions of another database come and go."""
    while not stop.is_set():
        with consumer.begin() as conn:
            conn.execute(sa.insert(applied).values(body=1))
            conn.exec_driver_sql("SELECT pg_sleep(0.001)")


def write_side_by_side(producer: UnitOfWork, reading: "threading.Event") -> None:
    """Let six writers commit their events in another order than the serial numbers were given out in."""
    start = threading.Barrier(WRITERS)

    def write(writer: int) -> None:
        start.wait()
        for number in range(EVENTS_EACH):
            with producer.begin() as conn:
                conn.execute(sa.insert(news).values(body=writer * EVENTS_EACH + number))
                # odd writers hold their number for a while before they commit
                if writer % 2:
                    conn.exec_driver_sql("SELECT pg_sleep(0.002)")

    with ThreadPoolExecutor(WRITERS) as pool:
        for future in [pool.submit(write, writer) for writer in range(WRITERS)]:
            future.result()
    settle(producer)
    reading.set()


def test_serial_cursor_loses_events_and_the_feed_loses_and_repeats_none(
    producer: UnitOfWork, consumer: UnitOfWork
) -> None:
    written = threading.Event()
    by_serial: list[int] = []
    by_feed: list[int] = []

    def read_by_serial() -> None:
        highest = 0
        while True:
            last_round = written.is_set()
            with producer.begin() as conn:
                after = sa.select(news.c.seq, news.c.body).where(news.c.seq > highest)
                rows = conn.execute(after.order_by(news.c.seq)).all()
            if rows:
                highest = rows[-1].seq
                by_serial.extend(row.body for row in rows)
            elif last_round:
                return

    def read_by_feed() -> None:
        cursor = ""
        while True:
            last_round = written.is_set()
            bodies, cursor = read(producer, cursor)
            by_feed.extend(bodies)
            if not bodies and last_round:
                return

    readers = [threading.Thread(target=target) for target in (read_by_serial, read_by_feed)]
    readers += [threading.Thread(target=write_elsewhere, args=(consumer, written)) for _ in range(2)]
    for reader in readers:
        reader.start()
    write_side_by_side(producer, written)
    for reader in readers:
        reader.join()

    everything = set(range(WRITERS * EVENTS_EACH))
    assert len(by_serial) < len(everything), "a serial cursor lost nothing: this test shows nothing"
    assert set(by_feed) == everything
    assert len(by_feed) == len(everything)


# --- consumer


class Interrupted(Exception):
    """Stands for the death of the process."""


def make_consumer(
    producer: UnitOfWork, consumer: UnitOfWork, *, die: str = "", limit: int = 500, start: str = ""
) -> FeedConsumer[int]:
    def apply(conn: sa.Connection, events: Sequence[int]) -> None:
        conn.execute(sa.insert(applied), [{"body": event} for event in events])
        if die == "before commit":
            raise Interrupted

    return FeedConsumer("news", consumer, cursors, lambda cursor: read(producer, cursor, limit), apply, start)


def applied_bodies(consumer: UnitOfWork) -> list[int]:
    with consumer.begin() as conn:
        return list(conn.execute(sa.select(applied.c.body)).scalars())


def drain(feed: FeedConsumer[Any]) -> int:
    total = 0
    while count := feed.step():
        total += count
    return total


def test_applies_everything_once_page_by_page(producer: UnitOfWork, consumer: UnitOfWork) -> None:
    append(producer, *range(25))
    feed = make_consumer(producer, consumer, limit=10)
    assert [feed.step() for _ in range(4)] == [10, 10, 5, 0]
    append(producer, 25)
    assert feed.step() == 1
    assert sorted(applied_bodies(consumer)) == list(range(26))


def test_crash_before_the_commit_applies_once(producer: UnitOfWork, consumer: UnitOfWork) -> None:
    append(producer, 1, 2)
    with pytest.raises(Interrupted):
        make_consumer(producer, consumer, die="before commit").step()
    assert applied_bodies(consumer) == []
    assert drain(make_consumer(producer, consumer)) == 2
    assert sorted(applied_bodies(consumer)) == [1, 2]


def test_crash_after_the_commit_applies_once(producer: UnitOfWork, consumer: UnitOfWork) -> None:
    append(producer, 1, 2)
    assert make_consumer(producer, consumer).step() == 2
    assert drain(make_consumer(producer, consumer)) == 0
    assert sorted(applied_bodies(consumer)) == [1, 2]


def test_consumer_that_failed_goes_on_where_it_was(producer: UnitOfWork, consumer: UnitOfWork) -> None:
    append(producer, 1)
    fails = [True]

    def apply(conn: sa.Connection, events: Sequence[int]) -> None:
        if fails.pop():
            raise Interrupted
        conn.execute(sa.insert(applied), [{"body": event} for event in events])

    feed: FeedConsumer[int] = FeedConsumer("news", consumer, cursors, lambda c: read(producer, c), apply)
    with pytest.raises(Interrupted):
        feed.step()
    fails.append(False)
    assert feed.step() == 1
    assert applied_bodies(consumer) == [1]


def test_consumer_that_keeps_up_with_a_busy_feed_has_no_lag(
    consumer: UnitOfWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    waiting = [[1], [2], [3, 4], [5, 6], [7]]  # never an empty page

    def fetch(cursor: str) -> tuple[list[int], str]:
        return waiting.pop(0), str(5 - len(waiting))

    feed: FeedConsumer[int] = FeedConsumer(
        "busy", consumer, cursors, fetch, lambda conn, events: None, full_page=2
    )
    lags = []
    for _ in range(5):
        now += 10
        feed.step()
        lags.append(feed.lag_seconds())
    assert lags == [0, 0, 10, 20, 0], "only a full page leaves more behind"


def test_two_consumers_of_one_name_apply_nothing_twice(producer: UnitOfWork, consumer: UnitOfWork) -> None:
    append(producer, *range(1000))
    start = threading.Barrier(2)

    def run() -> int:
        feed = make_consumer(producer, consumer, limit=7)
        start.wait()
        total, idle = 0, 0
        while idle < 3:
            count = feed.step()
            total += count
            idle = 0 if count else idle + 1
        return total

    with ThreadPoolExecutor(2) as pool:
        totals = [future.result() for future in [pool.submit(run), pool.submit(run)]]
    drain(make_consumer(producer, consumer))
    counts = Counter(applied_bodies(consumer))
    assert set(counts) == set(range(1000))
    assert set(counts.values()) == {1}
    assert sum(totals) <= 1000


def test_who_lost_the_race_applies_nothing(producer: UnitOfWork, consumer: UnitOfWork) -> None:
    append(producer, 1)
    slow = make_consumer(producer, consumer)
    slow.step()
    quick = make_consumer(producer, consumer)
    append(producer, 2)
    assert quick.step() == 1
    assert slow.step() == 0
    append(producer, 3)
    assert slow.step() == 1
    assert sorted(applied_bodies(consumer)) == [1, 2, 3]


def test_starts_where_it_was_told_and_only_the_first_time(producer: UnitOfWork, consumer: UnitOfWork) -> None:
    append(producer, 1)
    assert drain(make_consumer(producer, consumer, start="latest")) == 0
    append(producer, 2)
    assert drain(make_consumer(producer, consumer, start="latest")) == 1
    assert applied_bodies(consumer) == [2]


def test_consumers_of_other_names_have_cursors_of_their_own(
    producer: UnitOfWork, consumer: UnitOfWork
) -> None:
    append(producer, 1)
    for name in ("one", "other"):
        feed: FeedConsumer[int] = FeedConsumer(
            name, consumer, cursors, lambda c: read(producer, c), lambda conn, events: None
        )
        assert feed.step() == 1


# --- after a restore


@pytest.fixture
def new_server() -> Iterator[UnitOfWork]:
    """Provide an empty database on a server that has had few transactions."""
    folder = Path(tempfile.mkdtemp(prefix="notify-test-postgres-"))
    folder.chmod(0o755)  # PostgreSQL, if this runs as root, is an ordinary user
    server = start_server(folder, {"fsync": "off", "max_prepared_transactions": "2"}, delete=True)
    try:
        engine = create_engine(server.get_uri(), pool_size=4)
        producer_tables.create_all(engine)
        yield UnitOfWork(engine)
        engine.dispose()
    finally:
        server.cleanup()


def test_who_holds_a_feed_back_is_named(new_server: UnitOfWork, consumer: UnitOfWork) -> None:
    with new_server.begin() as idle, consumer.begin() as elsewhere, new_server.begin() as conn:
        elsewhere.execute(sa.insert(applied).values(body=1))
        idle.exec_driver_sql("SET LOCAL application_name = 'a report'")
        idle.execute(sa.insert(news).values(body=1))
        pid = idle.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        conn.execute(sa.insert(news).values(body=2))
        [holder] = feed_holders(conn)
        assert (holder.name, holder.prepared, holder.application) == (str(pid), False, "a report")
        assert holder.state == "idle in transaction"
        assert holder.open_for is not None
    with new_server.autocommit() as conn:
        conn.exec_driver_sql("BEGIN")
        conn.exec_driver_sql("INSERT INTO news (body) VALUES (3)")
        conn.exec_driver_sql("PREPARE TRANSACTION 'forgotten'")
        assert [(one.name, one.prepared) for one in feed_holders(conn)] == [("forgotten", True)]
        conn.exec_driver_sql("ROLLBACK PREPARED 'forgotten'")
        assert feed_holders(conn) == []


def many_transactions(uow: UnitOfWork) -> None:
    """Run so many transactions that a new server's ids are lower."""
    with uow.autocommit() as conn:
        conn.exec_driver_sql(
            "DO $$ BEGIN FOR n IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )


def restore(old: UnitOfWork, new: UnitOfWork) -> datetime:
    """Do to the feed what a dump and its restore do; return a moment after it."""
    with old.begin() as conn:
        rows = [row._asdict() for row in conn.execute(sa.select(news))]
        epochs = [row._asdict() for row in conn.execute(sa.select(feed_epochs))]
        last = conn.exec_driver_sql("SELECT last_value FROM news_seq_seq").scalar_one()
    with new.begin() as conn:
        for row in rows:
            row["tx"] = str(row["tx"])
            conn.execute(
                sa.text(
                    "INSERT INTO news (tx, seq, create_time, body) OVERRIDING SYSTEM VALUE"
                    " VALUES (CAST(CAST(:tx AS text) AS xid8), :seq, :create_time, :body)"
                ),
                row,
            )
        conn.execute(sa.select(sa.func.setval("news_seq_seq", last)))
        for epoch in epochs:
            conn.execute(sa.insert(feed_epochs).values(epoch))
    with new.autocommit() as conn:
        moment: datetime = conn.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return moment


def displaced() -> float | None:
    return REGISTRY.get_sample_value("notify_feed_displaced", {"feed": "news"})


@pytest.mark.parametrize("read_before", [0, 4, 10])
def test_restore_into_a_server_with_lower_ids_is_told_and_loses_and_doubles_nothing(
    producer: UnitOfWork, consumer: UnitOfWork, new_server: UnitOfWork, read_before: int
) -> None:
    many_transactions(producer)
    for body in range(10):
        append(producer, body)
    if read_before:
        assert make_consumer(producer, consumer, limit=read_before).step() == read_before
    restored_at = restore(producer, new_server)
    # written before anybody notices
    append(new_server, 10, 11, wait=False)

    feed = make_consumer(new_server, consumer, limit=3)
    for _ in range(2):
        with pytest.raises(NotifyError) as caught:
            feed.step()
        assert caught.value.reason == "FEED_RESTORED"
    assert displaced() == 1
    for _ in range(2):
        with new_server.begin() as conn:
            assert begin_epoch(conn, producer_tables, restored_at) == 1

    append(new_server, 12, wait=False)
    until(lambda: not feed.step() and len(applied_bodies(consumer)) >= 13)
    assert applied_bodies(consumer) == list(range(13))
    assert displaced() == 0
    with new_server.begin() as conn:
        state = feed_state(conn, news)
        assert (state.number, state.displaced) == (1, False)


def test_a_restored_feed_refuses_still_once_ids_have_caught_up_while_nobody_read(
    producer: UnitOfWork, consumer: UnitOfWork, new_server: UnitOfWork
) -> None:
    many_transactions(producer)
    append(producer, 0, 1, 2)
    assert make_consumer(producer, consumer).step() == 3
    restored_at = restore(producer, new_server)
    append(new_server, 3, wait=False)  # its id is lower than the cursor's: to go on there would skip it
    with producer.begin() as conn:
        before = feed_state(conn, news).first_unbegun

    def has_caught_up() -> bool:
        many_transactions(new_server)
        with new_server.begin() as conn:
            return feed_state(conn, news).first_unbegun > before

    until(has_caught_up)
    append(new_server, 4, wait=False)

    feed = make_consumer(new_server, consumer)
    with pytest.raises(NotifyError) as caught:
        feed.step()
    assert caught.value.reason == "FEED_RESTORED"
    with new_server.begin() as conn:
        begin_epoch(conn, producer_tables, restored_at)
    until(lambda: not feed.step() and len(applied_bodies(consumer)) >= 5)
    assert applied_bodies(consumer) == list(range(5))


def test_a_server_that_went_back_refuses_still_once_its_ids_have_passed_the_cursor(
    producer: UnitOfWork, consumer: UnitOfWork
) -> None:
    append(producer, 0)
    append(producer, 1)
    feed = make_consumer(producer, consumer)
    assert feed.step() == 2
    with producer.begin() as conn:
        # as if the server stood where 1 had not been written yet, and had come on since
        last = str(conn.execute(sa.select(sa.cast(news.c.tx, sa.Text)).where(news.c.body == 1)).scalar_one())
        conn.execute(sa.delete(news).where(news.c.body == 1))
    with producer.autocommit() as conn:
        restored_at = conn.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    with producer.begin() as conn:
        conn.exec_driver_sql(f"INSERT INTO news (tx, body) VALUES ('{int(last) - 1}', 2)")
    append(producer, 3)
    for _ in range(2):
        with pytest.raises(NotifyError) as caught:
            feed.step()
        assert caught.value.reason == "FEED_RESTORED"
    assert displaced() == 1
    with producer.begin() as conn:
        begin_epoch(conn, producer_tables, restored_at)
    until(lambda: not feed.step() and len(applied_bodies(consumer)) >= 4)
    assert applied_bodies(consumer) == [0, 1, 2, 3]


def test_a_reader_whose_last_event_was_deleted_for_its_age_goes_on(
    producer: UnitOfWork, consumer: UnitOfWork
) -> None:
    with producer.begin() as conn:
        conn.execute(sa.insert(news).values(body=0, create_time=sa.func.now() - timedelta(days=8)))
    settle(producer)
    feed = make_consumer(producer, consumer)
    assert feed.step() == 1
    with producer.begin() as conn:
        assert trim_feed(conn, news, timedelta(days=7)) == 1
    assert feed.step() == 0
    append(producer, 1)
    assert feed.step() == 1


def test_reader_that_is_ahead_of_a_server_that_went_back_is_told(
    producer: UnitOfWork, consumer: UnitOfWork
) -> None:
    append(producer, 1)
    with producer.begin() as conn:
        state = feed_state(conn, news)
    ahead = f"0.{state.first_unbegun + 1000}.7"
    with pytest.raises(NotifyError) as caught:
        read(producer, ahead)
    assert caught.value.reason == "FEED_RESTORED"
    with producer.begin() as conn:
        begin_epoch(conn, producer_tables, conn.execute(sa.select(sa.func.now())).scalar_one())
    append(producer, 2)
    bodies, cursor = read(producer, ahead)
    assert bodies == []
    assert read(producer, cursor)[0] == [2], "what the reader had before is not read again"


def test_a_restore_can_t_be_to_come_or_before_the_last_one(producer: UnitOfWork) -> None:
    with producer.begin() as conn:
        now = conn.execute(sa.select(sa.func.now())).scalar_one()
        with pytest.raises(ValueError, match="must be past"):
            begin_epoch(conn, producer_tables, now + timedelta(minutes=1))
        begin_epoch(conn, producer_tables, now)
        with pytest.raises(ValueError, match="later than that"):
            begin_epoch(conn, producer_tables, now - timedelta(minutes=1))


def test_cursors_of_before_there_were_epochs_go_on(producer: UnitOfWork) -> None:
    append(producer, 1)
    _, cursor = read(producer, "")
    append(producer, 2)
    assert read(producer, cursor.removeprefix("0."))[0] == [2]

"""The side of a feed that wants the news (design.md §3.4)."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Generic, TypeVar

import sqlalchemy as sa
from prometheus_client import Gauge
from sqlalchemy import Column, Connection, MetaData, Table
from sqlalchemy.dialects.postgresql import insert

from notify_common import clock
from notify_common.db.prepared import prepared
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.feeds.producer import MAX_PAGE

Event = TypeVar("Event")

_LAG = Gauge(
    "notify_feed_lag_seconds", "Seconds since the consumer last saw the end of the feed.", ["consumer"]
)


def cursors_table(metadata: MetaData) -> Table:
    """Return where a context keeps how far it has read each feed."""
    return Table(
        "feed_cursors",
        metadata,
        Column("consumer", sa.Text, primary_key=True),
        Column("cursor", sa.Text, nullable=False),
        Column("update_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


class FeedConsumer(Generic[Event]):
    """Reads a feed and applies each event once.

    The effects and the new cursor commit together, and the cursor is written only if it still is the one that
    the events were read from: a crash before the commit leaves both undone, a crash after it leaves both
    done, and of two consumers of one name one finds the cursor moved and applies nothing.

    Args:
        name: of the cursor; consumers that share it share the work.
        uow: of the context that consumes.
        cursors: the table of `cursors_table`.
        fetch: takes a cursor, returns the events after it and the next cursor; called with no transaction
            open.
        apply: makes the effects of events within the transaction it is given; must make no call to elsewhere.
        start: cursor of a consumer that has none yet; empty for the oldest kept event.
        full_page: events from which a page counts as full; a smaller one reached the end of the feed.
        aside: whether it steps now and then beside a consumer that keeps up. It looks up the cursor at each
            step, and has no lag to tell.
    """

    def __init__(
        self,
        name: str,
        uow: UnitOfWork,
        cursors: Table,
        fetch: Callable[[str], tuple[Sequence[Event], str]],
        apply: Callable[[Connection, Sequence[Event]], None],
        start: str = "",
        full_page: int = MAX_PAGE,
        *,
        aside: bool = False,
    ) -> None:
        self.name = name
        self._uow = uow
        self._cursors = cursors
        self._moved = _moved(cursors)
        self._fetch = fetch
        self._apply = apply
        self._start = start
        self._full_page = full_page
        self._cursor: str | None = None
        self._caught_up_at = clock.monotonic()
        self._aside = aside
        if not aside:
            _LAG.labels(name).set_function(self.lag_seconds)

    def step(self) -> int:
        """Read and apply one page; return how many events were applied, 0 when there was nothing new.

        Raises whatever `fetch` or `apply` raise, with nothing applied.
        """
        if self._cursor is None or self._aside:
            self._cursor = self._load_cursor()
        asked_at = clock.monotonic()
        events, next_cursor = self._fetch(self._cursor)
        if next_cursor == self._cursor:
            self._caught_up_at = asked_at
            return 0
        applied = self._advance(events, next_cursor)
        if applied and len(events) < self._full_page:
            self._caught_up_at = asked_at
        # after a lost race the cursor in memory is wrong, after a failure it may be
        self._cursor = next_cursor if applied else None
        return len(events) if applied else 0

    def lag_seconds(self) -> float:
        """Return seconds since this consumer last saw the end of the feed."""
        return clock.monotonic() - self._caught_up_at

    def _load_cursor(self) -> str:
        c = self._cursors.c
        with self._uow.begin() as conn:
            first = insert(self._cursors).values(consumer=self.name, cursor=self._start)
            conn.execute(first.on_conflict_do_nothing())
            return str(conn.execute(sa.select(c.cursor).where(c.consumer == self.name)).scalar_one())

    def _advance(self, events: Sequence[Event], next_cursor: str) -> bool:
        given = {"name": self.name, "read_from": self._cursor, "read_to": next_cursor}
        with self._uow.begin() as conn:
            # first of all: its row lock makes a second consumer wait here and then find the cursor moved
            if conn.execute(self._moved, given).rowcount == 0:
                return False
            if events:
                self._apply(conn, events)
        return True


@cache
def _moved(cursors: Table) -> sa.Update:
    """Return the statement that moves a cursor on, if it stands where the events were read from."""
    given = {key: sa.bindparam(key, type_=sa.Text) for key in ("name", "read_from", "read_to")}
    return prepared(
        sa.update(cursors)
        .values(cursor=given["read_to"], update_time=sa.func.now())
        .where(cursors.c.consumer == given["name"], cursors.c.cursor == given["read_from"])
    )

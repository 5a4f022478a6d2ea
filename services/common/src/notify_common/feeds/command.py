"""The command `cursors`: what an operator does about feeds that are stuck or were restored."""

import argparse
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import Table

from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.feeds.producer import Holder, begin_epoch, feed_holders, feed_state
from notify_common.main import Command
from notify_common.settings import DatabaseSettings

S = TypeVar("S", bound=DatabaseSettings)


def cursors_command(feeds: Sequence[Table] = (), cursors: Table | None = None) -> Command[S]:
    """Return the command that says where a context's feeds end, who holds them back, and how far it has read
    others'.

    With `--restored-at TIME` it first notes that this context's database was restored then, which moves every
    reader's cursor on to what was written since. Repeating it changes nothing.

    Args:
        feeds: the tables of the feeds that the context produces.
        cursors: the table of the cursors of the feeds that it consumes.
    """

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        if feeds:
            parser.add_argument(
                "--restored-at",
                type=_time,
                metavar="TIME",
                help="this database was restored then: after its last old event, before its first new one",
            )

    def run(settings: S, arguments: argparse.Namespace, stop: threading.Event) -> None:
        uow = UnitOfWork(create_engine(settings.database_url.get_secret_value(), 1))
        with uow.begin() as tx:
            if feeds and arguments.restored_at:
                number = begin_epoch(tx, feeds[0].metadata, arguments.restored_at)
                sys.stdout.write(f"epoch {number} began {arguments.restored_at.isoformat()}\n")
            for table in feeds:
                state = feed_state(tx, table)
                word = "displaced by a restore" if state.displaced else "readable"
                sys.stdout.write(
                    f"feed {table.name}: {word}, epoch {state.number}, newest {state.cursor},"
                    f" next transaction {state.first_unbegun}\n"
                )
            for holder in feed_holders(tx) if feeds else ():
                sys.stdout.write(f"held back by {_described(holder)}\n")
            if cursors is not None:
                for row in tx.execute(sa.select(cursors).order_by(cursors.c.consumer)):
                    moved = row.update_time.isoformat()
                    sys.stdout.write(f"cursor {row.consumer}: {row.cursor}, moved {moved}\n")
        uow.engine.dispose()

    return Command(
        "cursors",
        "say where feeds end, who holds them back and how far others are read; note a restore",
        run,
        add_arguments,
        long_running=False,
    )


def _described(holder: Holder) -> str:
    kind = "the prepared transaction" if holder.prepared else "session"
    by = f" of {holder.role}" + (f" ({holder.application})" if holder.application else "")
    state = f", {holder.state}" if holder.state else ""
    since = "a time not to be seen" if holder.open_for is None else f"{holder.open_for.total_seconds():.0f} s"
    return f"{kind} {holder.name}{by}{state}, open for {since}"


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("needs its offset from UTC, such as 2030-01-31T12:00:00+00:00")
    return moment

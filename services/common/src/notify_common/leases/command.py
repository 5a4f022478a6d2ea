"""The command `parked`: what an operator does about rows that were given up."""

import argparse
import sys
import threading
from collections.abc import Sequence
from typing import TypeVar

from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import Queue
from notify_common.main import Command
from notify_common.settings import DatabaseSettings

S = TypeVar("S", bound=DatabaseSettings)


def parked_command(queues: Sequence[Queue]) -> Command[S]:
    """Return the command that says how many rows of which table are parked, and why.

    With `--release TABLE` it puts them back into their queue first. Repeating it changes nothing.
    """
    by_table = {queue.table.name: queue for queue in queues}

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--release",
            choices=sorted(by_table),
            help="put the parked rows of this table back into the queue",
        )

    def run(settings: S, arguments: argparse.Namespace, stop: threading.Event) -> None:
        uow = UnitOfWork(create_engine(settings.database_url.get_secret_value(), 1))
        with uow.begin() as conn:
            if arguments.release:
                released = by_table[arguments.release].release(conn)
                sys.stdout.write(f"{arguments.release}: {released} released\n")
            for table, queue in by_table.items():
                for reason, number in queue.parked_reasons(conn):
                    sys.stdout.write(f"{table}: {number} parked: {reason}\n")
        uow.engine.dispose()

    return Command(
        "parked", "say which rows were given up, and release them", run, add_arguments, long_running=False
    )

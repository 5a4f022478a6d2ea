"""The command `parked`: what an operator does on the machine about rows that were given up."""

import argparse
import sys
import threading
from typing import Final, TypeVar

from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.main import Command
from notify_common.ops import queues
from notify_common.ops.queues import COMMAND_LINE, Ops
from notify_common.settings import DatabaseSettings

S = TypeVar("S", bound=DatabaseSettings)

_REASON: Final = "released by the command"


def parked_command(ops: Ops) -> Command[S]:
    """Return the command that says how many rows of which queue are parked, and why.

    With `--release QUEUE` it puts up to 10,000 of them back into their queue first, which is kept as what
    operators do over OpsService is. Repeating it changes nothing.
    """

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--release",
            choices=sorted(queue.name for queue in ops.queues),
            help="put the parked rows of this queue back",
        )

    def run(settings: S, arguments: argparse.Namespace, stop: threading.Event) -> None:
        uow = UnitOfWork(create_engine(settings.database_url.get_secret_value(), 1))
        with uow.begin() as tx:
            if arguments.release:
                most = queues.MOST_COUNTED
                count = queues.redrive(tx, ops, arguments.release, COMMAND_LINE, _REASON, limit=most)
                sys.stdout.write(f"{arguments.release}: {count} released\n")
            for queue in ops.queues:
                for found in queues.parked_causes(tx, queue):
                    sys.stdout.write(f"{queue.name}: {found.count} parked: {found.cause}\n")
        uow.engine.dispose()

    return Command(
        "parked", "say which rows were given up, and release them", run, add_arguments, long_running=False
    )

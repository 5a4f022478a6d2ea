"""`python -m notify_letters serve | work | parked | migrate | check-config`.

Celery workers are in `celery_app`.
"""

import argparse
import threading

from notify_common import main
from notify_common.db import migrations
from notify_common.leases.command import parked_command
from notify_common.leases.table import Queue
from notify_common.leases.worker import WorkerGroup
from notify_common.rpc.server import OpsServer, Server

from notify_letters import bootstrap
from notify_letters.celery_app import app
from notify_letters.clients.broker import Broker
from notify_letters.settings import Settings
from notify_letters.store.tables import print_batches, render_batches


def serve(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Serve LettersService and PrintRunsService until told to stop."""
    parts = bootstrap.parts_for_server(settings)
    server = Server("letters", settings, bootstrap.registrations(parts), parts.checks())
    server.start()
    server.run_until(stop)
    parts.close()


def work(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Run the workers of the queues named until told to stop."""
    parts = bootstrap.parts_for_workers(settings)
    broker = Broker(app)
    group = WorkerGroup(
        [worker for queue in arguments.queues for worker in bootstrap.workers(parts, broker, queue)]
    )
    group.start()
    ops = OpsServer("letters", settings, {**parts.checks(), "workers": group.healthy})
    ops.start()
    stop.wait()
    group.stop()
    ops.stop()
    parts.close()


def migrate(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Bring the database to the newest schema, and make the bucket unless it is there."""
    migrations.migrate("notify_letters", settings.database_url.get_secret_value(), settings.app_role)
    bootstrap.parts_for_workers(settings).blobs.ensure_bucket()


if __name__ == "__main__":
    main.run(
        "letters",
        Settings,
        [
            main.Command("serve", "serve LettersService and PrintRunsService", serve),
            main.work_command(
                "send the tasks of due batches to Celery, and tidy away", bootstrap.QUEUES, work
            ),
            parked_command([Queue(table, ["id"]) for table in (render_batches, print_batches)]),
            main.Command("migrate", "bring the database to the newest schema", migrate, long_running=False),
        ],
    )

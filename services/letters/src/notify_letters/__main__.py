"""`python -m notify_letters serve | work | parked | migrate | check-config`.

Celery workers are in `celery_app`.
"""

import argparse
import threading

from notify_common import main, process
from notify_common.db import migrations
from notify_common.feeds.command import cursors_command
from notify_common.ops.command import parked_command

from notify_letters import bootstrap
from notify_letters.clients.broker import Broker
from notify_letters.settings import Settings
from notify_letters.store.tables import letter_events
from notify_letters.usecases.ops import OPS


def serve(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Serve LettersService and PrintRunsService until told to stop."""
    parts = bootstrap.parts_for_server(settings)
    process.serve(parts, bootstrap.registrations(parts), stop)


def work(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Run the workers of the queues named until told to stop."""
    from notify_letters.celery_app import app  # the server has no use for Celery

    parts = bootstrap.parts_for_workers(settings)
    broker = Broker(app)
    workers = [worker for queue in arguments.queues for worker in bootstrap.workers(parts, broker, queue)]
    process.work(parts, workers, stop)


def migrate(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Bring the database to the newest schema, and make the buckets unless they are there."""
    migrations.migrate("notify_letters", settings.database_url.get_secret_value(), settings.app_role)
    parts = bootstrap.parts_for_workers(settings)
    for store in (parts.blobs, parts.attachments, parts.uploads):
        if store is not None:
            store.ensure_bucket()


if __name__ == "__main__":
    main.run(
        "letters",
        Settings,
        [
            main.Command("serve", "serve LettersService and PrintRunsService", serve),
            main.work_command(
                "send the tasks of due batches to Celery, and tidy away", bootstrap.QUEUES, work
            ),
            parked_command(OPS),
            cursors_command([letter_events]),
            main.Command("migrate", "bring the database to the newest schema", migrate, long_running=False),
        ],
    )

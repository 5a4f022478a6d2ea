"""`python -m notify_notifications serve | work | parked | migrate | check-config`."""

import argparse
import threading

from notify_common import main, process
from notify_common.db import migrations
from notify_common.feeds.command import cursors_command
from notify_common.ops.command import parked_command

from notify_notifications import bootstrap
from notify_notifications.settings import Settings
from notify_notifications.store.tables import feed_cursors
from notify_notifications.usecases.ops import OPS


def serve(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Serve NotificationsService until told to stop."""
    parts = bootstrap.parts_for_server(settings)
    process.serve(parts, bootstrap.registrations(parts), stop)


def work(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Run the workers of the queues named until told to stop."""
    parts = bootstrap.parts_for_workers(settings)
    workers = [worker for queue in arguments.queues for worker in bootstrap.workers(parts, queue)]
    process.work(parts, workers, stop)


def migrate(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Bring the database to the newest schema."""
    migrations.migrate("notify_notifications", settings.database_url.get_secret_value(), settings.app_role)


if __name__ == "__main__":
    main.run(
        "notifications",
        Settings,
        [
            main.Command("serve", "serve NotificationsService", serve),
            main.work_command(
                "hand messages over and apply what is reported of them", bootstrap.QUEUES, work
            ),
            parked_command(OPS),
            cursors_command(cursors=feed_cursors),
            main.Command("migrate", "bring the database to the newest schema", migrate, long_running=False),
        ],
    )

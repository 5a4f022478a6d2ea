"""`python -m notify_providers serve | work | parked | migrate | check-config`."""

import argparse
import threading

from notify_common import main, process
from notify_common.db import migrations
from notify_common.feeds.command import cursors_command
from notify_common.ops.command import parked_command

from notify_providers import bootstrap
from notify_providers.settings import Settings
from notify_providers.store.tables import delivery_events, inbound_sms_events
from notify_providers.usecases.ops import OPS


def serve(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Serve the gRPC services until told to stop."""
    parts = bootstrap.parts_for_server(settings)
    process.serve(parts, bootstrap.registrations(parts), stop)


def work(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Run the workers of the named queues until told to stop; call under way are recorded first."""
    parts = bootstrap.parts_for_workers(settings)
    workers = [worker for queue in arguments.queues for worker in bootstrap.workers(parts, queue)]
    process.work(parts, workers, stop)


def migrate(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Bring the database to the newest schema."""
    migrations.migrate("notify_providers", settings.database_url.get_secret_value(), settings.app_role)


if __name__ == "__main__":
    main.run(
        "providers",
        Settings,
        [
            main.Command("serve", "serve the gRPC services", serve),
            main.work_command("hand messages over and do the other queues' work", bootstrap.QUEUES, work),
            parked_command(OPS),
            cursors_command([delivery_events, inbound_sms_events]),
            main.Command("migrate", "bring the database to the newest schema", migrate, long_running=False),
        ],
    )

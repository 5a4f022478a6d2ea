"""`python -m notify_providers serve | work | parked | migrate | check-config`."""

import argparse
import threading

from notify_common import main
from notify_common.db import migrations
from notify_common.leases.command import parked_command
from notify_common.leases.worker import WorkerGroup
from notify_common.rpc.server import OpsServer, Server

from notify_providers import bootstrap
from notify_providers.settings import Settings
from notify_providers.store.tables import dispatch_queue, sandbox_receipt_queue


def serve(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Serves the gRPC services until told to stop."""
    parts = bootstrap.parts_for_server(settings)
    server = Server("providers", settings, bootstrap.registrations(parts), {"database": parts.uow.check})
    server.start()
    server.run_until(stop)
    parts.close()


def work(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Runs the workers of the named queues until told to stop; calls under way are recorded first."""
    parts = bootstrap.parts_for_workers(settings)
    group = WorkerGroup([worker for queue in arguments.queues for worker in bootstrap.workers(parts, queue)])
    ops = OpsServer("providers", settings, {"database": parts.uow.check, "workers": group.healthy})
    group.start()
    ops.start()
    stop.wait()
    ops.health.enter_shutdown()
    group.stop()
    parts.close()
    ops.stop()


def migrate(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Brings the database to the newest schema."""
    migrations.migrate("notify_providers", settings.database_url.get_secret_value(), settings.app_role)


if __name__ == "__main__":
    main.run(
        "providers",
        Settings,
        [
            main.Command("serve", "serve the gRPC services", serve),
            main.work_command("hand messages over and do the other queues' work", bootstrap.QUEUES, work),
            parked_command([dispatch_queue, sandbox_receipt_queue]),
            main.Command("migrate", "bring the database to the newest schema", migrate, long_running=False),
        ],
    )

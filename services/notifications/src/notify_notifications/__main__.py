"""`python -m notify_notifications COMMAND`: serve, work, migrate, and what operators ask for."""

import argparse
import sys
import threading
from datetime import date, timedelta

from notify_common import clock, main, process
from notify_common.db import migrations
from notify_common.feeds.command import cursors_command
from notify_common.leases.table import NO_SERVICE
from notify_common.ops.command import parked_command

from notify_notifications import bootstrap
from notify_notifications.settings import Settings
from notify_notifications.store.platform_days import close_days
from notify_notifications.store.retention import next_counted_service
from notify_notifications.store.tables import feed_cursors
from notify_notifications.usecases.ops import OPS
from notify_notifications.usecases.usage import keep_allowances, list_allowances
from notify_notifications.workers.recount import recount_day


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
    """Bring the database to the newest schema, and make the buckets of files unless they are there."""
    migrations.migrate("notify_notifications", settings.database_url.get_secret_value(), settings.app_role)
    parts = bootstrap.parts_for_workers(settings)
    for bucket in (parts.blobs, parts.template_files, parts.job_files, parts.contact_list_files):
        if bucket is not None:
            bucket.ensure_bucket()


def recount(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Count the messages of the days named again, service by service; say how many counts and facts
    were corrected."""
    uow = bootstrap.recount_uow(settings)
    service_id, corrected = NO_SERVICE, 0
    while not stop.is_set():
        with uow.autocommit() as tx:
            found = next_counted_service(tx, service_id)
        if found is None:
            break
        service_id = found
        for number in range((arguments.to - arguments.first).days + 1):
            corrected += recount_day(uow, service_id, arguments.first + timedelta(days=number))
    with uow.begin() as tx:
        close_days(tx, clock.london_day(clock.now()), arguments.first)
    uow.engine.dispose()
    sys.stdout.write(f"{corrected} corrected\n")


def _days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True, metavar="DAY")
    parser.add_argument("--to", type=date.fromisoformat, required=True, metavar="DAY")


def allowances(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Print allowances of a financial year, or keep those of one that is over."""
    parts = bootstrap.parts_for_workers(settings)

    def organisation_type(service_id: str) -> str:
        service = parts.snapshots.service(service_id)
        return service.organisation_type if service else ""

    try:
        if arguments.keep:
            kept = keep_allowances(parts.uow, organisation_type, arguments.year)
            sys.stdout.write(f"{kept} allowances of {arguments.year} kept\n")
            return
        for one, used in list_allowances(parts.uow, organisation_type, arguments.year):
            sys.stdout.write(f"{one.service_id} {one.year}: {one.fragment_count} free, {used} used\n")
    finally:
        parts.close()


def _year(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--year", type=int, required=True, help="the calendar year in which it begins")
    parser.add_argument(
        "--keep", action="store_true", help="store those of a past year, so that none changes any more"
    )


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
            main.Command(
                "recount",
                "count messages and usage of some London days again, such as after a change of rates",
                recount,
                _days,
                long_running=False,
            ),
            main.Command(
                "allowances",
                "list the free texts of services in a financial year, or keep those of a past one",
                allowances,
                _year,
                long_running=False,
            ),
            main.Command("migrate", "bring the database to the newest schema", migrate, long_running=False),
        ],
    )
